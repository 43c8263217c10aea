"""How somebody who behaves fares beside each attack on a parser, and without one.

    ci/bystander                        every attack, one attacking connection at a time
    ci/bystander --clients 10 chunks    those whose names hold a word, ten connections at a time
    ci/bystander --json FILE            the figures as JSON as well

    ci/bystander --rounds 5             each attack so often, silence between
    ci/bystander --turns                the processor's time instead, for the turn with each attack

For each attack: round trips of one client, the attacker being silent and then not, in turn; the
medians of their 50th and 99th percentiles, and the ratio of the latter. A server may take three
times as long beside an attacker; what is beyond is marked. Times are this machine's, so run it on
an idle one with three processors: the server, the attacker and the bystander each want one. What
`--turns` prints hardly depends on what else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from glyph_fast import json as ours
from tests.abuse.attacks import TEXTS, attacks
from tests.abuse.conftest import OPTIONS
from tests.abuse.reader import READ, REQUESTS, desk
from tests.abuse.site import ATTACKER, Bystander, Site
from tests.serving import ROOT

ALLOWED = 3.0  # of the 99th percentile, beside what it is without


def percentiles(times: list[float]) -> tuple[float, float]:
    """The 50th and 99th, in milliseconds."""
    ordered = sorted(times)
    half, most = (ordered[len(ordered) * share // 100] for share in (50, 99))
    return 1000 * half, 1000 * most


def watch(site: Site, seconds: float) -> tuple[float, float]:
    """How a bystander fares for so long."""
    bystander = Bystander(site.process.port)
    threading.Event().wait(seconds)
    bystander.end()
    return percentiles(bystander.times)


def beside(site: Site, name: str, clients: int, seconds: float) -> tuple[float, float, int]:
    """The same beside an attacker, and how many rounds of the attack the server went through."""
    command = [*ATTACKER, str(site.process.port), name]
    with subprocess.Popen(
        [*command, str(clients)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as attacker:
        assert attacker.stdin is not None and attacker.stdout is not None
        assert attacker.stdout.readline(), "the attacker did nothing"
        half, most = watch(site, seconds)
        attacker.stdin.close()
        lines = attacker.stdout.read().split()
    return half, most, int(lines[-1]) if lines else 1


def measure(site: Site, name: str, clients: int, seconds: float, times: int) -> dict[str, Any]:
    """One row: the medians of so many runs, without and beside the attacker in turn."""
    runs = [(watch(site, seconds), beside(site, name, clients, seconds)) for _ in range(times)]
    before = [median(run[0][which] for run in runs) for which in (0, 1)]
    half, most = (median(run[1][which] for run in runs) for which in (0, 1))
    rounds = sum(run[1][2] for run in runs)
    ratio = most / before[1]
    mark = "" if ratio <= ALLOWED else "  !"
    print(f"{name:40} {before[0]:7.2f} {before[1]:7.2f}   {half:7.2f} {most:7.2f} "
          f"{ratio:6.1f}  {rounds:6}{mark}", flush=True)  # fmt: skip
    return {"attack": name, "without": before, "beside": (half, most), "rounds": rounds}


def processor_time(work: Callable[[], object]) -> float:
    """Milliseconds of the processor that a call takes."""
    began = time.thread_time()
    with suppress(ValueError):
        work()
    return 1000 * (time.thread_time() - began)


def turns(times: int) -> dict[str, float]:
    """The time for one read of each attack, or its JSON: others wait for so long at least."""
    found = {}
    for name in REQUESTS:
        data = attacks()[name][:READ]
        found[name] = median(
            processor_time(lambda: client.send(data))  # noqa: B023
            for client in [desk().client() for _ in range(times)]
        )
    for name, text in TEXTS.items():
        work = partial(ours.loads, text)
        found[f"JSON: {name}"] = median(processor_time(work) for _ in range(times))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("word", nargs="?", default="", help="attacks whose names hold it")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", default="compiled")
    parser.add_argument("--engine", default="native")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--turns", action="store_true")
    given = parser.parse_args()
    if given.turns:
        for name, milliseconds in turns(given.rounds).items():
            print(f"{name:40} {milliseconds:7.2f} ms")
        return
    backend = SimpleNamespace(core=given.core, engine=given.engine, loop="auto")
    site = Site(backend, program="parsers:server", trusted_proxy="127.0.0.1", **OPTIONS)
    print(f"{'ms':40} {'p50':>7} {'p99':>7}   {'p50':>7} {'p99':>7}  ratio  rounds")
    try:
        rows = [
            measure(site, name, given.clients, given.seconds, given.rounds)
            for name in attacks()
            if given.word in name
        ]
    finally:
        site.end()
    if given.json:
        found = {"load": os.getloadavg(), "processors": os.cpu_count(), **vars(given), "rows": rows}
        Path(given.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
