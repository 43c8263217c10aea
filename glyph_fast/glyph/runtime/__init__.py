"""What running code is made of: values and their limits, operators, functions, events, requests."""
