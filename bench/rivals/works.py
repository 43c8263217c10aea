"""The rows of the comparison: what the client does, and which figures are read from its report.

Server CPU per message is what is compared: it does not depend on the client's speed or on the
other CPU, and the CPU a server needs is what limits it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Extract = Callable[[Mapping[str, Any]], float | None]


@dataclass(frozen=True)
class Figure:
    """One number of the table."""

    name: str
    title: str
    unit: str
    extract: Extract


@dataclass(frozen=True)
class Work:
    """One run of the load generator, the same for every server."""

    name: str
    path: str
    arguments: tuple[str, ...]
    figures: tuple[Figure, ...]
    is_timed: bool = True  # goes on until enough server CPU was used
    servers: frozenset[str] | None = None  # the names of those that can; None: all


def _cpu(report: Mapping[str, Any]) -> float | None:
    value: float | None = report["server"]["cpu_us"]
    return value


def _memory(report: Mapping[str, Any]) -> float | None:
    value: float | None = report["server"]["rss_per_connection"]
    return value


def _idle(report: Mapping[str, Any]) -> float | None:
    value: float | None = report["server"]["idle_cpu_us_per_second"]
    return None if value is None else value / report["options"]["connections"]


def _echo(name: str, title: str, size: int, in_flight: int) -> Work:
    arguments = ("--mode", "echo", "-c", "64", "-s", str(size), "-p", str(in_flight))
    return Work(name, "/echo", arguments, (Figure(name, title, "µs", _cpu),))


def _fan_out(members: int, in_flight: int) -> Work:
    name = f"fan-out-{members}-{in_flight}"
    title = f"fan-out to {members:,}, 128 B, {in_flight} in flight"
    arguments = ("--mode", "fan-out", "-c", str(members), "-s", "128", "-p", str(in_flight))
    return Work(name, "/room/bench", arguments, (Figure(name, title, "µs", _cpu),))


# What users of each write: a handler of ours, JSON.parse and JSON.stringify, orjson.
_JSON_SERVERS = frozenset(
    ("glyph-fast", "glyph-fast-asyncio", "glyph-fast-python", "bun", "websockets")
)


def _json(kind: str, path: str, title: str, in_flight: int) -> Work:
    name = f"{kind}-{in_flight}"
    figure = Figure(name, f"{title}, 200 B, {in_flight} in flight", "µs", _cpu)
    arguments = ("--mode", "echo", "-c", "64", "-s", "200", "-p", str(in_flight))
    return Work(name, path, (*arguments, "--event", "move"), (figure,), servers=_JSON_SERVERS)


_CONNECT = ("--mode", "connect", "-c", "5000", "-p", "64")

WORKS = (
    _echo("echo-64-1", "echo, 64 B, 1 in flight", 64, 1),
    _echo("echo-64-16", "echo, 64 B, 16 in flight", 64, 16),
    _echo("echo-16k-1", "echo, 16 KiB, 1 in flight", 16384, 1),
    _fan_out(100, 8),
    _fan_out(1000, 8),
    _fan_out(5000, 8),
    _fan_out(1000, 1),
    *(_json("json", "/json", "JSON event", in_flight) for in_flight in (1, 16)),
    *(_json("json-typed", "/json-typed", "typed event", in_flight) for in_flight in (1, 16)),
    Work(
        "connect",
        "/echo",
        _CONNECT,
        (
            Figure("connect", "connect, 5,000 at 64 a time", "µs", _cpu),
            Figure("idle-memory", "memory of an idle connection", "B", _memory),
            Figure("idle-cpu", "CPU of an idle connection, per second", "µs", _idle),
        ),
    ),
    Work(
        "browser",
        "/echo",
        (*_CONNECT, "--browser-head", "--hold", "0"),
        (Figure("browser-memory", "memory after a browser's head", "B", _memory),),
        is_timed=False,
    ),
)

BY_NAME = {work.name: work for work in WORKS}
FIGURES = {figure.name: figure for work in WORKS for figure in work.figures}
