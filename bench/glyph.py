"""What Glyph costs over Python: `python -m bench.glyph`.

The same handlers, in Glyph (`glyph_programs/relay.glyph`) and in Python (`relay.py` beside it), run
in turn on a fresh server each; the load generator checks every answer. And how long a program of a
thousand lines takes from text to routes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from glyph_fast.glyph.serving.load import load_source
from glyph_fast.glyph.syntax.source import Source

from .rivals.catalogue import CACHE, ROOT, Rival
from .rivals.comparison import Plan, commit, describe_machine, sample
from .rivals.process import RunFailed
from .rivals.table import number
from .rivals.works import Work

_PROGRAMS = ROOT / "bench" / "glyph_programs"
TARGET = 1.3  # times the Python handler's CPU, at most, for an echo
_LINES = 1000
# GlyphLang's own Go server, as measured once on another machine and not run again here.
REFERENCE_US = {"echo-1": 15.0, "echo-16": 5.2, "fan-out": 2.3}


def _serving(target: str, *options: str) -> Callable[[Path, int], list[str]]:
    def command(cache: Path, port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "glyph_fast", "serve", target, *options),
            *("--host", "127.0.0.1", "--port", str(port)),
        ]

    return command


_ENVIRONMENT = {"PYTHONPATH": str(ROOT)}
_LIMITS = ("--max-connections", "20000", "--max-room-members", "20000")
GLYPH = Rival(
    "glyph",
    "Glyph",
    _serving(str(_PROGRAMS / "relay.glyph"), *_LIMITS),
    "ours",
    environment=_ENVIRONMENT,
)
PYTHON = Rival(
    "python",
    "Python",
    _serving("bench.glyph_programs.relay:server"),
    "ours",
    environment=_ENVIRONMENT,
)


def _echo(name: str, path: str, in_flight: int) -> Work:
    shape = ("--mode", "echo", "-c", "64", "-s", "64", "-p", str(in_flight), "--json-messages")
    return Work(name, path, shape, ())


def _fan_out(name: str, path: str) -> Work:
    shape = ("--mode", "fan-out", "-c", "1000", "-s", "128", "-p", "8", "--json-messages")
    return Work(name, path, shape, ())


WORKS = {
    _echo("echo-1", "/echo", 1): "echo, 64 B, 1 in flight",
    _echo("echo-16", "/echo", 16): "echo, 64 B, 16 in flight",
    _echo("build-1", "/build", 1): "answer of a new object, 1 in flight",
    _echo("build-16", "/build", 16): "answer of a new object, 16 in flight",
    _fan_out("fan-out", "/room/bench"): "fan-out to 1,000, 128 B, 8 in flight",
    _fan_out("build-fan-out", "/build-room/bench"): "fan-out of a new object to 1,000, 8 in flight",
}


def compare(plan: Plan, works: Sequence[Work], say: Callable[[str], object]) -> dict[str, Any]:
    """CPU in µs per message or delivery: by work, by language, a figure for each run."""
    found: dict[str, Any] = {}
    for work in works:
        for repetition in range(plan.repetitions):
            for rival in (GLYPH, PYTHON):
                report = sample(plan, work, rival)
                cpu, busy = report["server"]["cpu_us"], report["server"]["busy"]
                figures = found.setdefault(work.name, {}).setdefault(rival.name, [])
                figures.append({"cpu_us": cpu, "busy": busy, "verified": report["verified"]})
                label = f"{work.name} {repetition + 1}/{plan.repetitions} {rival.name}"
                say(f"{label}: {cpu} µs, server {busy:.0%}, {report['verified']:,} checked")
    return found


def program(lines: int = _LINES) -> str:
    """A program of so many lines: types, functions, HTTP and WebSocket routes by turns."""
    text: list[str] = []
    number = 0
    while len(text) < lines - len(_PART):
        text += [line.replace("N", str(number)) for line in _PART]
        number += 1
    return "\n".join(text + ["# the rest"] * (lines - len(text))) + "\n"


_PART = """
: ItemN {
  name: str!
  price: float!
  tags: str[]
}

! totalN(items: ItemN[], rate: float = 0.19): float {
  $ total = 0.0
  for item in items {
    if item.price > 0 && length(item.name) > 0 {
      total = total + item.price * (1 + rate)
    }
  }
  > total
}

@ POST /itemsN/:id -> float {
  < input: ItemN
  ? page: int = 1
  ? input.price >= 0 :: 422 "no price"
  > totalN([input, {name: id, price: page * 1.5}])
}

