"""A real `glyph-fast serve` in its own process, for tests that meet it from outside.

    with serving("echo:server", cwd=ECHO) as server:
        ... connect(server.ws("/ws"))

The port is read from the first line the server prints. Whatever the test does, the process is gone
afterwards, ended by its own id.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import pytest

import glyph_fast

ROOT = Path(__file__).resolve().parent.parent
START_S = 30.0  # a first start compiles byte code
WORKERS = "GLYPH_FAST_WORKERS"  # of servers whose test does not say it, with `pytest --workers`
STOP_S = 20.0  # more than the default of --drain-timeout

_LISTENING = re.compile(r"glyph-fast listening on ((https?)://.+:(\d+)|unix:.+)\n")

_RUN_SCRIPT = """
import functools, runpy, sys
from glyph_fast import Server
Server.run = functools.partialmethod(Server.run, port=int(sys.argv[2]))
runpy.run_path(sys.argv[1], run_name="__main__")
"""


class ServeProcess:
    """One running `glyph-fast serve`; `url` and `port` are known once it listens.

    `prefix` is a command that runs the command after it; it gets the descriptors `fds`.
    """

    workers = 1  # where the arguments do not say how many; `pytest --workers` sets it

    def __init__(
        self,
        *arguments: str,
        cwd: Path = ROOT,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        script: str | None = None,
        prefix: Sequence[str] = (),
        fds: Sequence[int] = (),
    ) -> None:
        self._log = TemporaryFile()  # a pipe that nobody reads would stop the server
        command = [sys.executable, "-m", "glyph_fast", "serve", *arguments, "--port", str(port)]
        if script is not None:
            command = [sys.executable, "-c", _RUN_SCRIPT, script, str(port)]
        # The package under test is the one imported here, be it installed or a source tree.
        package = str(Path(glyph_fast.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        many = {WORKERS: str(self.workers)} if self.workers > 1 else {}
        self.process = subprocess.Popen(
            [*prefix, *command],
            cwd=cwd,
            pass_fds=fds,
            env={**os.environ, "PYTHONPATH": path, **many, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        try:
            line = self._first_line()
            found = _LISTENING.fullmatch(line)
            if not found:
                pytest.fail(f"first line of {command}: {line!r}\n{self.log()}", pytrace=False)
        except BaseException:
            self.kill()
            self.release()
            raise
        self.port = int(found[3] or 0)
        self.url = found[1]

    def ws(self, path: str) -> str:
        """The WebSocket URL of `path`."""
        return self.url.replace("http", "ws", 1) + path

    def log(self) -> str:
        """What the server wrote to stderr so far."""
        log = self._log.fileno()  # whose position is the server's as well, so it must not move
        return os.pread(log, os.fstat(log).st_size, 0).decode(errors="replace")

    def kill(self) -> None:
        """End it as a crash would: no handler runs, no close frame is sent."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_S)

    def stop(self) -> int:
        """Ask it to stop, as an operator would, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"still running {STOP_S:g} s after SIGTERM\n{self.log()}", pytrace=False)

    def release(self) -> None:
        """Close this side of its pipes."""
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        stdout, line, deadline = self.process.stdout.fileno(), b"", time.monotonic() + START_S
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(stdout, 1) if ready else b""
            if not chunk:
                why = f"after {START_S:g} s" if not ready else f"exit {self.process.wait(STOP_S)}"
                pytest.fail(f"the server does not listen ({why})\n{self.log()}", pytrace=False)
            line += chunk
        return line.decode()


@contextmanager
def serving(
    *arguments: str,
    cwd: Path = ROOT,
    port: int = 0,
    env: Mapping[str, str] | None = None,
    script: str | None = None,
) -> Iterator[ServeProcess]:
    """A server for the length of a `with`; killed by the test or stopped here with status 0.

    With `script`, what `python SCRIPT` starts, except that the port is free to choose.
    """
    server = ServeProcess(*arguments, cwd=cwd, port=port, env=env, script=script)
    try:
        yield server
        if server.process.poll() is None and (status := server.stop()) != 0:
            pytest.fail(f"the server ended with status {status}\n{server.log()}", pytrace=False)
    finally:
        if server.process.poll() is None:
            server.kill()
        server.release()
