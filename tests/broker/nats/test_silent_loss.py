"""A network that loses every packet and says nothing: namespaces joined by veth pairs (as root)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.broker.nats.meeting import node
from tests.nats_servers import BINARY
from tests.workers.clients import Client, eventually

NAME = f"glyph-fast-{os.getpid()}"
PORT = 4222
PATHS = ("10.219.1", "10.219.2")  # networks of one node each, and of the broker


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@contextmanager
def broker_behind_two_links() -> Iterator[None]:
    """A NATS server in a namespace, which is reached by either of two networks."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.fail("network namespaces need root and iproute2", pytrace=False)
    ip("netns", "add", NAME)
    process = None
    try:
        for number, path in enumerate(PATHS):
            here, there = f"gf{os.getpid() % 10**6}{number}a", f"gf{os.getpid() % 10**6}{number}b"
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", NAME)
            ip("addr", "add", f"{path}.1/24", "dev", here)
            ip("link", "set", here, "up")
            ip("-n", NAME, "addr", "add", f"{path}.2/24", "dev", there)
            ip("-n", NAME, "link", "set", there, "up")
        process = subprocess.Popen(
            ["ip", "netns", "exec", NAME, str(BINARY), "--addr", "0.0.0.0", "--port", str(PORT)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

        def answers() -> bool:
            with suppress(OSError):
                socket.create_connection((f"{PATHS[0]}.2", PORT), 1).close()
                return True
            return False

        eventually(answers)
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait(20)
        ip("netns", "del", NAME)  # and with it the veth pairs


def test_a_link_that_is_dead_without_a_word_is_noticed_and_healed() -> None:
    with broker_behind_two_links(), ExitStack() as stack:
        cut, whole = (stack.enter_context(node(f"nats://{path}.2:{PORT}")) for path in PATHS)
        for each in cut, whole:
            eventually(lambda each=each: each.ready()[1].get("broker") == "up")
        there = Client(cut.server.ws("/ws"), stack)
        there.join("here:silent")
        here = Client(whole.server.ws("/ws"), stack)
        here.ask({"type": "join_room", "room": "here:silent", "presence": True, "id": "j"})
        assert there.id in str(here.next())

        ip("-n", NAME, "route", "add", "blackhole", f"{PATHS[0]}.1/32")  # answers get lost
        began = time.monotonic()
        eventually(lambda: cut.ready()[1]["broker"] == "lost")
        assert time.monotonic() - began < 15  # ten seconds are promised, and this machine is busy
        while there.id not in [each["id"] for each in here.next()["data"].get("left", [])]:
            pass
        assert time.monotonic() - began < 20

        ip("-n", NAME, "route", "del", "blackhole", f"{PATHS[0]}.1/32")
        eventually(lambda: cut.ready()[1]["broker"] == "up", within=30)
        while there.id not in [each["id"] for each in here.next()["data"].get("joined", [])]:
            pass
