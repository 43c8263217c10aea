"""All attacks at once against one server: those who behave are served, and nothing is left."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from itertools import count

import pytest

from glyph_fast.wire import TEXT
from tests.abuse.conftest import OPTIONS
from tests.abuse.site import ATTACKER, DEADLINE_S, UPGRADE, Client, Site, frame
from tests.serving import ROOT

MIB = 1 << 20
ATTACKERS = 3  # processes, each with every attack on a parser, and two connections at a time
STAGES = (b"", UPGRADE[:30], UPGRADE + b"\r\n", UPGRADE + b"\r\n" + frame(TEXT, b"x")[:4])


def attackers(site: Site, stack: ExitStack) -> list[subprocess.Popen[bytes]]:
    """The processes, begun."""
    command = [*ATTACKER, str(site.process.port), "all", "2", "2"]
    found = []
    for _ in range(ATTACKERS):
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        found.append(stack.enter_context(process))
        stack.callback(process.kill)
    return found


@pytest.mark.both_cores
@pytest.mark.slow
def test_who_behaves_is_served_beside_all_attacks_at_once(backend, tell):
    """Hostile heads, bodies and frames, storms of resets, half-open heads, silent peers."""
    site = Site(backend, program="parsers:server", **OPTIONS, trusted_proxy="127.0.0.1")
    try:
        with site.bystander():  # what a server opens with its first client is open
            pass
        before = site.memory(), site.descriptors()
        with ExitStack() as stack:
            bystanders = [stack.enter_context(site.bystander()) for _ in range(2)]
            running = attackers(site, stack)
            for number in count():
                if all(process.poll() is not None for process in running):
                    break
                Client(site.process.port).write(STAGES[number % 4]).reset()
                if number % 10 == 0:
                    site.client().write(UPGRADE[:40])  # and no more
                    site.open(narrow=True).write(frame(TEXT, b"x" * 900) * 50)  # and reads nothing
                if number % 100 == 0:
                    site.leave()
                    for bystander in bystanders:
                        served = bystander.count()
                        site.until(lambda b=bystander, served=served: b.count() > served)
            assert [process.returncode for process in running] == [0] * ATTACKERS
            site.leave()
            site.until(lambda: site.descriptors() <= before[1] + 2)  # the bystanders'
            assert site.memory() - before[0] < 96 * MIB
        for bystander in bystanders:
            tell(bystander)
            assert max(bystander.times) < DEADLINE_S
    finally:
        site.end()
