"""The bench: a load generator, other servers to compare with, and the regression net."""
