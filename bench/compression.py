"""What permessage-deflate costs, by library and by server: `python -m bench.compression`.

Two questions. Which library: CPU and output of one message, memory of one context, with zlib,
zlib-ng and ISA-L, each at the level a server would use. Which server: CPU per message and memory
per connection of ours under `shared` and `dedicated`, of websockets and of Bun, under the same
client and the same messages. Those are words, which deflate packs about as well as prose and JSON.

`pip install zlib-ng` first, and `bench/rivals/install`; what is not there is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from glyph_fast.load.payloads import make_script
from glyph_fast.websocket.deflate import DEDICATED_BITS, ISAL_KEPT_LEVEL, MEMORY_LEVEL

from .rivals.catalogue import BY_NAME, CACHE, ROOT, Rival
from .rivals.comparison import Plan, compare, document
from .rivals.table import number
from .rivals.works import Figure, Work

SIZES = (512, 2048, 16384)
SIZE = 2048  # of a message to the servers
FEW, MANY = 50, 1050  # connections, between which memory is compared
CONTEXTS = 1000
SECONDS = 0.5  # of CPU, for one figure of a library

# Library, module, level: zlib's default, and the fastest of the others that compress at all.
LIBRARIES = [
    ("zlib, level 6", "zlib", 6),
    ("zlib, level 1", "zlib", 1),
    ("zlib-ng, level 6", "zlib_ng.zlib_ng", 6),
    ("zlib-ng, level 2", "zlib_ng.zlib_ng", 2),
    ("ISA-L, level 1", "isal.isal_zlib", 1),
    ("ISA-L, level 2", "isal.isal_zlib", 2),
]


@dataclass(frozen=True)
class Library:
    """A way to deflate and inflate, used as `glyph_fast.websocket.deflate` uses it."""

    module: Any
    level: int

    def compressor(self, bits: int) -> Any:
        return self.module.compressobj(self.level, 8, -bits, MEMORY_LEVEL)

    def kept(self, bits: int) -> Any:
        """A compressor for a connection of its own."""
        is_isal = self.module.__name__.startswith("isal")
        memory_level = ISAL_KEPT_LEVEL if is_isal else MEMORY_LEVEL
        return self.module.compressobj(self.level, 8, -bits, memory_level)

    def inflater(self, bits: int) -> Any:
        return self.module.decompressobj(-bits)

    def pack(self, compressor: Any, payload: bytes) -> bytes:
        packed: bytes = compressor.compress(payload) + compressor.flush(2)  # Z_SYNC_FLUSH
        return packed

    def unpack(self, inflater: Any, packed: bytes) -> bytes:
        data: bytes = inflater.decompress(packed)
        return data


FOREIGN = Library(zlib, 6)  # what browsers send
HELD: list[Any] = []  # every context made, so that no memory is used twice


def measure_library(name: str, level: int) -> dict[str, float]:
    """Figures of one library; for a process of its own, since memory is looked at."""
    library = Library(import_module(name), level)
    figures: dict[str, float] = {}
    for size in SIZES:
        payloads = [bytes(each) for each in make_script(size, 1, binary=True, words=True)]
        packed = [library.pack(library.compressor(15), each) for each in payloads]
        foreign = [FOREIGN.pack(FOREIGN.compressor(15), each) for each in payloads]
        kept = library.kept(DEDICATED_BITS)
        for each, data in zip(payloads, packed, strict=True):
            if library.unpack(library.inflater(15), data) != each:
                raise RuntimeError(f"{name} does not give back what it was given")
        figures[f"{size} ratio"] = sum(map(len, payloads)) / sum(map(len, packed))
        figures[f"{size} deflate"] = timed(
            lambda each: library.pack(library.compressor(15), each), payloads
        )
        figures[f"{size} deflate, context kept"] = timed(
            lambda each, kept=kept: library.pack(kept, each),  # type: ignore[misc]
            payloads,
        )
        figures[f"{size} inflate"] = timed(
            lambda data: library.unpack(library.inflater(15), data), foreign
        )
    for bits in (DEDICATED_BITS, 15):
        figures[f"{bits} bits, deflate"] = context_bytes(library.kept, library.pack, bits)
        figures[f"{bits} bits, inflate"] = context_bytes(library.inflater, library.unpack, bits)
    return figures


def timed(work: Callable[[bytes], object], inputs: Sequence[bytes]) -> float:
    """µs of CPU for one call."""
    count, began = 0, time.process_time()
    while (took := time.process_time() - began) < SECONDS:
        for each in inputs[count % len(inputs) :][:100]:
            work(each)
            count += 1
    return took / count * 1e6


def context_bytes(
    make: Callable[[int], Any], use: Callable[[Any, bytes], bytes], bits: int
) -> float:
    """Resident bytes of a compressor or an inflater that has seen some messages."""
    payload = bytes(make_script(SIZE, 1, binary=True, words=True)[0])
    data = FOREIGN.pack(FOREIGN.compressor(9), payload) if use.__name__ == "unpack" else payload
    HELD.append(make(bits))
    use(HELD[-1], data)  # what is made once for all
    before = resident()
    for _ in range(CONTEXTS):
        HELD.append(make(bits))
        for _ in range(20):
            use(HELD[-1], data)
    return (resident() - before) / CONTEXTS


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def libraries() -> dict[str, dict[str, float] | str]:
    """Figures by library, or why there are none."""
    found: dict[str, dict[str, float] | str] = {}
    for title, module, level in LIBRARIES:
        command = [sys.executable, "-m", "bench.compression", "--library", f"{module}:{level}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            found[title] = (done.stderr.strip().splitlines() or ["no output"])[-1]
        else:
            found[title] = json.loads(done.stdout)
        print(f"{title}: {found[title]}", file=sys.stderr, flush=True)
    return found


def ours(mode: str) -> Rival:
    """glyph-fast with `--compression` of that mode."""
    plain = BY_NAME["glyph-fast"]
    return replace(
        plain,
        name=f"glyph-fast-{mode}",
        title=f"glyph-fast, {mode}",
        command=lambda cache, port: [*plain.command(cache, port), "--compression", mode],
    )


def with_compression(name: str, mode: str, title: str) -> Rival:
    """Another server, told by its environment."""
    plain = BY_NAME[name]
    environment = {**plain.environment, "COMPRESSION": mode}
    return replace(plain, name=f"{name}-{mode}", title=title, environment=environment)


RIVALS = (
    ours("shared"),
    ours("dedicated"),
    with_compression("bun", "shared", "Bun, shared"),
    with_compression("bun", "dedicated", "Bun, dedicated"),
    with_compression("websockets", "dedicated", "websockets"),
)


def _cpu(report: Mapping[str, Any]) -> float | None:
    value: float | None = report["server"]["cpu_us"]
    return value


def _memory(report: Mapping[str, Any]) -> float | None:
    value: float | None = report["server"]["rss_bytes"]
    return value


def _echo(name: str, connections: int, figure: Figure) -> Work:
    arguments = ("--compression", "--mode", "echo", "-c", str(connections), "-s", str(SIZE))
    return Work(name, "/echo", arguments, (figure,))


WORKS = (
    _echo("echo", 64, Figure("echo", "echo, 2 KiB, CPU", "µs", _cpu)),
    Work(
        "fan-out",
        "/room/bench",
        ("--compression", "--mode", "fan-out", "-c", "500", "-s", str(SIZE)),
        (Figure("fan-out", "fan-out to 500, 2 KiB, CPU a delivery", "µs", _cpu),),
    ),
    _echo("few", FEW, Figure("few", f"memory with {FEW} connections", "B", _memory)),
    _echo("many", MANY, Figure("many", f"memory with {MANY} connections", "B", _memory)),
)


def markdown(found: Mapping[str, Any]) -> str:
    """The whole text of `results/<date>-compression.md`."""
    machine = found["machine"]
    parts = [
        f"# Compression, {found['date']}",
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['system']}, Python "
        f"{machine['python']}, load {machine['load_average']}; commit {found['commit']}. "
        "Printed by `python -m bench.compression`; messages are words.",
        "One message by library: times packed; µs of CPU to deflate with an empty window of 15 "
        "bits, to deflate with a kept one of 12, to inflate what zlib packed. Then resident bytes "
        "of a kept compressor and of an inflater that have seen some messages of 2 KiB.",
        _library_table(found["libraries"]),
        f"Server CPU in µs per message or delivery, medians of {found['plan']['repetitions']} "
        "interleaved runs with the least and the greatest in brackets; memory in bytes per "
        f"connection, the growth from {FEW} to {MANY} connections that exchanged messages.",
        _server_table(found),
    ]
    failures = [
        f"- {server} failed at {work}: {reason}"
        for work, servers in found["failures"].items()
        for server, reason in servers.items()
    ]
    return "\n\n".join(parts + (["\n".join(failures)] if failures else [])) + "\n"


def _library_table(found: Mapping[str, Any]) -> str:
    titles = [f"{size} B: packed, deflate, kept, inflate" for size in SIZES]
    titles += [f"{bits} bits: memory" for bits in (DEDICATED_BITS, 15)]
    rows = ["| library | " + " | ".join(titles) + " |", "|---|" + "--:|" * len(titles)]
    for title, figures in found.items():
        if isinstance(figures, str):
            rows.append(f"| {title} | not run: {figures} |")
            continue
        cells = [
            f"{figures[f'{size} ratio']:.2f}, "
            + ", ".join(
                number(figures[f"{size} {what}"])
                for what in ("deflate", "deflate, context kept", "inflate")
            )
            for size in SIZES
        ]
        cells += [
            ", ".join(number(figures[f"{bits} bits, {what}"]) for what in ("deflate", "inflate"))
            for bits in (DEDICATED_BITS, 15)
        ]
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _server_table(found: Mapping[str, Any]) -> str:
    figures = found["figures"]
    titles = [work.figures[0].title for work in WORKS[:2]] + ["memory of a connection"]
    rows = ["| server | " + " | ".join(titles) + " |", "|---|" + "--:|" * len(titles)]
    for name in found["plan"]["order"]:
        if name in found["not_run"]:
            rows.append(f"| {found['titles'][name]} | not run: {found['not_run'][name]} |")
            continue
        cells = [_cell(figures.get(work.name, {}).get(name, [])) for work in WORKS[:2]]
        cells.append(_growth(*(figures.get(work, {}).get(name, []) for work in ("few", "many"))))
        package = BY_NAME[name.rpartition("-")[0]].package
        version = found["versions"].get(package, "")
        rows.append(f"| {found['titles'][name]} {version}".rstrip() + f" | {' | '.join(cells)} |")
    return "\n".join(rows)


def _growth(few: Sequence[float], many: Sequence[float]) -> str:
    """Bytes a connection; nothing where the samples of one count differ by more than that."""
    if not few or not many:
        return "failed"
    grown = median(many) - median(few)
    spread = max(max(each) - min(each) for each in (few, many))
    if grown <= spread:
        return f"within the spread of {number(spread / (MANY - FEW))}"
    return number(grown / (MANY - FEW))


def _cell(samples: Sequence[float]) -> str:
    if not samples:
        return "failed"
    return f"{number(median(samples))} ({number(min(samples))}–{number(max(samples))})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep what was printed; 0 when every server gave its figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.compression", description=__doc__)
    parser.add_argument("--dir", type=Path, default=CACHE, help="where the rivals are installed")
    parser.add_argument("--only", choices=["libraries", "servers"])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--server-cpu", type=float, default=1.0, help="seconds per sample")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    parser.add_argument(
        "--library", help=argparse.SUPPRESS
    )  # MODULE:LEVEL, in a process of its own
    options = parser.parse_args(arguments)
    if options.library:
        module, _, level = options.library.partition(":")
        print(json.dumps(measure_library(module, int(level))))
        return 0
    plan = Plan(
        cache=options.dir,
        rivals=RIVALS if options.only != "libraries" else (),
        works=WORKS,
        repetitions=options.repetitions,
        server_cpu=options.server_cpu,
        duration=1.0,
    )
    results = compare(plan, say=lambda text: print(text, file=sys.stderr, flush=True))
    found = document(plan, results)
    found["libraries"] = libraries() if options.only != "servers" else {}
    text = markdown(found)
    options.output.mkdir(parents=True, exist_ok=True)
    name = time.strftime("%Y-%m-%d-compression", time.gmtime())
    (options.output / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.output / f"{name}.md").write_text(text)
    print(text)
    return 1 if results.missing or results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
