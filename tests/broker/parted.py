"""A network that loses every packet and says nothing: namespaces joined by veth pairs (as root).

with broker_behind_two_links(["nats-server", "--port", "4222"], 4222) as links:
    ... links[0].address ...
    links[0].cut()
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from tests.workers.clients import eventually

NAME = f"glyph-fast-{os.getpid()}"
NUMBER = os.getpid() % 100  # so that two runs do not meet


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


class Link:
    """One of the two networks to the broker."""

    def __init__(self, number: int) -> None:
        path = f"10.219.{2 * NUMBER + number}"
        self.here, self.address = f"{path}.1", f"{path}.2"
        ends = [f"gf{os.getpid() % 10**6}{number}{end}" for end in "ab"]
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", NAME)
        ip("addr", "add", f"{self.here}/24", "dev", ends[0])
        ip("link", "set", ends[0], "up")
        ip("-n", NAME, "addr", "add", f"{self.address}/24", "dev", ends[1])
        ip("-n", NAME, "link", "set", ends[1], "up")

    def cut(self) -> None:
        """Lose all that the broker answers, without a word to anybody."""
        ip("-n", NAME, "route", "add", "blackhole", f"{self.here}/32")

    def heal(self) -> None:
        """Let packets through again."""
        ip("-n", NAME, "route", "del", "blackhole", f"{self.here}/32")


@contextmanager
def broker_behind_two_links(command: Sequence[str], port: int) -> Iterator[list[Link]]:
    """A broker in a namespace, which listens at a port of all addresses of two networks."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.fail("network namespaces need root and iproute2", pytrace=False)
    ip("netns", "add", NAME)
    process = None
    try:
        links = [Link(0), Link(1)]
        process = subprocess.Popen(
            ["ip", "netns", "exec", NAME, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

        def answers() -> bool:
            with suppress(OSError):
                socket.create_connection((links[0].address, port), 1).close()
                return True
            return False

        eventually(answers)
        yield links
    finally:
        if process is not None:
            process.kill()
            process.wait(20)
        ip("netns", "del", NAME)  # and with it the veth pairs
