"""The quick tests on every Python that glyph-fast serves on and this machine has.

    nox                                 each of them; those that are not there are named as skipped
    nox -s tests-3.12                   one
    nox -s tests-3.12 -- tests/hub      less of it: arguments go to ci/test

Each has an environment of its own in .nox, with the package, its compiled core and the `test`
extras. Interpreters are looked for where pyenv keeps them, then on the path.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
QUICK = "not slow and not browser"


def with_pyenv(path: str) -> str:
    """A search path that finds `python3.12` of pyenv itself, not the shim that may refuse."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [str(each) for version in PYTHONS for each in root.glob(f"versions/{version}.*/bin")]
    return os.pathsep.join([*folders, path])


os.environ["PATH"] = with_pyenv(os.environ["PATH"])
nox.options.error_on_missing_interpreters = False  # a skipped session says that it is missing
nox.options.reuse_venv = "yes"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The quick suite, on both cores."""
    session.install("--editable", ".[test]", env={"GLYPH_FAST_BUILD": "no"})
    python = str(Path(session.bin) / "python")
    arguments = ["-q", "-m", QUICK, *session.posargs]
    session.run("ci/test", *arguments, env={"PYTHON": python}, external=True)
