"""What starting costs, beside uvicorn: `python -m bench.start`. Prints a page for `results/`.

Each round starts everything once, in turn, so that a slow minute of the machine meets all of it.
Interpreter and environment are the same for both; their bytecode is compiled before the first
round that counts. A server has started once it has answered: a WebSocket opens, and a message comes
back and is compared.

Counted is the CPU time of the process and its children, and the time until it ends or answers, both
with what the interpreter takes for itself. Its share is a row of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from glyph_fast.load.process import ServerProcess

from .rivals.catalogue import ROOT, SERVERS
from .rivals.comparison import describe_machine
from .rivals.process import free_port
from .tls import ACCEPT, UPGRADE, frames

DEADLINE_S = 60.0
_PAUSE_S = 0.001  # between attempts to connect
OURS, THEIRS = "glyph-fast", "uvicorn"


class Figures(NamedTuple):
    """Of one start. A program that only ends has no memory to tell."""

    cpu_ms: float
    wall_ms: float
    rss_mib: float = 0.0
    pss_mib: float = 0.0


def runs(*arguments: str, environ: dict[str, str]) -> Figures:
    """A program of the interpreter that runs to its end."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return Figures((used.ru_utime + used.ru_stime) * 1e3, wall * 1e3)


def serves(*arguments: str, environ: dict[str, str]) -> Figures:
    """A server, until it has answered."""
    port = free_port()
    begin = time.perf_counter()
    with _started([sys.executable, *arguments, "--port", str(port)], environ) as process:
        _ask(port, process)
        wall = time.perf_counter() - begin
        server = ServerProcess(process.pid)
        cpu = server.cpu_ns()
        memory = [_memory(pid) for pid in server.pids()]
    rss, pss = (sum(each) / 1024 for each in zip(*memory, strict=True))
    return Figures(cpu / 1e6, wall * 1e3, rss, pss)


@contextmanager
def _started(command: list[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, cwd=SERVERS, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once a message has come back."""
    question, answer = frames(64)
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            peer = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
            break
        except ConnectionRefusedError:
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(_PAUSE_S)
    with peer, peer.makefile("rb") as reader:
        peer.sendall(UPGRADE.replace(b"/ws", b"/echo"))
        head = b"".join(iter(reader.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.1 101 ") and ACCEPT in head, head
        peer.sendall(question)
        assert reader.read(len(answer)) == answer


def _memory(pid: int) -> tuple[int, int]:
    """Resident memory in KiB: whole, and with shared pages divided among those who share them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split()[0]: int(line.split()[1]) for line in lines}
    return fields["Rss:"], fields["Pss:"]


_SERVE = ("-m", "glyph_fast", "serve")
_QUIET = ("--host", "127.0.0.1", "--log-level", "warning")
_UVICORN = ("-m", "uvicorn", "asgi_app:app", "--loop", "uvloop", "--http", "httptools")
_MODULE = "bench.rivals.servers.ours:server"

Start = Callable[..., Figures]
STARTS: dict[str, dict[str, Start]] = {
    "the interpreter alone": {
        OURS: partial(runs, "-c", "pass"),
        THEIRS: partial(runs, "-c", "pass"),
    },
    "`import`": {
        OURS: partial(runs, "-c", "import glyph_fast"),
        THEIRS: partial(runs, "-c", "import uvicorn"),
    },
    "`from … import Server`": {
        OURS: partial(runs, "-c", "from glyph_fast import Server"),
        THEIRS: partial(runs, "-c", "from uvicorn import Server"),
    },
    "`--version`": {
        OURS: partial(runs, "-m", "glyph_fast", "--version"),
        THEIRS: partial(runs, "-m", "uvicorn", "--version"),
    },
    "serve a program of its own, to the first answer": {
        OURS: partial(serves, *_SERVE, _MODULE, *_QUIET),
        THEIRS: partial(serves, *_UVICORN, "--ws", "websockets-sansio", *_QUIET),
    },
    "serve the same ASGI application, to the first answer": {
        OURS: partial(serves, *_SERVE, "asgi_app:app", *_QUIET),
        THEIRS: partial(serves, *_UVICORN, "--ws", "websockets-sansio", *_QUIET),
    },
}

Found = dict[str, dict[str, list[Figures]]]


def measure(rounds: int) -> Found:
    """The figures of each round, by start and program."""
    found: Found = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(SERVERS)]),
            "PYTHONPYCACHEPREFIX": folder,
        }
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for number in range(-1, rounds):
            for name, programs in STARTS.items():
                for program, start in programs.items():
                    figures = start(environ=environ)
                    if number >= 0:  # the first round writes the bytecode
                        found[name][program].append(figures)
    return found


def page(found: Found, rounds: int) -> str:
    """The figures as Markdown: medians, with the least and the greatest."""
    machine = describe_machine()
    lines = [
        f"# Start, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['system']}, Python "
        f"{machine['python']}; load average {machine['load_average']}.",
        "",
        f"{rounds} interleaved rounds: median (least to greatest). "
        "Printed by `python -m bench.start`.",
        "",
        "| start | figure | glyph-fast | uvicorn | glyph-fast to uvicorn |",
        "|---|---|--:|--:|--:|",
    ]
    for name, programs in found.items():
        for index, title in enumerate(("CPU, ms", "time, ms", "RSS, MiB", "PSS, MiB")):
            ours, theirs = ([each[index] for each in programs[key]] for key in (OURS, THEIRS))
            if any(ours):
                ratio = statistics.median(ours) / statistics.median(theirs)
                cells = f"{_cell(ours)} | {_cell(theirs)} | {ratio:.2f}"
                lines.append(f"| {name} | {title} | {cells} |")
    return "\n".join(lines)


def _cell(samples: list[float]) -> str:
    return f"{statistics.median(samples):.1f} ({min(samples):.1f}–{max(samples):.1f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    options = parser.parse_args()
    found = measure(options.rounds)
    if options.json is not None:
        every = {name: {key: list(map(Figures._asdict, each)) for key, each in programs.items()}
                 for name, programs in found.items()}  # fmt: skip
        document = {"machine": describe_machine(), "rounds": options.rounds, "figures": every}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(page(found, options.rounds))


if __name__ == "__main__":
    main()
