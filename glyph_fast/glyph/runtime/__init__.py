"""The parts of running code: values and their limits, operators, functions, events, requests."""
