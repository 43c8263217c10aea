"""A process that may not have more memory."""

from __future__ import annotations

import resource
import select
from pathlib import Path

from glyph_fast.wire import BINARY, CLOSE, INTERNAL_ERROR, TEXT
from tests.abuse.site import frame

MIB = 1 << 20
SPARE = 48 * MIB  # that the server may still take


def limit_memory(pid: int) -> None:
    """Leave the process little more address space than it has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + SPARE
    resource.prlimit(pid, resource.RLIMIT_AS, (size, size))


def test_a_handler_that_gets_no_memory_ends_that_message(serve, say):
    site = serve()
    client = site.open().send(TEXT, "hello")
    assert client.frame() == (TEXT, b"hello")
    limit_memory(site.process.process.pid)
    with site.bystander() as bystander:
        for _ in range(20):
            client.send(TEXT, "grab 100")  # MiB
        client.send(TEXT, "still here")
        assert client.frame() == (TEXT, b"still here")
    assert site.figures()["errors"] == 20
    assert "MemoryError" in site.process.log()
    say(f"20 times no memory; bystander: {bystander.figures()}")


def test_messages_there_is_no_memory_for_end_their_connection_only(serve, say):
    """Many peers send 32 MiB each, and the server has less than twice that to spare."""
    site = serve(max_message_size="64MiB")
    site.may_fail = True  # it says that there was no memory
    limit_memory(site.process.process.pid)
    ends = []
    with site.bystander() as bystander:
        for _ in range(4):
            big = site.open()
            try:
                big.send(BINARY, bytes(32 * MIB))
                ends.append(big.close_code())
            except (ConnectionError, AssertionError):
                ends.append(1006)
        member = site.open().send(TEXT, "join all")
        assert member.frame() == (TEXT, b"join all")
    assert set(ends) <= {1011, 1006}
    say(f"32 MiB of {SPARE // MIB}: closed with {ends}; bystander: {bystander.figures()}")


def test_json_there_is_no_memory_for_fails_alone(serve, say):
    """What is written, and what clients send: values that take forty times their text."""
    site = serve(max_message_size="2MiB")
    site.may_fail = True  # it says that there was no memory
    limit_memory(site.process.process.pid)
    deep = '{"":' * 200 + "0" + "}" * 200
    ends = []
    with site.bystander() as bystander:
        for _ in range(3):
            client = site.open().send(TEXT, "json 64")  # MiB
            client.send(TEXT, "still here")
            assert client.frame() == (TEXT, b"still here")
        for size in (500_000, 1_000_000, 2_000_000) * 3:
            text = "[" + ",".join([deep] * (size // len(deep))) + "]"
            opcode, payload = site.open().send(TEXT, text).frame()
            ends.append(int.from_bytes(payload[:2], "big") if opcode == CLOSE else len(payload))
            assert ends[-1] in (INTERNAL_ERROR, len(text))  # or it is echoed
        member = site.open().send(TEXT, "still here")
        assert member.frame() == (TEXT, b"still here")
    assert site.figures()["errors"] >= 3
    assert "MemoryError" in site.process.log()
    say(f"closed with 1011, or echoed: {ends}; bystander: {bystander.figures()}")


CLIENTS, EACH = 4, 22 * MIB  # the figure of docs/limits.md


def test_clients_make_the_server_hold_no_more_than_the_page_of_limits_says(serve, say):
    """Each behind a handler that waits with the values of a large JSON message."""
    site = serve(handler_grace="50ms")
    first = '{"event":"wait","data":[' + ",".join(["{}"] * 174_000) + "]}"
    more = frame(TEXT, "😀" + "x" * 500_000)
    clients = site.open_many(CLIENTS)
    before = site.memory()
    for client in clients:
        client.send(TEXT, first)
    for client in clients:
        client.sock.setblocking(False)
        left = more * 64
        while left and select.select([], [client.sock], [], 1.0)[1]:
            left = left[client.sock.send(left) :]
        assert left  # it is read no more
    held = site.memory() - before
    assert held <= CLIENTS * EACH
    say(f"{held / CLIENTS / MIB:.1f} MiB for each of {CLIENTS} clients")
