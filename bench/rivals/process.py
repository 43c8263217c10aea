"""Starts one server on one CPU, waits until it accepts, and ends it by its own process group."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .catalogue import ROOT, SERVERS, Rival, certificate

_START = 20.0  # seconds a server may take to listen
_STOP = 5.0  # seconds it may take to end before it is killed


class RunFailed(Exception):
    """A server did not come up, or a run did not end well; the text is what was said last."""


@contextmanager
def serving(
    rival: Rival, cache: Path, cpu: int | None, *, logs: Path | None = None
) -> Iterator[tuple[int, int]]:
    """Run the server for the length of the block; yields its port and process id."""
    port = free_port()
    environment = {
        **os.environ,
        "PORT": str(port),
        "NODE_PATH": str(cache / "node" / "node_modules"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **(_tls(cache) if rival.tls else {}),
        **rival.environment,
    }
    log = (logs or cache / "logs") / f"{rival.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Ours is found from the project's root, every other beside its program.
    home = ROOT if rival.needs == "ours" else SERVERS
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                pinned(rival.command(cache, port), cpu),
                env=environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as exc:
            raise RunFailed(str(exc)) from None
    try:
        _wait_until_listening(process, port, log)
        yield port, process.pid
    finally:
        _stop(process)


def _tls(cache: Path) -> dict[str, str]:
    cert, key = certificate(cache)
    return {"TLS_CERT": str(cert), "TLS_KEY": str(key)}


def pinned(command: list[str], cpu: int | None) -> list[str]:
    """The command, kept on one CPU."""
    taskset = shutil.which("taskset")
    return command if cpu is None or taskset is None else [taskset, "-c", str(cpu), *command]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RunFailed(f"ended with status {process.returncode}: {_tail(log)}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            # the server announces nothing that all of them have in common: ask again soon
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    raise RunFailed(f"does not listen after {_START:g} s: {_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)  # its workers too
        except ProcessLookupError:
            pass
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            continue
    process.wait(_STOP)
