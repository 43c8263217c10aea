"""A room with members that stall and members that are slow, fed at full speed.

A stalled member is given up for want of progress; a slow one that reads is not, however full its
queue; nobody else waits for either.
"""

from __future__ import annotations

import select
import threading
import time

import pytest

from glyph_fast.wire import TEXT

FAST, SLOW, STALLED = 40, 5, 5
COUNT, SIZE = 150, 4000
TIMEOUT_S = 1.0
SIP = 4000  # bytes a slow member reads at a time
BETWEEN_S = 0.02  # its sips


class Readers(threading.Thread):
    """Reads everything that comes to the fast members, and sips for the slow ones."""

    def __init__(self, fast, slow) -> None:
        super().__init__(name="readers")
        self.is_over = False
        self._fast = {client.sock: client for client in fast}
        self._slow = slow
        self.received = dict.fromkeys(self._fast, 0)  # bytes
        self.cut = 0  # members closed under our hands

    def run(self) -> None:
        next_sip = 0.0
        while not self.is_over:
            for sock in select.select(list(self._fast), [], [], BETWEEN_S / 2)[0]:
                data = sock.recv(1 << 16)
                self.received[sock] += len(data)
                if not data:
                    self.cut += 1
                    del self._fast[sock]
            if time.monotonic() >= next_sip:
                next_sip = time.monotonic() + BETWEEN_S
                self._sip()

    def _sip(self) -> None:
        ready = select.select([client.sock for client in self._slow], [], [], 0)[0]
        for sock in ready:
            try:
                is_gone = not sock.recv(SIP)
            except ConnectionError:
                is_gone = True
            if is_gone:
                self.cut += 1
                self._slow = [client for client in self._slow if client.sock is not sock]


@pytest.mark.parametrize("kind", ["drop", "block"])
def test_a_tenth_of_a_room_stalls_and_a_tenth_is_slow(serve, say, backend, kind):
    # Which message is dropped is the core's to choose, so each engine drops in one of both ways.
    drop = {"native": "drop_oldest", "asyncio": "drop_newest"}[backend.engine]
    policy = drop if kind == "drop" else kind
    site = serve(
        queue_policy=policy,
        queue_messages="32",
        write_timeout=f"{TIMEOUT_S:g}s",
        close_timeout="200ms",
        ping_interval="0",
    )
    fast = site.open_many(FAST)
    slow = site.open_many(SLOW, narrow=True)
    stalled = site.open_many(STALLED, narrow=True)
    for client in (*fast, *slow, *stalled):
        client.send(TEXT, "join all")
        assert client.frame() == (TEXT, b"join all")
    feeder = site.open()
    readers = Readers(fast, slow)
    readers.start()
    try:
        before = site.memory()
        began = time.perf_counter()
        texts = [f"tell all {number} ".ljust(SIZE, "x") for number in range(COUNT)]
        sending = threading.Thread(target=lambda: [feeder.send(TEXT, text) for text in texts])
        sending.start()
        for text in texts:
            assert feeder.frame() == (TEXT, text.encode())
        seconds = time.perf_counter() - began
        sending.join()
        site.until(lambda: site.figures()["ended"] == STALLED)
        grown = site.memory() - before
        # Those that sip have been behind for as long, and are still there some sweeps later.
        waited = time.monotonic() + 0.5 * TIMEOUT_S
        site.until(lambda: time.monotonic() > waited)
        figures = site.figures()
    finally:
        readers.is_over = True
        readers.join()
    assert (figures["ended"], figures["ended_twice"], figures["errors"]) == (STALLED, 0, 0)
    assert readers.cut == 0
    assert grown < 32 << 20
    if policy == "block":  # the publisher was held back, so nobody who reads has lost anything
        assert min(readers.received.values()) >= COUNT * SIZE
    say(
        f"{COUNT} messages of {SIZE} bytes to {FAST + SLOW + STALLED} members in {seconds:.2f} s; "
        f"{STALLED} stalled ones closed, {SLOW} slow ones kept, memory +{grown >> 20} MiB"
    )
