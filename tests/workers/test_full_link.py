"""A worker that does not read while others say more than may wait for it; or the main process."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
import urllib.request

import pytest

from tests.succession import Service, succession
from tests.workers.clients import APP, Client, clients_of_each, eventually, is_running

SIZE = 256 * 1024  # of a message; what may wait are 64 MiB
SENT = 320  # 80 MiB
FLOOD = 220  # messages, 55 MiB
STILL_S = 1.0  # without another message that is taken
KEPT, KEPT_SIZE = 40, 20 * 1024  # less than a room keeps, more than is left of what may wait
OPTIONS = (
    "--workers", "3", "--admin", "127.0.0.1:0", "--queue-bytes", "256MiB",
    "--queue-messages", "100000", "--write-timeout", "60s",
)  # fmt: skip


def dropped(admin: str) -> int:
    """Messages for workers that were dropped, as the operators' port tells it."""
    text = urllib.request.urlopen(f"{admin}/metrics", timeout=20).read().decode()
    found = re.search(r'messages_dropped_total\{reason="worker"\} (\d+)', text)
    return int(found[1]) if found else 0


def fill(sender: Client, other: Client) -> None:
    """Say more than may wait for a worker; the sender and a third worker get every message."""
    for n in range(SENT):
        sender.ask({"event": "say", "room": "noise", "data": [n, "x" * SIZE]})
        assert sender.next()[0] == other.next()[0] == n
    for n in range(KEPT):
        sender.ask({"event": "say", "room": "kept:all", "data": [n, "x" * KEPT_SIZE]})
        assert other.next()["data"][0] == n


def test_a_stopped_worker_misses_what_is_too_much_and_is_filled_by_position() -> None:
    with succession("program:server", *OPTIONS, "--worker-timeout", "600s", cwd=APP) as service:
        admin = service.said()
        with clients_of_each(service.ws("/ws"), 3, many=2) as (near, there, far):
            noisy, following = far
            for client in (near[0], there[0], noisy):
                client.join("noise")
            there[0].join("kept:all")
            following.join("kept:all")
            assert dropped(admin) == 0
            os.kill(noisy.pid, signal.SIGSTOP)
            try:
                fill(near[0], there[0])
            finally:
                os.kill(noisy.pid, signal.SIGCONT)
            messages = [following.next() for _ in range(KEPT)]
            assert [each["data"][0] for each in messages] == list(range(KEPT))
            assert [each["offset"] for each in messages] == list(range(1, KEPT + 1))
            near[0].ask({"event": "say", "room": "noise", "data": [SENT]})
            got = [noisy.next()[0]]
            while got[-1] != SENT:
                got.append(noisy.next()[0])
            missed = SENT + 1 - len(got)
            assert got == [*range(SENT - missed), SENT]  # the latest were dropped, and none before
            assert 0 < missed <= dropped(admin) <= missed + KEPT
            assert "messages for it are dropped" in service.log()


def test_a_worker_that_is_replaced_while_it_is_behind_leaves_nothing_lost() -> None:
    with succession("program:server", *OPTIONS, "--worker-timeout", "600s", cwd=APP) as service:
        admin = service.said()
        with clients_of_each(service.ws("/ws"), 3, many=2) as (near, there, far):
            for client in (near[0], there[0], far[0]):
                client.join("noise")
            there[0].join("kept:all")
            far[1].ask({"type": "join_room", "room": "kept:all"})
            start = far[1].next()["data"]
            os.kill(far[0].pid, signal.SIGSTOP)
            fill(near[0], there[0])
            os.kill(far[0].pid, signal.SIGKILL)
            eventually(lambda: not is_running(far[0].pid))
            eventually(lambda: "a worker serves again" in service.log())
            assert dropped(admin) > 0  # and stays counted
        since = {"epoch": start["epoch"], "offset": start["offset"]}
        resumed_everywhere(service, since)


def resumed_everywhere(service: Service, since: dict[str, object]) -> None:
    """Whichever worker a client comes back to, it gets all that was kept."""
    with clients_of_each(service.ws("/ws"), 3) as groups:
        for (client,) in groups:
            client.ask({"type": "join_room", "room": "kept:all", "since": since})
            answer = client.next()["data"]
            assert answer["resumed"] is True
            assert [each["data"][0] for each in answer["messages"]] == list(range(KEPT))


class Flood:
    """A client that sends as fast as it is read, and how much of it was."""

    def __init__(self, client: Client, message: object) -> None:
        self.sent = 0
        self._client, self._message = client, message
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()

    def _send(self) -> None:
        for _ in range(FLOOD):
            self._client.ask(self._message)
            self.sent += 1

    def wait(self) -> int:
        """The messages that were taken when no more are."""
        former, since = -1, time.monotonic()
        while self.sent < FLOOD and time.monotonic() - since < STILL_S:
            if self.sent != former:
                former, since = self.sent, time.monotonic()
            time.sleep(0.01)
        return self.sent


@pytest.mark.parametrize("how", ["broadcast", "event"])
def test_who_floods_a_room_that_remembers_waits_for_the_main_process(how: str) -> None:
    """Messages that must not be lost wait for it: else a worker grows by all that clients send."""
    data = "x" * SIZE
    asked = {"type": "broadcast"} if how == "broadcast" else {"event": "say"}
    with succession("program:server", *OPTIONS, cwd=APP) as service:
        admin = service.said()
        with clients_of_each(service.ws("/ws"), 3) as ((near,), (there,), _):
            for client in (near, there):
                client.join("kept:all")
            os.kill(service.pid, signal.SIGSTOP)
            try:
                flood = Flood(near, {**asked, "room": "kept:all", "data": data})
                taken = flood.wait() * SIZE
            finally:
                os.kill(service.pid, signal.SIGCONT)
            assert taken < 40 * 2**20
            for listener in (near, there):
                offsets = [listener.next()["offset"] for _ in range(FLOOD)]
                assert offsets == list(range(1, FLOOD + 1))
            flood.thread.join(20)
            assert "messages for it are dropped" not in service.log()
            assert dropped(admin) == 0
