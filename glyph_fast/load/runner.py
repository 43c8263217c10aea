"""Runs a mode."""

from __future__ import annotations

from ..errors import ConnectionClosed
from .churn import run_churn
from .connect import run_connect
from .echo import Echo
from .fanout import FanOut
from .options import Options
from .process import ServerProcess, find_listener
from .report import Report
from .steady import Progress, run_steady
from .swarm import LoadError, ended_by


def run(options: Options, progress: Progress | None = None) -> Report:
    """Do what `options` ask and report.

    Raises LoadError when the server's answers are wrong, late or missing, OpeningFailed when it
    refuses a handshake, OSError when it is not there.
    """
    try:
        return _run(options, progress)
    except ConnectionClosed as exc:  # of one that has ended, and of which no turn has told yet
        raise LoadError(f"a connection was {ended_by(exc.code, exc.reason)}") from None


def _run(options: Options, progress: Progress | None) -> Report:
    server = find_server(options)
    if options.mode == "connect":
        return run_connect(options, server, progress)
    if options.mode == "churn":
        return run_churn(options, server, progress)
    workload = Echo(options) if options.mode == "echo" else FanOut(options)
    return run_steady(workload, server, progress)


def find_server(options: Options) -> ServerProcess | None:
    """The server's process, told or found by its port; None when it is not on this machine."""
    pid = options.pid
    if pid is None and options.host in ("127.0.0.1", "localhost", "::1"):
        pid = find_listener(options.port)
    return ServerProcess(pid) if pid is not None else None
