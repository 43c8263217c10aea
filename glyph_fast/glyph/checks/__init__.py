"""What is found before a program runs: modules, names, calls, types."""
