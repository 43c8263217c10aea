"""`python -m bench.load URL --mode …`."""

from __future__ import annotations

from .cli import bench

bench()
