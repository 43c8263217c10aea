"""How cost grows with size: `python -m bench.growth`. A curve that bends upward is a defect.

Each point is a fresh server. What surrounds the measured work (idle connections, other rooms) is
held by this process; the work itself is the load generator's, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glyph_fast.load.connect import Connect
from glyph_fast.load.options import Options
from glyph_fast.load.page import STYLE
from glyph_fast.load.plot import Plot
from glyph_fast.load.process import ServerProcess
from glyph_fast.load.swarm import Swarm

from .rivals.catalogue import BY_NAME, CACHE, ROOT
from .rivals.comparison import describe_machine, start_client
from .rivals.process import RunFailed, serving
from .rivals.works import Work

_ROOMS_EACH = 100  # rooms that one surrounding connection joins: the default limit


@dataclass(frozen=True)
class Point:
    """One measurement: `x`, what surrounds it, and what is done."""

    x: int
    path: str
    arguments: tuple[str, ...]
    around: Sequence[str] = ()  # paths of connections that are held meanwhile
    serve: Sequence[str] = ()  # options of `glyph-fast serve` beyond the bench's own


@dataclass(frozen=True)
class Series:
    """Points along one axis. `memory` is of the whole server, else CPU per unit is shown."""

    name: str
    title: str
    points: Sequence[Point]
    has_memory: bool = False


def _members() -> Iterator[Point]:
    for n in (10, 30, 100, 300, 1000, 3000, 10_000, 15_000):
        arguments = ("--mode", "fan-out", "-c", str(n), "-s", "128", "-p", "8")
        yield Point(n, "/room/bench", arguments)


def _sizes() -> Iterator[Point]:
    for power in range(4, 21, 2):
        arguments = ("--mode", "echo", "-c", "8", "-s", str(1 << power), "-p", "2")
        yield Point(1 << power, "/echo", arguments, serve=("--max-message-size", "2MiB"))


def _connections() -> Iterator[Point]:
    for n in (100, 300, 1000, 3000, 10_000, 15_000):
        yield Point(n, "/echo", ("--mode", "echo", "-p", "4"), ["/idle"] * n)


def _rooms() -> Iterator[Point]:
    for n in (1, 10, 100, 1000, 10_000, 100_000):
        around = [
            f"/many/{first}/{min(_ROOMS_EACH, n - first)}" for first in range(0, n, _ROOMS_EACH)
        ]
        arguments = ("--mode", "fan-out", "-c", "100", "-s", "128", "-p", "8")
        yield Point(n, "/room/bench", arguments, around)


SERIES = (
    Series("members", "CPU per delivery against members of the room", list(_members())),
    Series("sizes", "CPU per echo against message size in bytes", list(_sizes())),
    Series(
        "connections",
        "CPU per echo against idle connections beside it",
        list(_connections()),
        has_memory=True,
    ),
    Series(
        "rooms",
        "CPU per delivery against other rooms in the server",
        list(_rooms()),
        has_memory=True,
    ),
)


@contextmanager
def surroundings(port: int, paths: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Hold a connection to each path; yields what must be called now and then to serve them."""
    if not paths:
        yield lambda: None
        return
    options = Options(url=f"ws://127.0.0.1:{port}/", mode="connect", connections=len(paths))
    workload = Connect(options)
    swarm = Swarm(options, workload)
    try:
        for index, path in enumerate(paths):
            swarm.connect(index, target=path)
            if index % 64 == 63:
                swarm.run_until(lambda n=index: workload.opened_now >= n - 64, "handshakes", 30)  # type: ignore[misc]
        swarm.run_until(lambda: workload.opened_now == len(paths), "handshakes", 30)
        yield lambda: void(swarm.turn(0.05))
    finally:
        swarm.close()


def void(_: object) -> None:
    """Drop a result."""


def measure(point: Point, server_cpu: float, name: str = "glyph-fast") -> dict[str, Any]:
    """One point: CPU per unit in µs, the server's memory in bytes."""
    work = Work(name, point.path, point.arguments, ())
    rival = BY_NAME[name]
    command = rival.command
    rival = replace(rival, command=lambda cache, port: [*command(cache, port), *point.serve])
    extra = ["--server-cpu", str(server_cpu), "--duration", "1", "--max-duration", "20"]
    with (
        TemporaryDirectory() as logs,
        serving(rival, CACHE, 0, logs=Path(logs)) as (port, pid),
        surroundings(port, point.around) as serve,
    ):
        rss = ServerProcess(pid).rss_bytes()
        with start_client(work, port, pid, extra, cpu=1) as client:
            while client.is_running():
                serve()
            report = client.report()
    return {"x": point.x, "cpu_us": report["server"]["cpu_us"], "rss_bytes": rss}


def page(found: dict[str, Any]) -> str:
    """All series as plots."""
    parts = []
    for series in SERIES:
        points = found["series"].get(series.name)
        if not points:
            continue
        parts.append(f"<h2>{escape(series.title)}</h2>{_plot(points, 'cpu_us', '{:g} µs', 1)}")
        if series.has_memory:
            words = f"Memory of the server, the same {series.name}"
            parts.append(f"<h2>{words}</h2>{_plot(points, 'rss_bytes', '{:g} MB', 1e6)}")
    machine = ", ".join(f"{value}" for value in found["machine"].values())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>growth</title><style>{STYLE}</style><h1>How cost grows</h1>"
        f"<p>{escape(found['date'])}; {escape(machine)}</p>{''.join(parts)}</html>\n"
    )


def _plot(points: Sequence[dict[str, Any]], key: str, text: str, unit: float) -> str:
    line = [(math.log10(point["x"]), point[key] / unit) for point in points]
    first = line[0][0]
    ticks = [(x - first, f"{point['x']:,}") for (x, _), point in zip(line, points, strict=True)]
    shifted = [(x - first, y) for x, y in line]
    return Plot(shifted, x_ticks=ticks, y_text=text.format, label=key).render()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every series and write results/<date>-growth.json and .html."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=main.__doc__)
    parser.add_argument("--only", help=f"of {', '.join(series.name for series in SERIES)}")
    parser.add_argument("--points", type=int, help="only the first so many of each")
    parser.add_argument("--server-cpu", type=float, default=2.0, metavar="S")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args(arguments)
    now = time.strftime("%Y-%m-%d", time.gmtime())
    found: dict[str, Any] = {"date": now, "machine": describe_machine(), "series": {}}
    status = 0
    for series in SERIES:
        if options.only and series.name not in options.only.split(","):
            continue
        for point in series.points[: options.points]:
            try:
                figures = measure(point, options.server_cpu)
            except RunFailed as exc:
                print(f"{series.name} {point.x:,}: failed: {exc}", file=sys.stderr)
                status = 1
                continue
            found["series"].setdefault(series.name, []).append(figures)
            print(f"{series.name} {point.x:,}: {figures['cpu_us']} µs", flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{now}-growth.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.output / f"{now}-growth.html").write_text(page(found))
    return status


if __name__ == "__main__":
    sys.exit(main())
