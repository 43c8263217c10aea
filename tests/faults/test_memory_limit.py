"""A process that may not have more memory."""

from __future__ import annotations

import resource
from pathlib import Path

from glyph_fast.wire import BINARY, TEXT

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
