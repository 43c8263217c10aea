# Compiled where a compiler is; it needs no types but those of Python.
