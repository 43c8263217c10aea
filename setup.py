"""Build the compiled parts, or leave them out; all else about the package is in pyproject.toml.

GLYPH_FAST_BUILD=auto     build them if that works, else warn and install the pure package (default)
GLYPH_FAST_BUILD=yes      build them or fail: releases, CI, `make build`
GLYPH_FAST_BUILD=no       leave them out: the `py3-none-any` wheel
GLYPH_FAST_DEBUG=1        bounds checks, asserts, -O1 -g
GLYPH_FAST_SANITIZE=LIST  what -fsanitize takes, say `address,undefined`; Python itself then
                          has to run with the sanitizer's library preloaded
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import OptionError

ROOT = Path(__file__).parent
GENERATED = "build/cython"

MODE = os.environ.get("GLYPH_FAST_BUILD", "auto")
DEBUG = os.environ.get("GLYPH_FAST_DEBUG", "0") not in ("", "0")
SANITIZE = os.environ.get("GLYPH_FAST_SANITIZE", "")

if MODE not in ("auto", "yes", "no"):
    raise OptionError(f"GLYPH_FAST_BUILD is {MODE!r}, expected auto, yes or no")

# Negative indices are never meant, so `wraparound` stays off in the debug build too: there the
# bounds check then catches them.
DIRECTIVES = {
    "language_level": 3,
    "wraparound": False,
    "cdivision": True,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
}


def flags() -> tuple[list[str], list[str], list[tuple[str, str | None]], list[str]]:
    """Compiler flags, linker flags, macros to define and macros to undefine."""
    macros: list[tuple[str, str | None]] = [] if DEBUG else [("CYTHON_WITHOUT_ASSERTIONS", "1")]
    undefine = ["NDEBUG"] if DEBUG else []
    if sys.platform == "win32":
        return (["/Od", "/Zi"] if DEBUG else ["/O2"]), [], macros, undefine
    # -g0 because Python's own flags ask for debug information we do not ship. Symbols stay, so
    # that a profile has names; the release wheels are stripped by auditwheel.
    compile_args = ["-O1", "-g"] if DEBUG else ["-O3", "-g0"]
    compile_args += ["-fvisibility=hidden", "-fno-semantic-interposition"]
    link_args: list[str] = []
    if SANITIZE:
        compile_args += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
        link_args += [f"-fsanitize={SANITIZE}"]
    return compile_args, link_args, macros, undefine


def extensions() -> list[Extension]:
    """The core, what JSON needs of C, and other hot parts: plain Python with types in `.pxd` files.

    Each comes with everything its source includes, so that an edited part is compiled again.
    """
    typed = sorted((ROOT / "glyph_fast").rglob("*.pxd"))
    return [
        extension("glyph_fast/_core.pyx", "_core.pxd", "_c/*"),
        extension("glyph_fast/_numbers.pyx", "_c/integers.h"),
        *(
            extension(path.relative_to(ROOT).with_suffix(".py").as_posix(), "*.pxd", "load/*.pxd")
            for path in typed
            if path.with_suffix(".py").exists()
        ),
    ]


def extension(source: str, *parts: str) -> Extension:
    """The module of one source file, which includes `parts`: patterns below the package."""
    compile_args, link_args, macros, undefine = flags()
    package = ROOT / "glyph_fast"
    included = (path for pattern in parts for path in package.glob(pattern))
    return Extension(
        source.rpartition(".")[0].replace("/", "."),
        [source],
        depends=sorted(path.relative_to(ROOT).as_posix() for path in included),
        include_dirs=["glyph_fast"],  # the generated C lies elsewhere
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=macros,
        undef_macros=undefine,
        optional=MODE == "auto",
    )


def switches_changed(stamp: Path) -> bool:
    """Whether the last build here had other switches; time stamps alone would not tell."""
    now = f"debug={DEBUG} sanitize={SANITIZE} python={sys.version_info[:2]}\n"
    if stamp.exists() and stamp.read_text() == now:
        return False
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(now)
    return True


class BuildCore(build_ext):
    """Cython to C to extension; with `auto`, a failure on the way leaves the pure package."""

    def copy_extensions_to_source(self) -> None:
        """Put a new file beside the source: a server may be running from the old one."""
        for ext in self.extensions:
            Path(self.get_ext_filename(ext.name)).unlink(missing_ok=True)
        super().copy_extensions_to_source()

    def build_extension(self, ext: Extension) -> None:
        try:
            self.compile(ext)
        except Exception as exc:
            # Whatever it was (no compiler, no headers, no Cython), `auto` promises a package that
            # works. Whoever needs the compiled core says `yes` and gets the error itself.
            if MODE == "yes":
                raise
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)  # an earlier build's
            if ext.name == "glyph_fast._core":  # what else there is has no reason of its own
                warn_pure(exc)

    def compile(self, ext: Extension) -> None:
        from Cython.Build import cythonize

        if switches_changed(ROOT / GENERATED / "switches.txt"):
            self.force = True
        ext.sources = cythonize(
            [ext],
            build_dir=GENERATED,
            compiler_directives=DIRECTIVES,
            force=self.force,
        )[0].sources
        super().build_extension(ext)


def warn_pure(exc: Exception) -> None:
    """Say on stderr, impossible to overlook, that the compiled core is missing and why."""
    line = "*" * 80
    print(
        f"{line}\n"
        "WARNING: glyph-fast could not build its compiled core and installs the pure Python one,\n"
        "WARNING: which serves the same but several times slower. The reason:\n"
        f"WARNING:   {type(exc).__name__}: {exc}\n"
        "WARNING: With a C compiler and Python's headers, GLYPH_FAST_BUILD=yes shows more.\n"
        f"{line}",
        file=sys.stderr,
        flush=True,
    )


setup(
    ext_modules=[] if MODE == "no" else extensions(),
    cmdclass={"build_ext": BuildCore},
)
