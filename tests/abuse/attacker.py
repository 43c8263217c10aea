"""A client that means harm: one attack, again and again, from some connections at a time.

    python -m tests.abuse.attacker PORT NAME CLIENTS [ROUNDS]

`all` is the name of every attack, one after the other, and `proxied` of those where a header of the
PROXY protocol goes first. `company: NAME` is what somebody well-behaved sends in the place of one.

A process of its own, so that nothing but the server is what a bystander waits for. It prints a line
when the server is done with each round of it, and ends with its stdin, or after `ROUNDS` of them. A
server that is not done with a round within the deadline ends it with status 1.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from contextlib import suppress

from tests.abuse.attacks import attacks, proxied
from tests.abuse.company import COMPANY, company_of

DEADLINE_S = 60.0  # for one round


class Round:
    """One connection, from its first byte to its end."""

    def __init__(self, port: int, data: bytes) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.sock.setblocking(False)
        self.began = time.monotonic()
        self._data = memoryview(data)

    def step(self) -> bool:
        """Send and read what can be; whether the server has ended it."""
        try:
            if self._data:
                self._data = self._data[self.sock.send(self._data[:65536]) :]
        except BlockingIOError:
            pass
        except ConnectionError:
            self._data = self._data[:0]  # refused: it has said why
        with suppress(BlockingIOError):
            try:
                return not self.sock.recv(1 << 18)
            except ConnectionError:
                return True
        return False

    @property
    def events(self) -> int:
        """What to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._data else 0)


def attack(port: int, data: bytes, clients: int, rounds: int) -> None:
    """So many rounds, `clients` at a time."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    running, begun, done = 0, 0, 0
    while done < rounds:
        while running < clients and begun < rounds:
            fresh = Round(port, data)
            selector.register(fresh.sock, fresh.events, fresh)
            running, begun = running + 1, begun + 1
        for key, _ in selector.select(DEADLINE_S):
            if key.data is None:
                sys.exit()  # stdin has ended
            if not key.data.step():
                selector.modify(key.fileobj, key.data.events, key.data)
                continue
            selector.unregister(key.fileobj)
            key.data.sock.close()
            running, done = running - 1, done + 1
            print(done, flush=True)
        for key in selector.get_map().values():
            if key.data is not None and time.monotonic() - key.data.began > DEADLINE_S:
                sys.exit("the server is not done with a round")


def main() -> None:
    port, name, clients = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else sys.maxsize
    known = proxied() if name == "proxied" else attacks()
    if name.startswith(COMPANY):
        whose = name.removeprefix(COMPANY)
        known = {name: company_of(whose, known[whose])[1]}
    for each, data in known.items():
        if name in (each, "all", "proxied"):
            attack(port, data, clients, rounds)


if __name__ == "__main__":
    main()
