"""How somebody who behaves fares beside each attack on a parser, in good company, and alone.

    ci/bystander                        every attack, one attacking connection at a time
    ci/bystander --clients 10 chunks    those whose names hold a word, ten connections at a time
    ci/bystander --rounds 5             each attack so often, silence between
    ci/bystander --pin                  the server has a processor for itself (root, two processors)
    ci/bystander --json FILE            the figures as JSON as well

    ci/bystander --turns                the processor's time instead, for the turn with each attack

For each attack: round trips of one client while nobody else sends (for half as long), and beside
the attacker, in turn; the medians of their 50th and 99th percentiles. Then the same beside one who
sends as many bytes as fast as it can, and means well (`company.py`). Two ratios of the 99th
percentiles follow, to silence and to good company. A server may take three times as long beside an
attacker as in good company; what is beyond is marked. It is printed as it is kept in
`bench/results`; `--pin --seconds 1 --rounds 3` takes eight minutes.

On a machine where others work, and without `--pin`, one sees the scheduler: a server that is busy
all the time waits for its processor. What `--turns` prints hardly depends on what else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, NamedTuple

from glyph_fast import json as ours
from glyph_fast.load.machine import machine
from tests.abuse.attacks import TEXTS, attacks
from tests.abuse.company import COMPANY, company_of
from tests.abuse.conftest import OPTIONS
from tests.abuse.pinning import Unpinnable, apart, comes_first, goes_first
from tests.abuse.reader import READ, REQUESTS, desk
from tests.abuse.site import ATTACKER, Bystander, Site
from tests.serving import ROOT

ALLOWED = 3.0  # of the 99th percentile, beside what it is in good company
SETTLED_S = 0.05  # in which a server is done with what an attacker left
HEADS = ["attack", "p50", "p99", "p50 beside", "p99 beside", "p99 in good company",
         "p99 to silence", "p99 to good company"]  # fmt: skip
LEGEND = """Milliseconds of a client's round trips: alone, beside one attacking connection, and in
good company, which is one client that sends as many bytes plainly and as fast as it can. The last
two columns are the ratios of the p99 beside the attack to the two others; what is beyond three
times that in good company is marked."""


class Fared(NamedTuple):
    """How a bystander fared, in milliseconds."""

    half: float
    most: float

    @classmethod
    def of(cls, times: list[float]) -> Fared:
        """The 50th and 99th percentiles of so many seconds."""
        ordered = sorted(times)
        return cls(*(1000 * ordered[len(ordered) * share // 100] for share in (50, 99)))

    @classmethod
    def median(cls, runs: list[Fared]) -> Fared:
        """The medians of several runs."""
        return cls(*(median(run[which] for run in runs) for which in (0, 1)))


class Watch:
    """A bystander through silence and attacks, whose times are told apart at its end."""

    def __init__(self, site: Site, given: argparse.Namespace) -> None:
        self._site, self._given = site, given
        self._bystander = Bystander(site.process.port)
        self._phases: dict[str, list[tuple[int, int]]] = {}
        if given.pin:
            goes_first(self._bystander.pid)

    def silence(self) -> None:
        """Watch while nobody else sends."""
        self._for("", self._given.seconds / 2)

    def beside(self, name: str) -> None:
        """Watch while an attacker sends."""
        command = [*ATTACKER, str(self._site.process.port), name, str(self._given.clients)]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as attacker:
            assert attacker.stdin is not None and attacker.stdout is not None
            assert attacker.stdout.readline(), "the attacker did nothing"
            self._for(name, self._given.seconds)
            attacker.stdin.close()
            attacker.stdout.read()
        threading.Event().wait(SETTLED_S)

    def _for(self, name: str, seconds: float) -> None:
        first = self._bystander.count()
        threading.Event().wait(seconds)
        self._phases.setdefault(name, []).append((first, self._bystander.count()))

    def end(self) -> dict[str, Fared]:
        """The figures of silence, whose name is empty, and of each attack."""
        self._bystander.end()
        return {
            name: Fared.median([Fared.of(self._bystander.times[a:b]) for a, b in parts])
            for name, parts in self._phases.items()
        }


def measure(site: Site, name: str, given: argparse.Namespace) -> tuple[Fared, Fared]:
    """How a bystander fares alone and beside an attacker, in turn."""
    watch = Watch(site, given)
    for _ in range(given.rounds):
        watch.silence()
        watch.beside(name)
    found = watch.end()
    return found[""], found[name]


def rows(site: Site, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure and print one row after the other."""
    found, known = [], dict[str, Fared]()
    print(f"| {' | '.join(HEADS)} |\n|---|{'--:|' * (len(HEADS) - 1)}")
    for name, data in attacks().items():
        if given.word not in name:
            continue
        company = company_of(name, data)[0]
        if company not in known:
            known[company] = measure(site, COMPANY + name, given)[1]
        alone, beside = measure(site, name, given)
        good = known[company]
        ratio = beside.most / good.most
        cells = [*alone, *beside, good.most, beside.most / alone.most, ratio]
        texts = [f"{cell:.2f}" for cell in cells[:5]] + [f"{cell:.1f}" for cell in cells[5:]]
        mark = "" if ratio <= ALLOWED else " !"
        print(f"| {name} | {' | '.join(texts)}{mark} |", flush=True)
        found.append({"attack": name, "company": company, "alone": alone, "beside": beside,
                      "in good company": good})  # fmt: skip
    return found


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


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("word", nargs="?", default="", help="attacks whose names hold it")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", default="compiled")
    parser.add_argument("--engine", default="native")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--turns", action="store_true")
    return parser.parse_args()


def main() -> None:
    given = parsed()
    if given.turns:
        for name, milliseconds in turns(given.rounds).items():
            print(f"{name:40} {milliseconds:7.2f} ms")
        return
    backend = SimpleNamespace(core=given.core, engine=given.engine, loop="auto")
    start = partial(Site, backend, program="parsers:server", trusted_proxy="127.0.0.1", **OPTIONS)
    load = os.getloadavg()
    where = f"{machine()}, Python {platform.python_version()}"  # before it is pinned
    try:
        with apart(start) if given.pin else nullcontext(start()) as site:
            print(f"# Beside attacks on the parsers, {time.strftime('%F', time.gmtime())}\n\n"
                  f"{where}; {given.core} core,\n{given.engine} engine; load average {load[0]:.1f}."
                  f" Medians of {given.rounds} runs. Printed by\n"
                  f"`ci/bystander {shlex.join(sys.argv[1:])}`.\n\n{LEGEND}\n")  # fmt: skip
            try:
                if given.pin:
                    comes_first(site.process.process.pid)
                found = rows(site, given)
            finally:
                site.end()
    except Unpinnable as exc:
        sys.exit(str(exc))
    worst = [each["beside"].most / each["in good company"].most for each in found]
    print(f"\n{sum(each <= ALLOWED for each in worst)} of {len(worst)} are within three times.")
    if given.json:
        written = {"load": load, "processors": os.cpu_count(), **vars(given), "rows": found}
        Path(given.json).write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
