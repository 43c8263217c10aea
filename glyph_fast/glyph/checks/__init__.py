"""Checks before a program runs: modules, names, calls, types."""
