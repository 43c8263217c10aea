"""The command: see the package."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from ..rivals.comparison import commit, describe_machine
from .client import answer_of, connected, frame, ping_pong, request, websocket, whole_answer
from .servers import ROOT, Running, running

RESULTS = ROOT / "bench/results"
HELLO = b'{"message":"Hello, world","numbers":[1,2,3]}'
SPACED = b'{"message": "Hello, world", "numbers": [1, 2, 3]}'  # as `json` writes it
TEXT = b"x" * 64
CONNECTIONS = 16
MEMBERS = 1000
WARM_UP = 500
UPLOAD = 20 * 2**20
Done = Callable[[Running, int], int]  # does so many, and says how many that were


def asking(path: str, body: bytes) -> Done:
    """Requests for JSON."""

    def run(server: Running, count: int) -> int:
        with connected(server.port) as sock:
            sock.sendall(request(path))
            size, found = whole_answer(sock)  # its fields have the same length each time
            assert found == body, found

        def is_right(data: bytes) -> bool:
            return data.startswith(b"HTTP/1.1 200") and data.endswith(body)

        ping_pong(server.port, connected, request(path), is_right, size, CONNECTIONS, count)
        return count

    return run


def echoing(path: str) -> Done:
    """Messages of 64 bytes, there and back."""

    def run(server: Running, count: int) -> int:
        answer = frame(TEXT, masked=False)
        ping_pong(
            server.port, lambda port: websocket(port, path), frame(TEXT, masked=True),
            lambda data: data == answer, len(answer), CONNECTIONS, count,
        )  # fmt: skip
        return count

    return run


def fanning_out(path: str) -> Done:
    """Publications by HTTP to 1,000 members; what is counted are deliveries."""

    def run(server: Running, count: int) -> int:
        message = frame(TEXT, masked=False)
        with ExitStack() as stack:
            members = [stack.enter_context(websocket(server.port, "/ws")) for _ in range(MEMBERS)]
            sock = stack.enter_context(connected(server.port))
            for _ in range(max(1, count // MEMBERS)):
                sock.sendall(request(path, "POST", TEXT))
                assert json.loads(answer_of(sock)) == {"sent": MEMBERS}
                for each in members:
                    data = b""
                    while len(data) < len(message):
                        data += each.recv(len(message))
                    assert data == message
        return max(1, count // MEMBERS) * MEMBERS

    return run


def uploading(path: str) -> Done:
    """Bodies of 20 MiB."""

    def run(server: Running, count: int) -> int:
        block = bytes(2**20)
        for _ in range(count):
            with connected(server.port) as sock:
                head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {UPLOAD}\r\n\r\n"
                sock.sendall(head.encode())
                for _ in range(UPLOAD // len(block)):
                    sock.sendall(block)
                assert json.loads(answer_of(sock)) == {"size": UPLOAD}
        return count

    return run


def downloading(path: str, size: int) -> Done:
    """A large file."""

    def run(server: Running, count: int) -> int:
        buffer = bytearray(2**20)
        for _ in range(count):
            with connected(server.port) as sock:
                sock.sendall(request(path))
                data = b""
                while b"\r\n\r\n" not in data:
                    data += sock.recv(65536)
                got = len(data.partition(b"\r\n\r\n")[2])
                assert f"content-length: {size}".encode() in data.lower(), data[:300]
                while got < size:
                    n = sock.recv_into(buffer)
                    assert n, "the answer ended early"
                    got += n
                assert got == size
        return count

    return run


@dataclass(frozen=True)
class Side:
    """One server with an application, and what is asked of it."""

    name: str
    server: str
    app: str
    do: Done


@dataclass(frozen=True)
class Work:
    """A comparison: the first side is ours; `count` is done in a sample."""

    name: str
    title: str
    unit: str  # of processor time
    per_s: float  # such units in a second
    count: int
    sides: Sequence[Side]
    goals: dict[str, float]  # the ratio to a side that is to be kept
    has_memory: bool = False


def works(size: int) -> list[Work]:
    """All there are."""
    apps = "bench.asgi.apps:"
    three = ("glyph-fast", "uvicorn", "granian")
    plain = [Side(each, each, apps + "plain", asking("/", SPACED)) for each in three]
    hello = [Side(each, each, apps + "fastapi", asking("/", HELLO)) for each in three]
    echo = [Side(each, each, apps + "plain", echoing("/")) for each in three]
    fan_out = [
        Side("FastAPI's route", "glyph-fast", apps + "rooms", fanning_out("/publish")),
        Side("our route", "glyph-fast", apps + "rooms", fanning_out("/own")),
    ]
    hosted_echo = [
        Side("server.asgi under uvicorn", "uvicorn", apps + "hosted", echoing("/ws")),
        Side("on its own port", "glyph-fast", apps + "rooms", echoing("/ws")),
    ]
    hosted_route = [
        Side("server.asgi under uvicorn", "uvicorn", apps + "hosted", asking("/own", HELLO)),
        Side("on its own port", "glyph-fast", apps + "rooms", asking("/own", HELLO)),
    ]
    upload = [Side(each, each, apps + "plain", uploading("/")) for each in three]
    download = [
        *(Side(each, each, apps + "fastapi", downloading("/file", size)) for each in three),
        Side("nginx", "nginx", "", downloading("/file", size)),
    ]
    mib = size // 2**20
    return [
        Work("json", "a plain application, JSON", "µs a request", 1e6, 20_000, plain,
             {"uvicorn": 0.75, "granian": 1.0}),
        Work("fastapi", "FastAPI's hello", "µs a request", 1e6, 8_000, hello, {"uvicorn": 0.85}),
        Work("echo", "a WebSocket's echo, 64 bytes", "µs a message", 1e6, 20_000, echo,
             {"uvicorn": 0.6}),
        Work("fan-out", "1,000 members", "µs a delivery", 1e6, 200_000, fan_out,
             {"our route": 1.1}),
        Work("hosted-echo", "our echo, hosted", "µs a message", 1e6, 20_000, hosted_echo, {}),
        Work("hosted-route", "our route, hosted", "µs a request", 1e6, 8_000, hosted_route, {}),
        Work("upload", "a body of 20 MiB", "ms", 1e3, 5, upload, {}, has_memory=True),
        Work("download", f"a file of {mib:,} MiB", "ms", 1e3, 1, download, {}, has_memory=True),
    ]  # fmt: skip


@dataclass
class Samples:
    """What was measured of one side."""

    cost: list[float]
    memory: list[float]


def measure(work: Work, rounds: int, folder: Path, share: float) -> dict[str, Samples]:
    """Every side in turn, as often as there are rounds."""
    found = {side.name: Samples([], []) for side in work.sides}
    count = max(1, int(work.count * share))
    for n in range(rounds):
        sides = list(work.sides)
        for side in sides if n % 2 == 0 else reversed(sides):
            with running(side.server, side.app, folder, 0) as server:
                if work.count > WARM_UP:
                    side.do(server, WARM_UP)
                before = server.cpu_s()
                done = side.do(server, count)
                time.sleep(0.05)  # what follows an answer counts too
                found[side.name].cost.append((server.cpu_s() - before) / done * work.per_s)
                found[side.name].memory.append(server.peak_mib())
    return found


def rows(work: Work, found: dict[str, Samples]) -> list[str]:
    """The table of one comparison."""
    ours = work.sides[0].name
    mine = median(found[ours].cost)
    memory = " peak MiB |" if work.has_memory else ""
    lines = [
        f"\n**{work.title}**, {work.unit}\n",
        f"| | median | least–most | {ours} is | at the least |{memory} goal |",
        f"|---|---|---|---|---|{'---|' if memory else ''}---|",
    ]
    for name, samples in found.items():
        middle = median(samples.cost)
        ratio = f"{mine / middle:.2f} ×" if name != ours else ""
        least = f"{min(found[ours].cost) / min(samples.cost):.2f} ×" if name != ours else ""
        goal = work.goals.get(name)
        verdict = (
            "" if goal is None else f"≤ {goal:g}: {'kept' if mine <= goal * middle else 'missed'}"
        )
        peak = f" {median(samples.memory):.0f} |" if work.has_memory else ""
        spread = f"{min(samples.cost):.2f}–{max(samples.cost):.2f}"
        lines.append(f"| {name} | {middle:.2f} | {spread} | {ratio} | {least} |{peak} {verdict} |")
    return lines


def main() -> None:
    """Measure, print, and keep what was printed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("works", nargs="*", help="by name; all unless some are named")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--share", type=float, default=1.0, help="of the usual counts")
    arguments.add_argument("--size", type=int, default=2**30, help="bytes of the file")
    arguments.add_argument("--name", help="keep it as bench/results/NAME.md")
    asked = arguments.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    chosen = [w for w in works(asked.size) if not asked.works or w.name in asked.works]
    lines = [f"`python -m bench.asgi`, {asked.rounds} rounds, commit {commit()}", ""]
    lines += [describe_machine(), "Server's processor time, fresh processes in turn."]
    print("\n".join(map(str, lines)), flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx reads as another user
        with (folder / "file").open("wb") as file:
            file.truncate(asked.size)
        for work in chosen:
            made = rows(work, measure(work, asked.rounds, folder, asked.share))
            print("\n".join(made), flush=True)
            lines += made
    if asked.name:
        (RESULTS / f"{asked.name}.md").write_text("\n".join(map(str, lines)) + "\n")


if __name__ == "__main__":
    main()
