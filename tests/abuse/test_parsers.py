"""Attacks on the parsers: somebody else is served meanwhile, and the work of a turn is counted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from glyph_fast.opening.proxy_protocol import read_proxy_header
from tests.abuse.attacks import attacks, proxied
from tests.abuse.conftest import OPTIONS
from tests.abuse.reader import READ, REQUESTS, desk
from tests.abuse.site import ATTACKER, DEADLINE_S, Site
from tests.serving import ROOT

MAX_CALLS = 10_000  # of functions, in a turn of one client; half of them take 100 ns
SHARED = ["chunks of 3 bytes", "chunks of 5 bytes", "frames of a byte", "pings", "requests"]


@pytest.fixture(scope="session")
def parsing_sites() -> Iterator[dict[str, Site]]:
    """The servers that run."""
    found: dict[str, Site] = {}
    yield found
    for site in found.values():
        site.end()


@pytest.fixture
def parsing(backend: Any, parsing_sites: dict[str, Site]) -> Site:
    """A server of the backend that reads whatever a client sends."""
    site = parsing_sites.get(str(backend))
    if site is None:
        site = parsing_sites[str(backend)] = Site(
            backend, program="parsers:server", **OPTIONS, trusted_proxy="127.0.0.1"
        )
    return site


def attack(site: Site, name: str, clients: int, rounds: int) -> None:
    """Attack until the server is done with so many rounds."""
    command = [*ATTACKER, str(site.process.port), name]
    command += [str(clients), str(rounds)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.wait(8 * DEADLINE_S) == 0, process.stderr and process.stderr.read()
        finally:
            process.kill()


@pytest.mark.both_cores
def test_whoever_comes_is_served_beside_every_attack_on_a_parser(parsing, tell):
    with parsing.bystander() as bystander:
        attack(parsing, "all", 1, 1)
    tell(bystander)


@pytest.mark.both_cores
@pytest.mark.parametrize("name", SHARED)
def test_what_is_many_things_in_few_bytes_is_shared_out(parsing, tell, name):
    """Four clients take the server's time; somebody else has a turn between theirs."""
    with parsing.bystander() as bystander:
        before = bystander.count()
        attack(parsing, name, 4, 8)
        served = bystander.count() - before
    assert served >= 20
    tell(bystander)


@pytest.mark.parametrize("name", [name for name in REQUESTS if "bombs" not in name])
def test_the_work_of_a_turn_is_bounded_in_calls(name):
    """Not in time, which a busy machine takes from others; one call takes no time to speak of."""
    data = attacks()[name][:READ]
    client = desk().client()
    assert calls_of(lambda: client.send(data)) < MAX_CALLS
    assert client.conn.bytes_received == len(data)


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called in it."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("name", proxied())
def test_the_work_for_a_proxy_header_is_bounded_in_calls(name):
    def read() -> None:
        with suppress(ValueError):
            read_proxy_header(proxied()[name])

    assert calls_of(read) < MAX_CALLS


@pytest.mark.both_cores
def test_whoever_comes_is_served_beside_every_attack_on_proxy_headers(backend, tell):
    site = Site(
        backend,
        program="parsers:server",
        **OPTIONS,
        trusted_proxy="127.0.0.1",
        proxy_protocol="",
    )
    try:
        with site.bystander("PROXY TCP4 192.0.2.1 192.0.2.2 50000 80") as bystander:
            before = bystander.count()
            attack(site, "proxied", 4, 8)
            assert bystander.count() - before >= 20
        tell(bystander)
    finally:
        site.end()
