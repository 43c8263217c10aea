"""What rooms that remember cost: `python -m bench.streams`.

Publishing, with and without history, in turn; resuming beside sending; bytes of a kept message; and
a crowd that comes back at once with a position, until each has got all that it missed. Every answer
is checked. Times are CPU time, the least of many runs: the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

from glyph_fast import core
from glyph_fast.dialects.publication import ROOM as TO_ROOM
from glyph_fast.dialects.publication import Publication, publication
from glyph_fast.dialects.stream import enveloped, skip, write_all
from glyph_fast.wire import TEXT

from .hub_cases import HUB_CASES, ROOM, Hall
from .hub_cases import TEXT as SAID
from .presence import RESULTS, Client, cpu_seconds, crowd, serving
from .rivals.comparison import commit, describe_machine

MISSED = 100  # messages
ROUNDS = 200
KEEPING = """
from glyph_fast import Server

server = Server()
server.room("all", client_join=True, history_size=1000, max_members=100_000)
server.websocket("/ws")


@server.post("/say/:count")
async def say(request):
    for number in range(int(request.path_params["count"])):
        position = await server.hub.publish("all", {"number": number, "text": "x" * 100})
    return position._asdict()
"""


def least(works: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Microseconds that each of these says it took, the least of so many runs in turn."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            best[name] = min(best[name], work())
    return best


def timed(work: Callable[[], object], times: int, prepare: Callable[[], object]) -> float:
    """Microseconds of CPU that each of so many calls took, after `prepare`."""
    prepare()
    before = time.process_time_ns()
    for _ in range(times):
        work()
    return (time.process_time_ns() - before) / times / 1000


def publishing(rounds: int) -> dict[str, float]:
    """A message to ten members, of whom one is left out; and the frames that history adds."""
    with ExitStack() as stack:
        works: dict[str, Callable[[], float]] = {}
        for case in HUB_CASES:
            operation = stack.enter_context(case.make(core))
            operation.check()
            units, prepare = operation.units, operation.prepare
            assert prepare is not None

            def work(
                run: Callable[[], object] = operation.run,
                prepare: Callable[[], object] = prepare,
                units: int = units,
            ) -> float:
                return timed(run, 10, prepare) / units

            works[case.name] = work
        kept = kept_publication()
        works["encode-enveloped"] = lambda: timed(lambda: enveloped(kept), 100, lambda: None)
        works["encode-skip"] = lambda: timed(lambda: skip(kept), 100, lambda: None)
        return least(works, rounds)


def kept_publication() -> Publication:
    """One that has its place."""
    hall = Hall(history_size=1)
    made = publication(TO_ROOM, ROOM, SAID)
    hall.hub._rooms._publish(made)
    return made


def resuming(rounds: int) -> dict[str, float]:
    """One `join_room` that resumes, and what it takes to send that in the first place.

    `publish-100`: to this member alone, as it is told them while it is there. `send-100`: the
    finished text, without a room.
    """
    hall = Hall(history_size=MISSED, members=0)
    conn = hall.connect()
    conn.join_room(ROOM)
    hall.speak([conn], enveloped)
    for _ in range(MISSED):
        hall.hub.broadcast_to_room(ROOM, SAID)
    stream = hall.hub._rooms._broker.histories.find(ROOM)  # type: ignore[attr-defined]
    since = {"epoch": stream.epoch, "offset": stream.offset - MISSED}
    asked = json.dumps({"type": "join_room", "room": ROOM, "since": since, "id": "1"})
    frame = core.encode_frame(TEXT, asked, key=b"\1\2\3\4")
    text = enveloped(kept_publication()).payload.decode()

    def resume() -> None:
        conn._feed(frame)
        hall.turn.flush()

    def resume_first() -> None:
        write_all.__globals__["_written"].cache_clear()
        resume()

    other = Hall(members=1, format=enveloped, history_size=MISSED)

    def publish() -> None:
        for _ in range(MISSED):
            other.hub.broadcast_to_room(ROOM, SAID)
        other.turn.flush()

    def send() -> None:
        for _ in range(MISSED):
            conn.send(text)
        hall.turn.flush()

    size = conn._sink.size
    resume()
    assert conn._sink.size - size > MISSED * len(SAID), "nothing was resumed"
    assert hall.hub.metrics.resumes == {"resumed": 1}
    flush = hall.turn.flush
    found = least(
        {
            "resume-100": lambda: timed(resume_first, 1, flush),
            "resume-100-again": lambda: timed(resume, 1, flush),
            "publish-100": lambda: timed(publish, 1, flush),
            "send-100": lambda: timed(send, 1, flush),
        },
        rounds,
    )
    assert set(hall.hub.metrics.resumes) == {"resumed"}
    return found


def keeping(count: int = 20_000) -> dict[str, float]:
    """Bytes that each kept message takes beside its frame."""
    hall = Hall(history_size=count, history_bytes="1GiB")
    for _ in range(10):
        hall.publish()
    hall.turn.flush()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(count // 2):
        hall.publish()
        hall.turn.flush()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    frame = len(core.encode_frame(TEXT, SAID))
    return {
        "bytes-per-kept-message": round(grown / (count // 2)),
        "bytes-of-its-frame": frame,
    }


# A crowd that comes back.


@dataclass
class Returning(Client):
    """One that was away, and counts what it is brought."""

    numbers: list[int] = field(default_factory=list)

    @property
    def has_joined(self) -> bool:
        return bool(self.numbers)

    def _told(self, message: dict) -> None:
        told = message["data"]
        assert told["type"] == "join_room_success" and told["resumed"] is True, told
        self.numbers = [each["data"]["number"] for each in told["messages"]]
        assert self.numbers == list(range(MISSED)), self.numbers


def come_back(port: int, count: int, since: dict) -> float:
    """All come at once with a position; the seconds until each has all that it missed."""
    asked = json.dumps({"type": "join_room", "room": "all", "since": since, "id": "1"}).encode()
    assert 125 >= len(asked)
    frame = bytes((0x81, 0x80 | len(asked), 0, 0, 0, 0)) + asked  # masked with zeros
    _, seconds = crowd(port, count, partial(Returning, joining=frame), lambda each: each.has_joined)
    return seconds


def post(port: int, path: str) -> dict:
    with urlopen(Request(f"http://127.0.0.1:{port}{path}", b"", method="POST")) as answer:
        return dict(json.load(answer))


@contextmanager
def kept_room() -> Iterator[tuple[int, int, dict]]:
    """A server whose room has had messages: its port, its process, the position before the last."""
    with TemporaryDirectory() as folder, serving(Path(folder), KEEPING) as (port, pid):
        since = post(port, "/say/10")
        assert post(port, f"/say/{MISSED}")["offset"] == since["offset"] + MISSED
        yield port, pid, since


def returning(count: int) -> dict[str, float]:
    """Everybody comes back at once."""
    with kept_room() as (port, pid, since):
        before = cpu_seconds(pid)
        seconds = come_back(port, count, since)
        cpu = cpu_seconds(pid) - before
    return {"clients": count, "seconds": round(seconds, 2), "server_cpu_seconds": round(cpu, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of what is timed")
    parser.add_argument("--name", help="keep the figures as bench/results/NAME.json and .md")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    timed_costs = publishing(args.rounds) | resuming(args.rounds)
    costs = {name: round(value, 3) for name, value in timed_costs.items()}
    costs |= keeping()
    print(json.dumps({"core": core.NAME, **costs}))
    crowds = []
    for count in args.clients:
        crowds.append(returning(count))
        print(json.dumps(crowds[-1]))
    if args.name:
        keep(args.name, costs, crowds)
    return 0


def keep(name: str, costs: dict[str, float], crowds: list[dict[str, float]]) -> None:
    """Write the results as data and as a page."""
    machine = describe_machine()
    told = {"machine": machine, "commit": commit(), "core": core.NAME}
    (RESULTS / f"{name}.json").write_text(
        json.dumps({**told, "costs": costs, "crowds": crowds}, indent=1) + "\n"
    )
    on = f"{machine['processor']}, {machine['cpus']} CPUs, Linux, load {machine['load_average']}"
    lines = [
        "# What rooms that remember cost",
        "",
        f"{on}; Python {machine['python']}; {core.NAME} core; commit {commit()}.",
        "",
        "Microseconds of CPU, the least of 200 runs in turn. A publish goes to ten members, of",
        "whom one is left out; in `publish-enveloped` it is told so. `resume-100` finds nothing",
        "written yet, `-again` comes after one who missed the same. `publish-100` is what it took",
        "to tell this one member, `send-100` the finished text.",
        "",
        "| | |",
        "|---|--:|",
        *(f"| {name} | {value:,} |" for name, value in costs.items()),
        "",
        f"Clients that come back at once with a position, {MISSED} messages behind: until each has",
        "them all. Every answer is read and checked; client and server share the machine.",
        "",
        "| clients | until all have resumed | server CPU |",
        "|--:|--:|--:|",
        *(
            f"| {row['clients']:,} | {row['seconds']} s | {row['server_cpu_seconds']} s |"
            for row in crowds
        ),
    ]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
