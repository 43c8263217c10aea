"""What messages cost at a broker here and in other Python servers: `python -m bench.brokers`.

Each round measures everybody in turn, at one Redis, as `bench.broker` says; the others are in
`rivals/servers/broker_peers.py`, and run by the Python that `bench/rivals/install` made. They keep
nothing; of ours both is measured, rooms that remember and others. Figures are medians of rounds,
with the least and the most. Then follows what a restart of the broker is felt like.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from . import broker, broker_return
from .rivals.catalogue import CACHE, SERVERS
from .rivals.comparison import commit, describe_machine

RESULTS = Path(__file__).parent / "results"
PEERS = {
    "socketio": "python-socketio, AsyncRedisManager",
    "channels": "channels_redis, RedisChannelLayer",
    "channels-pubsub": "channels_redis, RedisPubSubChannelLayer",
}
OURS = {
    "awaited": "glyph-fast, a room that remembers, awaited",
    "told": "glyph-fast, a room that remembers",
    "plain": "glyph-fast, a room that does not",
    "nats": "glyph-fast, the same through NATS",
}
TITLES = {**OURS, **PEERS}
TIMEOUT_S = 300
Figures = dict[tuple[str, str], list[float]]


class Peer:
    """One of the others."""

    def __init__(self, python: Path, kind: str, url: str) -> None:
        self._command = [str(python), str(SERVERS / "broker_peers.py"), kind]
        self._url = url

    def _start(self, role: str, *numbers: int) -> subprocess.Popen[str]:
        command = [*self._command, role, self._url, *map(str, numbers)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def costs(self, messages: int, window: int) -> tuple[float, float]:
        """CPU seconds a message of who publishes, and of who receives."""
        receiver = self._start("receive", messages)
        try:
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "listening\n"
            # Some of those that do not count for one side do for the other.
            sent, _ = self._start("publish", messages + window, window).communicate(
                timeout=TIMEOUT_S
            )
            return float(sent), float(receiver.stdout.readline())
        finally:
            receiver.kill()
            receiver.wait()

    def latency(self, rate: int, seconds: int) -> tuple[float, float]:
        """Seconds, the median and the 99th percentile."""
        said, _ = self._start("latency", rate, seconds).communicate(timeout=TIMEOUT_S)
        p50, p99 = map(float, said.split())
        return p50, p99


def one_round(url: str, nats: str, options: argparse.Namespace, found: Figures) -> None:
    """Measure everybody once."""
    messages, window = options.messages, options.window
    awaited = broker.run(broker.publish(url, messages, window, True))
    found["awaited", "publish_us"].append(awaited * 1e6)
    for kind, at, room in (
        ("told", url, broker.NAME),
        ("plain", url, broker.PLAIN),
        ("nats", nats, broker.PLAIN),
    ):
        received, published = broker.receiving(at, messages, window, room)
        found[kind, "publish_us"].append(published * 1e6)
        found[kind, "receive_us"].append(received * 1e6)
    ours = broker.run(broker.latencies(url, options.rate, options.seconds))
    found["told", "p50_ms"].append(ours[len(ours) // 2] * 1e3)
    found["told", "p99_ms"].append(ours[int(len(ours) * 0.99)] * 1e3)
    for kind in PEERS:
        peer = Peer(options.python, kind, url)
        published, received = peer.costs(max(messages // 10, 2 * broker.WARM), window)
        found[kind, "publish_us"].append(published * 1e6)
        found[kind, "receive_us"].append(received * 1e6)
        p50, p99 = peer.latency(options.rate, options.seconds)
        found[kind, "p50_ms"].append(p50 * 1e3)
        found[kind, "p99_ms"].append(p99 * 1e3)


def versions(python: Path) -> dict[str, str]:
    """Of what is compared with."""
    command = [str(python), "-m", "pip", "list", "--format", "json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    names = ("python-socketio", "channels_redis", "redis", "hiredis", "uvloop")
    known = {each["name"].lower().replace("-", "_"): each["version"] for each in listed}
    return {name: known.get(name.replace("-", "_"), "none") for name in names}


def page(kept: dict[str, Any]) -> str:
    """The results as Markdown."""
    machine, rows = kept["machine"], kept["rows"]
    of = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    lines = [
        "# What messages cost at Redis and NATS",
        "",
        f"{machine['processor']}, {machine['cpus']} CPUs shared with others, Linux, load "
        f"{machine['load_average']}; Python {machine['python']}; commit {kept['commit']}.",
        f"{of}.",
        "",
        f"Everybody in turn, {kept['rounds']} rounds: medians, and the least and the most. CPU",
        f"of the node's process for one message of 100 bytes, {kept['window']} on their way at a",
        "time, uvloop; then milliseconds from publishing to delivery on another node, both in one",
        f"process, at {kept['rate']:,} messages a second. Nobody is connected: it is the part of",
        "the broker alone. Only rooms that remember have places, keep messages and find lost ones.",
        "",
        "| | µs to publish | µs to receive | ms, p50 | ms, p99 |",
        "|---|--:|--:|--:|--:|",
    ]
    for kind, title in TITLES.items():
        cells = [
            f"{row['median']:.2f} ({row['least']:.2f} to {row['most']:.2f})" if row else ""
            for row in (
                rows.get(f"{kind} {name}")
                for name in ("publish_us", "receive_us", "p50_ms", "p99_ms")
            )
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_after(kept["whole"], kept["subscribe"])]) + "\n"


def _after(whole: dict[str, float], many: dict[str, float]) -> list[str]:
    return [
        "## A broker that is started again",
        "",
        "Redis is killed and started again with nothing kept. Seconds from its first answer, with",
        f"{whole['members']:,} members in {whole['rooms']:,} rooms that remember, node and",
        "publisher in one process:",
        "",
        "| | |",
        "|---|--:|",
        f"| the node is connected | {whole['reconnected_s']} |",
        f"| every member has what was published since | {whole['whole_s']} |",
        f"| CPU of node and publisher | {whole['cpu_s']} |",
        "",
        f"A node gets {many['rooms']:,} rooms in one turn, and after a restart has them again. No",
        f"command names more than {many['largest_batch']}. Seconds:",
        "",
        "| | until | CPU |",
        "|---|--:|--:|",
        f"| all are subscribed to | {many['subscribed_s']} | {many['subscribed_cpu_s']} |",
        f"| their positions are known | {many['positions_known_s']} | |",
        f"| after a restart, all are again | {many['again_s']} | {many['again_cpu_s']} |",
    ]


def main() -> None:
    """Measure, print the page, and keep it where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="redis-server", help="the server to start")
    parser.add_argument("--nats", default="nats-server", help="the server of NATS to start")
    parser.add_argument("--python", type=Path, default=CACHE / "python" / "bin" / "python")
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--window", type=int, default=16, help="messages on the way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=1000, help="messages a second for latencies")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rooms", type=int, default=1000)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--subscribe", type=int, default=100_000, help="rooms subscribed to")
    parser.add_argument("--name", help="keep the figures as bench/results/NAME.json and .md")
    options = parser.parse_args()
    kept = measured(options)
    text = page(kept)
    print(text)
    if options.name:
        (RESULTS / f"{options.name}.json").write_text(json.dumps(kept, indent=1) + "\n")
        (RESULTS / f"{options.name}.md").write_text(text)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """All that is kept."""
    found: Figures = defaultdict(list)
    machine = describe_machine()
    with broker.Redis(options.server) as redis, broker.Nats(options.nats) as nats:
        for _ in range(options.rounds):
            one_round(redis.url, nats.url, options, found)
    whole, subscribe = broker_return.measure(
        options.server, options.rooms, options.members, options.subscribe
    )
    return {
        "commit": commit(),
        "machine": machine,
        "versions": versions(options.python),
        "rounds": options.rounds,
        "window": options.window,
        "rate": options.rate,
        "rows": {" ".join(key): _spread(values) for key, values in found.items()},
        "whole": whole,
        "subscribe": subscribe,
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


if __name__ == "__main__":
    main()
