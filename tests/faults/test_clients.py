"""Clients that are gone from one moment to the next, by the thousand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from glyph_fast.wire import TEXT

CROWD = Path(__file__).with_name("crowd.py")
COUNT = 1000


def test_a_client_process_with_a_thousand_connections_is_killed(serve, say):
    """SIGKILL: the kernel closes its sockets, no close frame is sent."""
    site = serve(max_room_members="2000")
    assert site.figures()["connections"] == 0
    before = site.descriptors()  # not earlier: libuv keeps one in reserve from its first client on
    with site.bystander() as bystander:
        member = site.open().send(TEXT, "join all")
        assert member.frame() == (TEXT, b"join all")
        with subprocess.Popen(
            [sys.executable, "-I", str(CROWD), str(site.process.port), str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as crowd:
            try:
                assert crowd.stdout is not None
                assert crowd.stdout.readline() == b"ready\n"
                assert site.figures()["connections"] == COUNT + 2
                killed = time.perf_counter()
                os.kill(crowd.pid, signal.SIGKILL)
            finally:
                crowd.kill()
        for number in range(20):  # into a room of the dead
            text = f"tell all {number}".encode()
            member.send(TEXT, text)
            assert member.frame() == (TEXT, text)
            assert member.frame() == (TEXT, text)
        site.until(lambda: site.figures()["ended"] == COUNT)
        seconds = time.perf_counter() - killed
        figures = site.figures()
    assert (figures["connections"], figures["ended_twice"], figures["errors"]) == (2, 0, 0)
    site.leave()
    site.until(lambda: site.descriptors() <= before)
    say(f"{COUNT} ended once each within {seconds:.2f} s; bystander: {bystander.figures()}")
