"""What it costs to be watched: `python -m bench.overhead`.

The same server, twice. *Off*: no operators' port, and a log of warnings only. *On*: the operators'
port with `/metrics` scraped and a dashboard fed once a second, and an access line for every
connection. Server CPU is compared, per message and per second of standing by with 10,000 idle
connections; the two alternate, each sample is a fresh process, and a difference counts only
when the samples of both sides stand apart.

Counting itself cannot be switched off, so it is in both; `bench/instructions` counts that.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from websockets.sync.client import connect

from .compare import verdict
from .rivals.catalogue import BY_NAME, ROOT, Rival
from .rivals.comparison import Plan, commit, describe_machine, run_client
from .rivals.process import RunFailed, free_port, serving
from .rivals.works import BY_NAME as WORKS
from .rivals.works import Figure, Work

INTERVAL_S = 1.0  # between two scrapes; the dashboard's own is the same
TARGET = 0.03
SIDES = ("off", "on")


def _standing_by(report: Mapping[str, Any]) -> float | None:
    value: float | None = report["server"]["idle_cpu_us_per_second"]
    return None if value is None else value / 1000


def works(connections: int) -> list[Work]:
    """What is done; standing by is with so many connections."""
    arguments = ("--mode", "connect", "-c", str(connections), "-p", "64", "--hold", "10")
    title = f"standing by for a second, {connections:,} idle connections"
    idle = Figure("idle", title, "ms", _standing_by)
    chosen = [WORKS[name] for name in ("echo-64-1", "echo-64-16", "fan-out-1000-8")]
    return [*chosen, Work("idle", "/idle", arguments, (idle,), is_timed=False)]


@dataclass
class Watchers:
    """Whoever scrapes and whoever has the dashboard open; both say how often they were told."""

    scrapes: int = 0
    figures: int = 0
    failures: list[str] = field(default_factory=list)

    def scrape(self, port: int, stop: threading.Event) -> None:
        """Scrape until told to stop."""
        while not stop.wait(INTERVAL_S):
            try:
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                client.request("GET", "/metrics")
                answer = client.getresponse()
                if answer.status != 200 or b"glyph_fast_connections " not in answer.read():
                    raise ValueError(f"status {answer.status}")
                client.close()
            except (OSError, ValueError, http.client.HTTPException) as exc:
                self.failures.append(repr(exc))
            else:
                self.scrapes += 1

    def look(self, port: int, stop: threading.Event) -> None:
        """Have the dashboard open until told to stop."""
        with connect(f"ws://127.0.0.1:{port}/live", proxy=None, max_size=None) as socket:
            while not stop.is_set():
                try:
                    json.loads(socket.recv(timeout=INTERVAL_S))
                except TimeoutError:
                    continue
                self.figures += 1


@contextmanager
def watching(port: int) -> Iterator[Watchers]:
    """Both at work for the length of the block. Raises RunFailed when one was not answered."""
    watchers, stop = Watchers(), threading.Event()
    threads = [
        threading.Thread(target=each, args=(port, stop), daemon=True)
        for each in (watchers.scrape, watchers.look)
    ]
    for thread in threads:
        thread.start()
    try:
        yield watchers
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    if watchers.failures or not watchers.scrapes or not watchers.figures:
        raise RunFailed(f"nobody was told: {watchers}")


def sample(plan: Plan, work: Work, side: str) -> dict[str, Any]:
    """One fresh server with or without watchers, and one run of the client; its report."""
    ours, admin = BY_NAME["glyph-fast"], free_port()
    options = {
        "off": ("--log-level", "warning"),
        "on": ("--log-level", "info", "--admin", f"127.0.0.1:{admin}"),
    }[side]

    def command(cache: Path, port: int) -> list[str]:
        return [*ours.command(cache, port), *options]

    server: Rival = replace(ours, command=command)
    arguments = ["--max-duration", str(plan.max_duration), "--timeout", "30"]
    if work.is_timed:
        arguments += ["--server-cpu", str(plan.server_cpu), "--duration", str(plan.duration)]
    timeout = plan.max_duration + 120

    def run(port: int, pid: int) -> dict[str, Any]:
        return run_client(work, port, pid, arguments, cpu=plan.client_on, timeout=timeout)

    with serving(server, plan.cache, plan.server_on) as (port, pid):
        if side == "off":
            return run(port, pid)
        with watching(admin) as watchers:
            report = run(port, pid)
    return {**report, "scrapes": watchers.scrapes, "figures": watchers.figures}


def measure(plan: Plan, say: Callable[[str], object] = print) -> dict[str, dict[str, list[float]]]:
    """Every work on both sides in turn: samples by work and side."""
    found: dict[str, dict[str, list[float]]] = {}
    for work in plan.works:
        (figure,) = work.figures
        sides = found[work.name] = {side: [] for side in SIDES}
        for repetition in range(plan.repetitions):
            for side in SIDES if repetition % 2 == 0 else reversed(SIDES):
                value = figure.extract(sample(plan, work, side))
                if value is None:
                    raise RunFailed(f"{work.name}: the client could not see the server's CPU")
                sides[side].append(value)
                say(f"{figure.title} {repetition + 1}/{plan.repetitions} {side}: {value:.4g}")
    return found


def judge(figure: Figure, sides: Mapping[str, Sequence[float]]) -> str:
    """The last column: the change where it can be told; of standing by, the share of a CPU."""
    off, on = (median(sides[side]) for side in SIDES)
    if figure.unit == "ms":
        return f"{(on - off) / 1000:+.2%} of a CPU"
    words = verdict(sides["off"], sides["on"])
    return words if "%" in words else f"{on / off - 1:+.1%}, {words}"


def markdown(document: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    """The table, with the machine it was taken on."""
    machine = ", ".join(f"{key} {value}" for key, value in document["machine"].items())
    lines = [
        f"# Overhead, {document['date']}",
        "",
        f"Commit {document['commit']}; {machine}. Server CPU; median and, in brackets, least and",
        f"greatest of {document['repetitions']} samples a side, in turn. The target is under"
        f" {TARGET:.0%}.",
        "",
        "| | unit | off | on | difference |",
        "|---|---|--:|--:|--:|",
    ]
    for figure in figures:
        sides = document["figures"][figure.name]
        shown = [
            f"{median(sides[side]):.4g} ({min(sides[side]):.4g}–{max(sides[side]):.4g})"
            for side in SIDES
        ]
        cells = (figure.title, figure.unit, *shown, judge(figure, sides))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare being watched with not, and write results/<date>-overhead.json and .md."""
    parser = argparse.ArgumentParser(prog="python -m bench.overhead", description=main.__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--connections", type=int, default=10_000, help="that stand by")
    parser.add_argument("--server-cpu", type=float, default=2.0, metavar="S", help="per sample")
    parser.add_argument("--only", help="of echo-64-1, echo-64-16, fan-out-1000-8, idle")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args(arguments)
    wanted = options.only.split(",") if options.only else None
    chosen = [each for each in works(options.connections) if not wanted or each.name in wanted]
    with TemporaryDirectory() as cache:
        plan = Plan(
            Path(cache), [], chosen, repetitions=options.repetitions, server_cpu=options.server_cpu,
            max_duration=60.0,
        )  # fmt: skip
        samples = measure(plan)
    document = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit(),
        "machine": describe_machine(),
        "repetitions": options.repetitions,
        "figures": {work.figures[0].name: samples[work.name] for work in chosen},
    }
    text = markdown(document, [work.figures[0] for work in chosen])
    options.output.mkdir(parents=True, exist_ok=True)
    name = options.output / f"{document['date']}-overhead"
    name.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    name.with_suffix(".md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
