"""Compile the load generator's hot part: `python -m bench.build`."""

from __future__ import annotations

from .load.build import MODULES, build, compiled_path

if __name__ == "__main__":
    build()
    for module in MODULES:
        print(compiled_path(module))
