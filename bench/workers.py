"""What several processes cost: `python -m bench.workers`.

The same program as one process and with `--workers`, in turn. CPU is that of all processes of the
server: main, workers, and what the kernel does for them. Each sample is a fresh server, figures are
medians, and a ratio is of medians. What crosses is measured by a pair of clients that sit where
they are wanted: a publisher and a member in one worker, then in two, with 16 messages on the way,
and with 256, where what a turn of each process costs is shared by more of them. `workers` and
`rivals` measure others as well (`workers_peers.py`). Every answer is checked, byte by byte.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from glyph_fast.load.process import ServerProcess

from .rivals.comparison import commit, describe_machine
from .workers_clients import PLAIN, SOCKETIO, WINDOW, Client, Dialect, pair, rounds
from .workers_peers import PEERS

HERE = Path(__file__).parent
MEMBERS = 100  # of the room whose growth with workers is measured, spread over them
GROWTH = (1, 2, 4, 8)  # workers
IN_FLIGHT = 8  # messages, there

Serving = Callable[[int], AbstractContextManager[tuple[int, ServerProcess]]]


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    samples: int
    seconds: float
    messages: int


@contextmanager
def serving(workers: int) -> Iterator[tuple[int, ServerProcess]]:
    """A server of so many workers: its port and its processes."""
    command = [
        sys.executable, "-m", "glyph_fast", "serve", "workers_app:server", "--port", "0",
        "--log-level", "warning", "--workers", str(workers),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        yield int(line.rpartition(":")[2]), ServerProcess(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def load(workers: int, path: str, plan: Plan, *arguments: str) -> float:
    """CPU of a server per message or delivery, in µs, under `glyph-fast bench`."""
    with serving(workers) as (port, server):
        command = [
            sys.executable, "-m", "glyph_fast", "bench", f"ws://127.0.0.1:{port}{path}",
            "--pid", str(server.pid), "--duration", str(plan.seconds), "--json", "-",
            "--no-progress", "--timeout", "60", *arguments,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=True, timeout=300)
    report: dict[str, Any] = json.loads(done.stdout)
    cpu: float = report["server"]["cpu_us"]
    return cpu


def crossing(
    workers: int,
    plan: Plan,
    *,
    is_apart: bool,
    filled: int = 0,
    window: int = WINDOW,
    start: Serving = serving,
    dialect: Dialect = PLAIN,
) -> float:
    """CPU of a server per message from a publisher to one member, in µs."""
    with start(workers) as (port, server), ExitStack() as stack:
        for first in range(0, filled, 1000):
            path = f"/fill/{first}/{min(1000, filled - first)}"
            stack.callback(Client(port, path, PLAIN.greet).sock.close)
        publisher, member = pair(port, stack, is_apart=is_apart, dialect=dialect)
        count = plan.messages // window
        return rounds([server], [publisher], [member], count, window=window, dialect=dialect)


def spread(
    workers: int,
    plan: Plan,
    start: Serving = serving,
    dialect: Dialect = PLAIN,
    *,
    members: int = MEMBERS,
    servers: int = 1,
) -> float:
    """CPU of a server per delivery to one of the members, who are on all workers, in µs.

    Of several `servers` each has its share of the members, and its own publisher.
    """
    with ExitStack() as stack:
        started, everybody, publishers = [], [], []
        for _ in range(servers):
            port, server = stack.enter_context(start(workers))
            started.append(server)
            everybody += [
                Client(port, dialect.member, dialect.greet) for _ in range(members // servers)
            ]
            publishers.append(Client(port, dialect.silent, dialect.greet))
        for each in (*everybody, *publishers):
            stack.callback(each.sock.close)
        random.Random(1).shuffle(everybody)  # a client waits for members of all processes in turn
        count = max(plan.messages // (2 * members), 50)
        return rounds(started, publishers, everybody, count, window=IN_FLIGHT, dialect=dialect)


def memory(workers: int) -> dict[str, float]:
    """What main and one worker take before the first connection, in MiB: all, and not shared."""
    with serving(workers) as (_, server):
        main, *others = server.pids()
        found = {}
        for name, pid in (("main", main), ("worker", others[-1])):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
            found[f"{name} resident"] = sizes["Rss"]
            found[f"{name} proportional"] = sizes["Pss"]
            found[f"{name} private"] = sizes["Private_Clean"] + sizes["Private_Dirty"]
        return found


def compare(
    title: str, sides: Sequence[tuple[str, Callable[[], float]]], plan: Plan, unit: str
) -> None:
    """Measure the sides in turn, and print medians, spreads and ratios to the first."""
    samples: dict[str, list[float]] = {name: [] for name, _ in sides}
    for _ in range(plan.samples):
        for name, run in sides:
            samples[name].append(run())
    base = median(samples[sides[0][0]])
    print(f"\n### {title}\n\n| | {unit} | lowest to highest | ratio | beyond the first |")
    print("|---|---|---|---|---|")
    for name, _ in sides:
        found = samples[name]
        middle = median(found)
        print(
            f"| {name} | {middle:.3f} | {min(found):.3f} to {max(found):.3f} "
            f"| {middle / base:.2f} | {middle - base:+.3f} |",
            flush=True,
        )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=3, help="of each side, in turn")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load in one sample")
    parser.add_argument("--messages", type=int, default=16_000, help="that cross in one sample")
    parser.add_argument("what", nargs="*", default=list(_PARTS), help=f"of {', '.join(_PARTS)}")
    given = parser.parse_args()
    plan = Plan(given.samples, given.seconds, given.messages)
    print(f"{describe_machine()}, commit {commit()}, {plan.samples} samples each in turn")
    for what in given.what:
        _PARTS[what](plan)


def _crossing(plan: Plan) -> None:
    for window in (WINDOW, 16 * WINDOW):
        sides = tuple(
            (
                name,
                lambda apart=is_apart, of=window: crossing(2, plan, is_apart=apart, window=of),
            )
            for name, is_apart in (
                ("publisher and member in one worker", False),
                ("in two workers", True),
            )
        )
        compare(f"A message to one member, {window} in flight", sides, plan, "µs per message")


def _fan_out(plan: Plan) -> None:
    arguments = ("--mode", "fan-out", "-c", "1000", "-p", "8")
    sides = (
        ("one process", lambda: load(1, "/room/x", plan, *arguments)),
        ("two workers", lambda: load(2, "/room/x", plan, *arguments)),
    )
    compare("Fan-out to 1,000 members, 8 in flight", sides, plan, "µs per delivery")
    # What two processes cost each other that share nothing but the machine.
    sides = (
        ("one process", lambda: spread(1, plan, members=1000)),
        ("two servers with half of them each", lambda: spread(1, plan, members=1000, servers=2)),
        ("two workers", lambda: spread(2, plan, members=1000)),
    )
    compare("The same, each time until all have all 8", sides, plan, "µs per delivery")


def _echo(plan: Plan) -> None:
    for in_flight in (1, 16):
        arguments = ("--mode", "echo", "-c", "64", "-p", str(in_flight))
        sides = tuple(
            (name, lambda workers=n, with_=arguments: load(workers, "/echo", plan, *with_))
            for name, n in (("one process", 1), ("two workers", 2))
        )
        compare(f"Echo, 64 connections, {in_flight} in flight", sides, plan, "µs per message")


def _workers(plan: Plan) -> None:
    title = f"fan-out to {MEMBERS} members, {IN_FLIGHT} in flight"
    sides = tuple((_count(n), lambda of=n: spread(of, plan)) for n in GROWTH)
    compare(f"Growth with workers: {title}", sides, plan, "µs per delivery")
    for peer in PEERS:
        if peer.missing:
            print(f"\n### {peer.title}\n\nNot run, since there is no {peer.missing}.")
            continue
        sides = tuple(
            (_count(n), lambda of=n, by=peer: spread(of, plan, by.serving, SOCKETIO))
            for n in GROWTH
        )
        compare(f"{peer.title}: {title}", sides, plan, "µs per delivery")


def _count(workers: int) -> str:
    return "one process" if workers == 1 else f"{workers} processes"


def _rivals(plan: Plan) -> None:
    sides = [("glyph-fast", lambda: crossing(2, plan, is_apart=True))]
    sides += [
        (peer.title, lambda by=peer: crossing(
            2, plan, is_apart=True, start=by.serving, dialect=SOCKETIO
        ))
        for peer in PEERS
        if not peer.missing
    ]  # fmt: skip
    title = f"A message to one member in another of two processes, {WINDOW} in flight"
    compare(title, sides, plan, "µs per message")


def _rooms(plan: Plan) -> None:
    sides = tuple(
        (f"{n:,} rooms", lambda rooms=n: crossing(2, plan, is_apart=True, filled=rooms))
        for n in (1, 1000, 100_000)
    )
    compare("Growth with rooms: a message that crosses", sides, plan, "µs per message")


def _memory(plan: Plan) -> None:
    print("\n### Memory before the first connection\n\n| | MiB |\n|---|---|")
    for name, size in memory(2).items():
        print(f"| {name} | {size:.1f} |")


_PARTS: dict[str, Callable[[Plan], None]] = {
    "crossing": _crossing, "fan-out": _fan_out, "echo": _echo, "workers": _workers,
    "rivals": _rivals, "rooms": _rooms, "memory": _memory,
}  # fmt: skip

if __name__ == "__main__":
    main()
