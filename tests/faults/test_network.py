"""A network that stops delivering. No reset, no end: silence."""

from __future__ import annotations

import time

from glyph_fast.wire import TEXT
from tests.faults.proxy import stalling_proxy

COUNT = 50
QUICK = {"ping_interval": "400ms", "max_missed_pongs": "2", "close_timeout": "100ms"}


def test_clients_behind_a_dead_network_are_given_up(serve, say):
    """The keep-alive finds out; nobody else notices."""
    site = serve(**QUICK)
    with stalling_proxy(site.process.port) as proxy, site.bystander() as bystander:
        for _ in range(COUNT):
            member = site.through(proxy.port).send(TEXT, "join all")
            assert member.frame() == (TEXT, b"join all")
        proxy.stall()
        began = time.perf_counter()
        site.until(lambda: site.figures()["ended"] == COUNT)
        seconds = time.perf_counter() - began
        figures = site.figures()
    assert (figures["connections"], figures["ended_twice"]) == (1, 0)
    say(f"{COUNT} given up after {seconds:.1f} s; bystander: {bystander.figures()}")


def test_a_network_that_comes_back_in_time_has_lost_nothing(serve, say):
    """What the kernels and the queue hold arrives, in order."""
    site = serve(ping_interval="0")
    with stalling_proxy(site.process.port) as proxy:
        member = site.through(proxy.port).send(TEXT, "join all")
        assert member.frame() == (TEXT, b"join all")
        feeder = site.open()
        proxy.stall()
        texts = [f"tell all {number} ".ljust(1000, "x").encode() for number in range(200)]
        for text in texts:
            feeder.send(TEXT, text)
        for text in texts:
            assert feeder.frame() == (TEXT, text)  # the publisher did not wait
        proxy.resume()
        for text in texts:
            assert member.frame() == (TEXT, text)
    say(f"{len(texts)} messages of 1,000 bytes arrived in order after the network had stopped")