@ ws /roomN/:room/:nick {
  on connect { ws.join(room) }
  on message {
    match input {
      {type: "say", text} when length(text) < 2000 =>
        ws.broadcast_to_room(room, {type: "say", name: nick, text: text, time: now()})
      {type: "bye"} => ws.close("bye")
      _ => ws.send({error: "unknown", known: ["say", "bye"]})
    }
  }
  on disconnect { ws.broadcast_to_room(room, {type: "left", name: nick}) }
}
""".splitlines()


def loading(repetitions: int = 20) -> dict[str, Any]:
    """Milliseconds from the text of a thousand lines to a program that can be served."""
    text, times = program(), []
    for _ in range(repetitions):
        start = time.perf_counter()
        loaded = load_source(Source("large.glyph", text))
        times.append((time.perf_counter() - start) * 1e3)
        if loaded.warnings or len(loaded.http) != len(loaded.sockets) or not loaded.http:
            raise RunFailed("the large program does not load as it should")
    return {"lines": text.count("\n"), "routes": 2 * len(loaded.http), "ms": times}


def ratio(figures: Mapping[str, Any]) -> float:
    """The median of Glyph over that of Python."""
    return _median(figures["glyph"]) / _median(figures["python"])


def _median(samples: Sequence[Mapping[str, float]]) -> float:
    return median(each["cpu_us"] for each in samples)


def markdown(found: Mapping[str, Any]) -> str:
    """The results as a page."""
    machine, load = found["machine"], found["loading"]
    rows = []
    for work, title in WORKS.items():
        figures = found["works"].get(work.name)
        if figures:
            cells = [title, _cell(figures["glyph"]), _cell(figures["python"])]
            reference = REFERENCE_US.get(work.name)
            cells += [f"{ratio(figures):.2f}", f"{reference:g}" if reference else "–"]
            rows.append("| " + " | ".join(cells) + " |")
    ms = sorted(load["ms"])
    where = "virtual machine" if machine["virtual"] else "machine"
    return "\n".join(
        [
            f"# Glyph beside Python, {found['date']}\n",
            f"{machine['processor']}, {machine['cpus']} CPUs, {where}, {machine['system']}, Python "
            f"{machine['python']}, load average {machine['load_average']:g} at the start; commit "
            f"{found['commit']}; {found['repetitions']} runs each in turn, at least "
            f"{found['server_cpu']:g} s of server CPU per run; every answer checked.\n",
            "Server CPU in µs per message or delivery: median, in brackets the least and the "
            "greatest. GlyphLang's own Go server is a reference figure from another machine, not "
            "run again.\n",
            "| | Glyph | Python | Glyph / Python | GlyphLang (reference) |",
            "|---|--:|--:|--:|--:|",
            *rows,
            f"\nA program of {load['lines']:,} lines ({load['routes']} routes) is parsed, checked "
            f"and compiled in {median(ms):.0f} ms ({ms[0]:.0f}–{ms[-1]:.0f}, {len(ms)} times).\n",
        ]
    )


def _cell(samples: Sequence[Mapping[str, float]]) -> str:
    values = [each["cpu_us"] for each in samples]
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write results/<date>-glyph.json and .md; 1 where an echo misses the target."""
    parser = argparse.ArgumentParser(prog="python -m bench.glyph", description=main.__doc__)
    parser.add_argument("--only", help=f"of {', '.join(work.name for work in WORKS)}")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--server-cpu", type=float, default=1.0, metavar="S")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args(arguments)
    pins = (0, 1) if (os.cpu_count() or 1) > 1 else (None, None)
    plan = Plan(
        CACHE, (), (), options.repetitions, options.server_cpu, duration=1.0,
        server_on=pins[0], client_on=pins[1],
    )  # fmt: skip
    chosen = [w for w in WORKS if not options.only or w.name in options.only.split(",")]
    now = time.strftime("%Y-%m-%d", time.gmtime())
    found = {
        "date": now,
        "machine": describe_machine(),
        "commit": commit(),
        "repetitions": options.repetitions,
        "server_cpu": options.server_cpu,
        "works": compare(plan, chosen, say=lambda text: print(text, file=sys.stderr, flush=True)),
        "loading": loading(),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{now}-glyph.json").write_text(json.dumps(found, indent=1) + "\n")
    text = markdown(found)
    (options.output / f"{now}-glyph.md").write_text(text)
    print(text)
    echoes = [
        ratio(found["works"][name]) for name in ("echo-1", "echo-16") if name in found["works"]
    ]
    return 1 if any(each > TARGET for each in echoes) else 0


if __name__ == "__main__":
    sys.exit(main())
