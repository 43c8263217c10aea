"""The programs of `programs/` and the server they talk to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.nodejs import MODULE, runtime
from tests.serving import ROOT, ServeProcess, serving

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
WITHIN_S = 100.0  # less than pytest's own time-out, which ends everything


def command(engine: str, name: str) -> list[str]:
    """What runs a program of `programs/` with the library that it is about."""
    if engine == "python":  # in which what is forgotten is told
        return [sys.executable, "-X", "dev", "-W", "error", str(PROGRAMS / f"{name}.py")]
    return [*runtime(engine), str(PROGRAMS / f"{name}.mjs"), str(MODULE)]


class Program:
    """A program of `programs/` while it runs, by `node`, `bun`, `deno` or `python`."""

    def __init__(self, engine: str, name: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [*command(engine, name), *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._timer = threading.Timer(WITHIN_S, self._process.kill)
        self._timer.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def heard(self) -> Any:
        """What it tells next."""
        line = self._out.readline()
        if not line:
            self._fail()
        return json.loads(line)

    def say(self, line: str) -> None:
        """Tell it something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def over(self, answer: Callable[[Any], None] | None = None) -> None:
        """It comes to its end by itself, once its clients are closed: nothing else holds it."""
        while (line := self._out.readline()) != "over\n":
            if not line or answer is None:
                self._fail()
            answer(json.loads(line))
        if self._process.wait(WITHIN_S):
            self._fail()

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _fail(self) -> None:
        self._process.kill()
        assert self._process.stderr is not None
        said = self._process.stderr.read()
        # The library is one long line, which V8 shows.
        shown = "\n".join(line[:200] for line in said.splitlines())
        pytest.fail(f"the program failed: {shown[-4000:]}", pytrace=False)


@contextmanager
def app(*options: str, port: int = 0) -> Iterator[ServeProcess]:
    """The server of `app.py`."""
    with serving("app:server", *options, cwd=HERE, port=port) as server:
        yield server
