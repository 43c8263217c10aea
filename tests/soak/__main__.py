"""Serve for a long time, to good clients and bad ones, and see that nothing is lost or leaks.

    ci/soak --minutes 60                          compiled core, native engine
    ci/soak --minutes 5 --backend python/asyncio
    ci/soak --minutes 1 --results build           as in CI

A real `glyph-fast serve` runs with members who hear everything, clients that come and go, readers
that stall, clients that break the protocol, and, in the first half, restarts by SIGHUP. It passes
when every acknowledged message reached every member it was accepted for, in order; when the server
ends with as many descriptors as it began with, and no connection; when the memory of the process of
the second half is flat within 5 % after it has warmed up; and when its log has no error.

The load is throttled: the server takes a small part of a CPU. Figures go to DIR/DATE-soak.json and
.md, as printed. The last line is the verdict. Exit status 0: passed, 1: failed, 2: it did not run.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.rivals.comparison import describe_machine
from tests.serving import ROOT
from tests.soak.clients import Accounts, Member, abuse, churn, stalled

BACKENDS = ["compiled/native", "compiled/asyncio", "python/native", "python/asyncio"]
OPTIONS = {
    "write-timeout": "3s",
    "close-timeout": "3s",
    "head-timeout": "3s",
    "ping-interval": "5s",
    "compression": "shared",
    "log-level": "warning",
    "drain-timeout": "10s",
}
ROOMS, MEMBERS = 8, 12  # all of whose members behave, and how many each
BUSY_MEMBERS = 6  # who behave, in the room of those who do not
STALLED, CHURNING, ABUSING = 10, 8, 6  # clients at a time
SAY_EVERY_S = 0.1  # a member of each room
BUSY_EVERY_S, BUSY_SIZE = 0.1, 4000  # the other room: enough to fill a stalled reader's buffers
SAMPLE_S = 2.0
MOVE_S = 30.0  # for a restart
GROWTH = 0.05
WARM_UP = 0.4  # of the second half's process: this share of its samples is its warm-up


class Sample(NamedTuple):
    """How the server was at one moment."""

    seconds: float
    pid: int
    rss: int  # bytes
    descriptors: int
    connections: int
    cpu: float  # seconds, of this process so far


class Soak:
    """One run."""

    def __init__(self, backend: str, seconds: float, restarts: int, app: Path) -> None:
        self.accounts = Accounts()
        self.seconds = seconds
        self.backend = backend
        self.samples: list[Sample] = []
        self.pids: list[int] = []
        self.cpu = 0.0  # of the clients
        self._restarts = restarts
        self._tasks: list[asyncio.Task[Any]] = []
        self._talking: list[asyncio.Task[Any]] = []
        self._log = tempfile.TemporaryFile()
        core, engine = backend.split("/")
        arguments = [f"--{name}={value}" for name, value in OPTIONS.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "glyph_fast", "serve",  f"{app.stem}:server", "--port=0",
             f"--core={core}", f"--engine={engine}", *arguments],
            cwd=app.parent, stdout=subprocess.PIPE, stderr=self._log, stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        if not line.startswith("glyph-fast listening on "):
            self._process.wait(10)
            raise RuntimeError(f"the server does not listen: {line!r}\n{self.log()}")
        self.url = line.split()[-1]
        self.port = int(self.url.rpartition(":")[2])
        self._ws = self.url.replace("http", "ws", 1) + "/ws"

    def log(self) -> str:
        """What the server has written to stderr, and its successors."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    async def run(self) -> None:
        """Load, restart, sample; then let everybody go and look at what is left."""
        began = time.monotonic()
        first = await self._sample(began)
        self.baseline = first.descriptors - first.connections
        self._start_clients()
        move_at = [
            began + self.seconds * (0.1 + 0.4 * n / max(1, self._restarts))
            for n in range(self._restarts)
        ]
        while time.monotonic() - began < self.seconds:
            await asyncio.sleep(SAMPLE_S)
            self._tell(await self._sample(began))
            if move_at and time.monotonic() >= move_at[0]:
                move_at.pop(0)
                await self._restart()
        await self._end(began)

    # Load.

    def _start_clients(self) -> None:
        for number in range(ROOMS):
            room = f"room-{number}"
            members = [
                Member(self.accounts, self._ws, room, is_counted=True) for _ in range(MEMBERS)
            ]
            self._start_room(members, SAY_EVERY_S, 200)
        busy = [
            Member(self.accounts, self._ws, "busy", is_counted=False) for _ in range(BUSY_MEMBERS)
        ]
        self._start_room(busy, BUSY_EVERY_S, BUSY_SIZE)
        address = ("127.0.0.1", self.port)
        for _ in range(STALLED):
            self._repeat(lambda: stalled(self.accounts, address, "busy"), 1.0)
        for _ in range(CHURNING):
            self._repeat(lambda: churn(self.accounts, self._ws, "busy"), 0.2)
        for _ in range(ABUSING):
            self._repeat(lambda: abuse(self.accounts, address), 0.3)

    def _start_room(self, members: list[Member], every: float, size: int) -> None:
        for member in members:
            self._tasks.append(asyncio.create_task(member.run()))

        async def talk() -> None:
            while True:
                await asyncio.sleep(every * random.uniform(0.5, 1.5))
                await random.choice(members).say("x" * random.randint(1, size))

        self._talking.append(asyncio.create_task(talk()))

    def _repeat(self, new: Any, pause: float) -> None:
        async def again() -> None:
            while True:
                with suppress(OSError, TimeoutError, EOFError):
                    await new()
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))

        self._tasks.append(asyncio.create_task(again()))

    # Watching.

    async def _figures(self) -> dict[str, int]:
        def get() -> dict[str, int]:
            with urllib.request.urlopen(f"{self.url}/figures", timeout=20) as answer:
                figures: dict[str, int] = json.load(answer)
                return figures

        return await asyncio.to_thread(get)

    async def _sample(self, began: float) -> Sample:
        figures = await self._figures()
        pid = figures["pid"]
        if pid not in self.pids:
            self.pids.append(pid)
        proc = Path(f"/proc/{pid}")
        rss = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        ticks = (proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        sample = Sample(
            round(time.monotonic() - began, 1), pid, rss, _descriptors(proc),
            figures["connections"], cpu,
        )  # fmt: skip
        self.samples.append(sample)
        if figures["errors"]:
            self.accounts.fail(f"{figures['errors']} handler errors in {pid}")
        return sample

    def _tell(self, now: Sample) -> None:
        totals = self.accounts.totals
        print(
            f"{now.seconds:7.0f} s  pid {now.pid}  {now.rss / 2**20:6.1f} MiB  "
            f"{now.descriptors:3} descriptors  {now.connections:3} connections  "
            f"{totals['acknowledged']} acknowledged  {totals['heard']} heard  "
            f"{totals['failures']} failures",
            flush=True,
        )

    async def _restart(self) -> None:
        """SIGHUP: another process must serve soon, and this one end."""
        old = self.pids[-1]
        os.kill(old, signal.SIGHUP)
        deadline = time.monotonic() + MOVE_S
        while (pid := (await self._figures())["pid"]) == old or _runs(old):
            if time.monotonic() > deadline:
                self.accounts.fail(f"{old} did not hand over within {MOVE_S:g} s")
                return
            await asyncio.sleep(0.2)
            self._process.poll()  # the first one is our child, to be waited for
        self.accounts.totals["restarts"] += 1
        print(f"           SIGHUP: {old} has ended, {pid} serves", flush=True)

    async def _end(self, began: float) -> None:
        await _cancel(self._talking)
        deadline = time.monotonic() + 10
        while self._is_under_way() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        self.accounts.settle()
        await _cancel(self._tasks)
        deadline = time.monotonic() + 20
        while (last := await self._sample(began)).connections or (
            last.descriptors > self.baseline and time.monotonic() < deadline
        ):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        self._tell(last)
        if last.connections:
            self.accounts.fail(f"{last.connections} connections are left")
        if last.descriptors > self.baseline:
            self.accounts.fail(f"{last.descriptors} descriptors, {self.baseline} at the start")
        os.kill(last.pid, signal.SIGTERM)
        deadline = time.monotonic() + MOVE_S
        while _runs(last.pid) and time.monotonic() < deadline:
            self._process.poll()
            await asyncio.sleep(0.1)
        if _runs(last.pid):
            self.accounts.fail("the server did not end on SIGTERM")
        self.cpu = time.process_time()
        log = self.log()
        if "Traceback" in log or re.search(r"Z error\s", log):
            self.accounts.fail(f"the log has errors:\n{log[-2000:]}")
        self._judge_memory()

    def _is_under_way(self) -> bool:
        return any(missing > 0 for missing in self.accounts.open_numbers.values())

    def kill(self) -> None:
        """End every server process that is left: those we started, by their ids."""
        for pid in self.pids:
            if _runs(pid) and ":server\0--port=0" in _command(pid):
                os.kill(pid, signal.SIGKILL)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    # Judging.

    def memory(self) -> tuple[float, float]:
        """MiB of the last process, early and late: medians of the thirds after its warm-up."""
        own = [s.rss / 2**20 for s in self.samples if s.pid == self.pids[-1]]
        warm = own[int(len(own) * WARM_UP) :]
        third = max(1, len(warm) // 3)
        return statistics.median(warm[:third]), statistics.median(warm[-third:])

    def _judge_memory(self) -> None:
        early, late = self.memory()
        if late > early * (1 + GROWTH):
            self.accounts.fail(f"memory grew from {early:.1f} to {late:.1f} MiB")

    def server_cpu(self) -> float:
        """Seconds of CPU that the server's processes took."""
        return sum(max(s.cpu for s in self.samples if s.pid == pid) for pid in self.pids)


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel until they end: `wait_for` may lose a cancellation that comes with its result."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _descriptors(proc: Path) -> int:
    """How many a process has open, but for the io_uring it opens with its first batch of sends."""
    targets = []
    for link in (proc / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            targets.append(os.readlink(link))
    return sum("[io_uring]" not in target for target in targets)


def _runs(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# The report --------------------------------------------------------------------------------------


def report(soak: Soak) -> dict[str, Any]:
    """All figures of a run."""
    early, late = soak.memory()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "kind": "soak",
        "backend": soak.backend,
        "minutes": round(soak.seconds / 60, 1),
        "commit": commit,
        "machine": describe_machine(),
        "options": OPTIONS,
        "verdict": "failed" if soak.accounts.failures else "passed",
        "failures": soak.accounts.failures,
        "totals": dict(sorted(soak.accounts.totals.items())),
        "processes": len(soak.pids),
        "memory_mib": {"early": round(early, 1), "late": round(late, 1)},
        "descriptors": {"start": soak.baseline, "end": soak.samples[-1].descriptors},
        "server_cpu_share": round(soak.server_cpu() / soak.samples[-1].seconds, 3),
        "client_cpu_share": round(soak.cpu / soak.samples[-1].seconds, 3),
        "samples": [list(each) for each in soak.samples],
        "sample_fields": Sample._fields,
    }


def page(document: dict[str, Any]) -> str:
    """The report to read."""
    machine, memory = document["machine"], document["memory_mib"]
    growth = 100 * (memory["late"] / memory["early"] - 1)
    totals = "\n".join(f"| {name} | {count:,} |" for name, count in document["totals"].items())
    failures = "".join(f"- {text}\n" for text in document["failures"])
    return f"""# Soak of {document["minutes"]:g} minutes: {document["verdict"]}

{document["backend"]}, commit {document["commit"]}, Python {machine["python"]},
{machine["processor"]}, {machine["cpus"]} CPUs, load average {machine["load_average"]}. Printed by
`ci/soak`, which says what is judged.

| | |
|---|--:|
{totals}
| server processes | {document["processes"]} |
| memory of the last one after its warm-up, early, MiB | {memory["early"]} |
| memory of the last one, late, MiB | {memory["late"]} ({growth:+.1f} %) |
| descriptors without a client, at the start | {document["descriptors"]["start"]} |
| descriptors without a client, at the end | {document["descriptors"]["end"]} |
| CPU of the server, share of one | {document["server_cpu_share"]} |
| CPU of all clients, share of one | {document["client_cpu_share"]} |

{failures or "Nothing acknowledged was lost, and no descriptor or connection was left."}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--backend", choices=BACKENDS, default=BACKENDS[0])
    parser.add_argument("--restarts", type=int, help="by SIGHUP; default: one in six minutes")
    parser.add_argument(
        "--app", type=Path, default=Path(__file__).with_name("app.py"), metavar="FILE"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "bench/results", metavar="DIR")
    options = parser.parse_args()
    restarts = options.restarts
    if restarts is None:
        restarts = max(1, round(options.minutes / 6))
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a server inherits that nohup ignores it
    soak = Soak(options.backend, options.minutes * 60, restarts, options.app)
    try:
        asyncio.run(soak.run())
    finally:
        soak.kill()
    document = report(soak)
    text = page(document)
    name = f"{datetime.date.today()}-soak"
    if options.backend != BACKENDS[0]:
        name += "-" + options.backend.replace("/", "-")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"{name}.json").write_text(json.dumps(document) + "\n")
    (options.results / f"{name}.md").write_text(text)
    print(text)
    print(f"soak: {document['verdict']}")
    return 1 if soak.accounts.failures else 0


if __name__ == "__main__":
    sys.exit(main())
