"""What one process passes to the next, with small stand-ins for the server."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import pytest

from glyph_fast.process.handover import (
    ACTIVATED,
    LEAVE,
    VARIABLE,
    HandoverError,
    Inherited,
    Place,
    Successor,
    is_watched,
    own_command,
)

HEIR = """
import os, sys
from glyph_fast.process.handover import Inherited, Place
inherited = Inherited.from_environ(os.environ)
assert inherited.channel is not None
assert "_GLYPH_FAST_HANDOVER" not in os.environ
"""
READY = """
place = inherited.take("listening", "here")
inherited.tell_ready(["a.glyph"], {"listening": place} if place else {})
"""


def heir(code: str) -> list[str]:
    return [sys.executable, "-c", HEIR + code]


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_a_successor_gets_the_sockets_and_says_when_it_serves(run, listener):
    code = READY + "sock, _ = place.sockets[0].accept(); sock.sendall(b'heir')\n"

    async def main():
        successor = Successor(heir(code), {"listening": Place("here", [listener])}, os.environ)
        await successor.is_ready
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await reader.read() == b"heir"
        writer.close()
        await writer.wait_closed()
        return successor.pid

    os.waitpid(run(main()), 0)


def test_one_that_ends_before_is_an_error_with_its_status(run):
    async def main():
        for code, message, status in [
            ("sys.exit(3)", "it ended with status 3", 3),
            ("os.kill(os.getpid(), 9)", "it was ended by SIGKILL", -9),
            ("os.kill(os.getpid(), 40)", "it was ended by signal 40", -40),
        ]:
            successor = Successor(heir(code), {}, os.environ)
            with pytest.raises(HandoverError, match=message) as caught:
                await successor.is_ready
            assert (caught.value.status, await successor.has_ended) == (status, status)

    run(main())


def test_one_that_takes_too_long_can_be_ended(run):
    async def main():
        successor = Successor(heir("sys.stdin.read(); import time; time.sleep(60)"), {}, os.environ)
        await successor.end()
        assert successor.has_ended.result() == -9

    run(main())


def test_a_command_that_is_not_there_leaves_nothing_open(run):
    async def main():
        with pytest.raises(OSError):
            Successor(["/no/such/command"], {}, os.environ)

    run(main())


def test_a_watched_one_gives_its_sockets_and_hears_words(run, listener):
    code = READY + "sys.exit(10 + (inherited.channel.recv(1) == b'L'))"

    async def main():
        places = {"listening": Place("here", [listener])}
        successor = Successor(heir(code), places, os.environ, is_watched=True)
        await successor.is_ready
        assert successor.files == ["a.glyph"]
        (place,) = successor.places.values()
        assert place.name == "here"
        (sock,) = place.sockets
        assert sock.getsockname() == listener.getsockname()
        assert not sock.get_inheritable()
        sock.close()
        successor.tell(LEAVE)
        assert await successor.has_ended == 11
        successor.tell(LEAVE)  # nobody is there

    run(main())


def test_a_former_process_and_the_next_have_a_link(run):
    """The starter has one end, and keeps it or sends it to the process that serves."""
    link = "link = inherited.take_former(); assert not link.get_inheritable()\n"
    first = READY + (
        "import socket; word, fds, _, _ = socket.recv_fds(inherited.channel, 1, 1)\n"
        "socket.socket(fileno=fds[0]).sendall(b'estate'); assert inherited.take_former() is None\n"
        "inherited.channel.recv(1)"
    )
    second = link + READY + "sys.exit(link.recv(9) == b'estate')"

    async def main():
        former = Successor(heir(first), {}, os.environ, is_watched=True)
        await former.is_ready
        assert former.take_bequest() is None
        successor = Successor(heir(second), {}, os.environ, is_watched=True, has_former=True)
        await successor.is_ready
        former.tell(LEAVE, successor.take_bequest())
        assert await successor.has_ended == 1
        await former.end()
        # Where nobody hands over anything, the successor hears of that, too.
        third = link + READY + "sys.exit(link.recv(9) == b'')"
        successor = Successor(heir(third), {}, os.environ, is_watched=True, has_former=True)
        await successor.is_ready
        successor.drop_bequest()
        assert await successor.has_ended == 1

    run(main())


def test_one_that_nobody_asks_for_the_link_lets_it_go(run):
    async def main():
        successor = Successor(
            heir(READY + "inherited.close(); sys.stdin.read()"), {}, os.environ, has_former=True
        )
        await successor.is_ready
        bequest = successor.take_bequest()
        reader, writer = await asyncio.open_connection(sock=bequest)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        return successor.pid

    os.waitpid(run(main()), 0)


def test_the_watchdog_of_a_service_is_for_its_successor_as_well(run):
    code = "sys.exit('WATCHDOG_PID' in os.environ)"

    async def main():
        successor = Successor(heir(code), {}, {**os.environ, "WATCHDOG_PID": "1"})
        with pytest.raises(HandoverError, match="status 0"):
            await successor.is_ready

    run(main())


class TestInherited:
    def test_nothing_is_inherited_by_default(self):
        inherited = Inherited.from_environ({})
        assert inherited.channel is None
        assert inherited.take("listening", "here") is None
        inherited.close()

    def test_sockets_for_another_place_are_closed(self, listener):
        inherited = Inherited({"listening": Place("here", [listener])})
        assert inherited.take("listening", "there") is None
        assert listener.fileno() == -1

    def test_those_of_a_service_manager_are_taken_anyway(self, listener):
        inherited = Inherited()
        inherited.add("listening", [listener])
        assert inherited.take("listening", "there") == Place(ACTIVATED, [listener])

    def test_what_nobody_takes_is_closed(self, listener):
        Inherited({"admin": Place("here", [listener])}).close()
        assert listener.fileno() == -1

    def test_a_starter_that_is_gone_is_no_error(self):
        ours, theirs = socket.socketpair()
        theirs.close()
        with ours:
            Inherited({}, ours).tell_ready([], {})


def test_the_watcher_s_children_know_it():
    assert not is_watched({})
    assert not is_watched({VARIABLE: '{"is_watched": false}'})
    assert is_watched({VARIABLE: '{"is_watched": true}'})


def test_the_own_command_starts_the_same_python():
    assert own_command()[0] == sys.executable
    assert own_command()[1:] == sys.orig_argv[1:]
