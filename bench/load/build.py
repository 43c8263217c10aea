"""Compiles the hot part of the client, in place: `python -m bench.build`.

Needs Cython and a C compiler. Without it the client does the same in Python, at a quarter of the
speed; a report says which it was. Python prefers a compiled module to its source, so a stale one
would hide a change: `is_stale` is asked before every run.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

HERE = Path(__file__).parent
MODULES = ("histogram", "flow")


def compiled_path(module: str) -> Path:
    """Where the compiled module stands."""
    return HERE / f"{module}{EXTENSION_SUFFIXES[0]}"


def is_stale() -> bool:
    """Whether a compiled module is there and older than its source."""
    newest = max(
        (HERE / f"{module}{suffix}").stat().st_mtime
        for module in MODULES
        for suffix in (".py", ".pxd")
    )
    paths = [compiled_path(module) for module in MODULES]
    return any(path.exists() and path.stat().st_mtime < newest for path in paths)


def build() -> None:
    """Compile what is missing or stale. Raises ImportError without Cython."""
    if all(compiled_path(module).exists() for module in MODULES) and not is_stale():
        return
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension  # type: ignore[import-untyped, unused-ignore]
    from setuptools.command.build_ext import (  # type: ignore[import-untyped, unused-ignore]
        build_ext,
    )

    package = __package__ or "bench.load"
    root = HERE.parents[package.count(".")]
    extensions = [
        Extension(f"{package}.{module}", [str(HERE / f"{module}.py")], extra_compile_args=["-O3"])
        for module in MODULES
    ]
    directives = {
        "language_level": 3,
        "annotation_typing": False,
        "boundscheck": False,
        "wraparound": False,
        "initializedcheck": False,
    }
    cythonized = cythonize(  # type: ignore[no-untyped-call, unused-ignore]
        extensions,
        compiler_directives=directives,
        force=True,
        quiet=True,
        build_dir=str(root / "build" / "bench"),
    )
    command = build_ext(Distribution({"ext_modules": cythonized, "package_dir": {"": str(root)}}))
    command.inplace = True
    command.build_temp = str(root / "build" / "bench")
    command.ensure_finalized()
    command.run()


def build_if_possible() -> bool:
    """Compile where Cython and a compiler are there; return whether the client is compiled now."""
    try:
        build()
    except Exception as exc:  # a missing Cython, compiler or header: each has its own class
        print(f"the load generator runs uncompiled: {exc}", file=sys.stderr)
        return False
    return True
