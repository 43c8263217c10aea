"""A server: what a program registers, one run of it, and the two ways to run."""
