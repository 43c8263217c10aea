"""A real server whose process may be replaced by another one, which the test ends as well.

with succession("app:server", cwd=folder) as service:
    service.restart()                  # SIGHUP; returns when the new process serves
    assert service.url is still good
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.backend import Backend
from tests.serving import ROOT, STOP_S, ServeProcess

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
WITHIN_S = 30.0

APP = """
import os
from glyph_fast import Server

server = Server()


@server.on_message()
def echo(ctx):
    ctx.conn.send(ctx.message.raw)


@server.get("/version")
def version(request):
    return {"version": VERSION, "pid": os.getpid()}
"""


def program(version: int) -> str:
    """A Python program that echoes and tells its version at `/version`."""
    return f"VERSION = {version}\n{APP}"


def options_of(backend: Backend) -> list[str]:
    """What has a server use this engine and this loop."""
    return ["--engine", backend.engine, "--loop", backend.loop, "--log-level", "info"]


class Service(ServeProcess):
    """A server of several processes, one after the other; `pid` is the one that serves."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pid = self.process.pid
        self._read = 0

    def logged(self, pattern: str) -> re.Match[str]:
        """Wait until the log has a line with `pattern` that was not returned before."""
        end = time.monotonic() + WITHIN_S
        while not (found := re.compile(pattern).search(self.log(), self._read)):
            if time.monotonic() > end:
                pytest.fail(f"no {pattern!r} in the log\n{self.log()}", pytrace=False)
            time.sleep(0.01)
        self._read = found.end()
        return found

    def said(self) -> str:
        """The address in the next line on stdout, of whichever process."""
        return self._first_line().rpartition(" on ")[2].rstrip()

    def restart(self) -> int:
        """Have the process replaced, and return the id of the new one."""
        os.kill(self.pid, signal.SIGHUP)
        self.pid = int(self.logged(r"handed over pid=(\d+)")[1])
        return self.pid

    def end(self) -> int:
        """Ask the process that serves to stop, and return its exit status."""
        if self.pid == self.process.pid:
            return self.stop()
        os.kill(self.pid, signal.SIGTERM)
        return wait(self.pid)


def get(service: Service, path: str = "/version", url: str = "", data: bytes | None = None) -> Any:
    """The JSON that the service, or an address given, answers; to a POST where there is data."""
    target = (url or service.url) + path
    with urllib.request.urlopen(target, data, timeout=WITHIN_S) as answer:
        return json.load(answer)


def wait(pid: int) -> int:
    """The exit status of a process we have adopted."""
    end = time.monotonic() + STOP_S
    while time.monotonic() < end:
        with suppress(ChildProcessError):  # its own parent has not ended yet
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail(f"process {pid} was still running", pytrace=False)


@contextmanager
def adopting() -> Iterator[None]:
    """Be the parent of processes whose own has ended, so that they can be waited for."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@contextmanager
def succession(*arguments: str, **options: Any) -> Iterator[Service]:
    """A service for the length of a `with`; its last process must end with status 0."""
    with adopting():
        service = Service(*arguments, **options)
        try:
            yield service
            if (status := service.end()) != 0:
                pytest.fail(f"ended with status {status}\n{service.log()}", pytrace=False)
            assert service.process.wait(STOP_S) == 0
        finally:
            for pid in {int(each) for each in re.findall(r" pid=(\d+)", service.log())}:
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            if service.process.poll() is None:
                service.kill()
            service.release()


def first_of_a_container(app: Path, source: str, *options: str) -> subprocess.Popen[bytes]:
    """`serve` with process id 1 of a namespace of its own."""
    (app / "app.py").write_text(source)
    command = [sys.executable, "-m", "glyph_fast", "serve", "app:server", "--port", "0", *options]
    return subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", *command],
        cwd=app, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
