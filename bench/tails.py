"""How late the latest are, beside other servers: `python -m bench.tails`. Prints a page for
`results/`.

For each server and load a closed loop finds first how many messages a second it takes, in the same
minute and process. Then messages are due at fixed times, half as many and nine tenths of that, and
a latency counts from when its message was due: a server that stalls for a moment is late for all
that were due in it. Of a room the last member counts. Servers alternate, each sample is a fresh
process, every answer is compared by the load generator, and figures are medians of the samples.

A reload is measured by clients that come at fixed times, each of which connects and gets one
answer: connections are not carried over, but nobody who comes may be refused, or wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from .rivals.catalogue import BY_NAME, CACHE, Rival
from .rivals.comparison import commit, describe_machine, run_client
from .rivals.process import RunFailed, serving
from .rivals.table import number
from .rivals.works import Work
from .tls import ACCEPT, UPGRADE, frames

SHARES = {"half": 0.5, "nine tenths": 0.9}
PERCENTILES = ("p50", "p99", "p99.9")
COMING = 100  # clients a second, where the server is replaced meanwhile
WORKERS = "glyph-fast-workers"


@dataclass(frozen=True)
class Load:
    """One kind of load. `readers` are those who must have a message."""

    title: str
    work: Work
    readers: int = 1
    shares: Sequence[str] = tuple(SHARES)


def _load(title: str, path: str, arguments: str, readers: int, *shares: str) -> Load:
    work = Work(title, path, tuple(arguments.split()), ())
    return Load(title, work, readers, shares or tuple(SHARES))


LOADS = {
    "echo": _load("echo, 64 B, 64 connections", "/echo", "--mode echo -c 64 -s 64", 1),
    "fan-out": _load("fan-out to 100, 128 B", "/room/t", "--mode fan-out -c 100 -s 128", 100),
    "stalled": _load(
        "fan-out to 100 of whom 10 never read, 128 B",
        "/room/t",
        "--mode stalled -c 100 -s 128",
        90,
        "half",
    ),
}
IN_FLIGHT = {"echo": 1, "fan-out": 8, "stalled": 8}  # where saturation is found


@dataclass(frozen=True)
class Plan:
    """What to run, for how long, how often."""

    cache: Path
    servers: Sequence[Rival]
    loads: Sequence[str]
    seconds: float
    samples: int
    server_on: int | None
    client_on: int | None


def with_workers(rival: Rival) -> Rival:
    """The same server as two processes, which no one CPU can hold."""

    def command(cache: Path, port: int) -> list[str]:
        return [*rival.command(cache, port), "--workers", "2"]

    return replace(rival, name=WORKERS, title="glyph-fast, `--workers 2`", command=command)


SERVERS = {
    rival.name: rival
    for rival in (
        BY_NAME["glyph-fast"],
        with_workers(BY_NAME["glyph-fast"]),
        *(BY_NAME[name] for name in ("bun", "picows", "gorilla")),
    )
}


def sample(plan: Plan, name: str, rival: Rival) -> dict[str, Any]:
    """What a fresh server does under a load: its saturation, and latencies at shares of it."""
    load, is_one = LOADS[name], rival.name != WORKERS
    server_on, client_on = (plan.server_on, plan.client_on) if is_one else (None, None)
    found: dict[str, Any] = {"load": name, "server": rival.name}
    with serving(rival, plan.cache, server_on) as (port, pid):

        def run(seconds: float, *arguments: str) -> dict[str, Any]:
            given = ["--duration", str(seconds), "--warm-up", "0.2", "--timeout", "30"]
            given += arguments
            return run_client(load.work, port, pid, given, cpu=client_on, timeout=seconds + 60)

        closed = run(plan.seconds * 0.6, "--in-flight", str(IN_FLIGHT[name]))
        found["saturation"] = closed["rate"] / load.readers
        found["limit"] = closed["limit"]
        for share in load.shares:
            rate = max(found["saturation"] * SHARES[share], 1.0)  # with 0 the loop were closed
            try:
                report = run(plan.seconds, "--rate", str(rate))
            except RunFailed as exc:  # as a rule, it does not keep up
                found[share] = {"failed": str(exc)}
                continue
            taken = report["latency"]["percentiles_us"]
            latency = {key: taken[key[1:]] for key in PERCENTILES}
            busy = report["server"]["busy"]
            found[share] = {**latency, "busy": busy, "client_busy": report["client_busy"]}
    return found


def reload(plan: Plan, rival: Rival, *, is_replaced: bool) -> dict[str, Any]:
    """What those see who come while a server serves, and is replaced in the middle."""
    found: dict[str, Any] = {"server": rival.name, "is_replaced": is_replaced}
    try:
        with serving(rival, plan.cache, None) as (port, pid):
            seconds = max(plan.seconds * 2, 1.0)
            waits = sorted(asyncio.run(_come(port, seconds, pid if is_replaced else None)))
    except (OSError, EOFError, AssertionError, RunFailed) as exc:
        return {**found, "failed": repr(exc)}
    for key, share in (("p50", 0.5), ("p99", 0.99), ("greatest", 1.0)):
        found[key] = waits[min(int(len(waits) * share), len(waits) - 1)] * 1e6
    return {**found, "clients": len(waits)}


async def _come(port: int, seconds: float, pid: int | None) -> list[float]:
    """Seconds that each client waited, of whom COMING a second come."""
    begin, count = time.perf_counter(), int(seconds * COMING)

    async def client(number: int) -> float:
        due = begin + number / COMING
        await asyncio.sleep(due - time.perf_counter())
        if pid is not None and number == count // 3:
            os.kill(pid, signal.SIGHUP)
        await _ask(port)
        return time.perf_counter() - due

    async with asyncio.timeout(seconds + 60):
        return await asyncio.gather(*map(client, range(count)))


async def _ask(port: int) -> None:
    question, answer = frames(64)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(UPGRADE.replace(b"/ws", b"/echo"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and ACCEPT in head, head
        writer.write(question)
        assert await reader.readexactly(len(answer)) == answer
    finally:
        writer.transport.abort()


def measure(plan: Plan) -> dict[str, Any]:
    """Every sample, and what went wrong."""
    runs: list[dict[str, Any]] = []
    reloads: list[dict[str, Any]] = []
    for _ in range(plan.samples):
        for name in plan.loads:
            for rival in plan.servers:
                _note(f"{name} {rival.name}")
                try:
                    runs.append(sample(plan, name, rival))
                except RunFailed as exc:
                    runs.append({"load": name, "server": rival.name, "failed": str(exc)})
        for rival in plan.servers:
            if rival.needs == "ours":
                for is_replaced in (False, True):
                    _note(f"reload {rival.name} {is_replaced}")
                    reloads.append(reload(plan, rival, is_replaced=is_replaced))
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        "machine": describe_machine(),
        "plan": {"seconds": plan.seconds, "samples": plan.samples},
        "runs": runs,
        "reloads": reloads,
    }


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def page(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    machine, plan = found["machine"], found["plan"]
    lines = [
        f"# Tail latency, {found['date']}",
        "",
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['system']}, Python "
        f"{machine['python']}; load average {machine['load_average']} at the end. Commit "
        f"{found['commit']}.",
        "",
        f"Medians of {plan['samples']} samples of {plan['seconds']:g} s, µs from when a message was"
        " due; in brackets the least and the greatest. The server is on one CPU and the client on"
        " the other; with two workers nothing is. *Busy* is the server's and the client's share of"
        " a CPU. Printed by `python -m bench.tails`.",
    ]
    for name, load in LOADS.items():
        runs = [run for run in found["runs"] if run["load"] == name]
        if runs:
            lines += ["", f"## {load.title}", "", *_table(load, runs), *_beside_bun(load, runs)]
    if found["reloads"]:
        lines += ["", f"## Clients that come, {COMING} a second", ""]
        lines += _reloads(found["reloads"])
    return "\n".join(lines)


def _table(load: Load, runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    columns = [f"{share}: {key}" for share in load.shares for key in (*PERCENTILES, "busy")]
    yield "| server | messages/s at most | " + " | ".join(columns) + " |"
    yield "|---|" + "--:|" * (len(columns) + 1)
    for server in dict.fromkeys(run["server"] for run in runs):
        own = [run for run in runs if run["server"] == server]
        fit = [run for run in own if "failed" not in run]
        if not fit:
            yield f"| {SERVERS[server].title} | failed: {own[0]['failed']} |"
            continue
        limits = "/".join(sorted({run["limit"] for run in fit}))
        cells = [f"{median(run['saturation'] for run in fit):,.0f} ({limits})"]
        for share in load.shares:
            cells += _cells([run[share] for run in fit])
        yield f"| {SERVERS[server].title} | " + " | ".join(cells) + " |"


def _beside_bun(load: Load, runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    parts = []
    for share in load.shares:
        ours, bun = (
            [
                run[share]["p99"]
                for run in runs
                if run["server"] == name and "p99" in run.get(share, ())
            ]
            for name in ("glyph-fast", "bun")
        )
        if ours and bun:
            parts.append(f"{median(ours) / median(bun):.2f} ({share})")
    if parts:
        yield ""
        where = "each at shares of its own most"
        yield f"The p99 of glyph-fast is {' and '.join(parts)} of Bun's, {where}."


def _cells(samples: Sequence[dict[str, Any]]) -> list[str]:
    kept = [each for each in samples if "failed" not in each]
    if not kept:
        return ["does not keep up", *[""] * len(PERCENTILES)]
    behind = f", {len(samples) - len(kept)} behind" if len(kept) < len(samples) else ""
    busy = [f"{median(each[key] for each in kept):.0%}" for key in ("busy", "client_busy")]
    return [
        *(_spread([each[key] for each in kept]) for key in PERCENTILES),
        ", ".join(busy) + behind,
    ]


def _reloads(reloads: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| server | p50 | p99 | greatest |"
    yield "|---|--:|--:|--:|"
    for server, is_replaced in dict.fromkeys((r["server"], r["is_replaced"]) for r in reloads):
        own = [r for r in reloads if (r["server"], r["is_replaced"]) == (server, is_replaced)]
        what = ", replaced by SIGHUP" if is_replaced else ""
        if failed := [each["failed"] for each in own if "failed" in each]:
            yield f"| {SERVERS[server].title}{what} | failed: {failed[0]} |"
            continue
        cells = [_spread([each[key] for each in own]) for key in ("p50", "p99", "greatest")]
        yield f"| {SERVERS[server].title}{what} | " + " | ".join(cells) + " |"


def _spread(samples: Sequence[float]) -> str:
    return f"{number(median(samples))} ({number(min(samples))}–{number(max(samples))})"


def main() -> int:
    """Measure and print; 1 when a sample of ours failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=1.5, help="of each stretch measured")
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--servers", default=",".join(SERVERS), help="default: %(default)s")
    parser.add_argument("--loads", default=",".join(LOADS), help="default: %(default)s")
    parser.add_argument("--dir", type=Path, default=CACHE, help="where the rivals are installed")
    parser.add_argument("--no-pinning", action="store_true", help="keep nothing on a CPU")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    options = parser.parse_args()
    is_pinned = not options.no_pinning and (os.cpu_count() or 1) >= 2
    found = measure(
        Plan(
            cache=options.dir,
            servers=[SERVERS[name] for name in options.servers.split(",")],
            loads=options.loads.split(","),
            seconds=options.seconds,
            samples=options.samples,
            server_on=0 if is_pinned else None,
            client_on=1 if is_pinned else None,
        )
    )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(page(found))
    ours = [run for run in found["runs"] if SERVERS[run["server"]].needs == "ours"]
    return 1 if any("failed" in run for run in (*ours, *found["reloads"])) else 0


if __name__ == "__main__":
    sys.exit(main())
