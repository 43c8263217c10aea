"""What waits for a handler: in order, and its bytes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from sys import getsizeof

import pytest

from glyph_fast import Connection, MessageContext, Server
from glyph_fast.handlers.inbox import Inbox, LastJob
from glyph_fast.options.config import Config
from glyph_fast.wire import BINARY, TEXT
from tests.running import running

ROOT = Path(__file__).parents[2]


async def job() -> None:
    """Something that is no message."""


def test_messages_and_jobs_leave_in_order_and_only_messages_are_counted() -> None:
    inbox = Inbox((job,))
    payloads = ["text", b"bytes", "\N{GRINNING FACE}" * 1000]
    for payload in payloads:
        inbox.put(BINARY, payload)
    assert inbox.size == sum(map(getsizeof, payloads)) > 4000  # four bytes a character
    assert inbox.take() is job
    assert [inbox.take()[1] for _ in payloads] == payloads
    assert inbox.size == len(inbox) == 0


def test_forgotten_messages_are_not_counted() -> None:
    inbox = Inbox((job,))
    inbox.put(TEXT, "x" * 1000)
    inbox.forget_messages()
    assert (list(inbox), inbox.size) == ([job], 0)


def test_it_keeps_jobs_in_their_order_when_it_forgets_messages() -> None:
    first, last = LastJob(job), LastJob(job)
    inbox = Inbox()
    for each in ("a", first, "b", last, "c"):
        if isinstance(each, str):
            inbox.put(TEXT, each)
        else:
            inbox.append(each)
    inbox.forget_messages()
    assert list(inbox) == [first, last]


async def arguments(*values: int) -> tuple[int, ...]:
    return values


def test_a_last_job_is_called_as_any_other() -> None:
    assert asyncio.run(LastJob(arguments, 1, 2)()) == (1, 2)


SIZE, SENT = 100_000, 40


@pytest.mark.parametrize("way", ["handler", "stream"])
@pytest.mark.parametrize("inbox_bytes", [1, 250_000])
def test_reading_pauses_at_the_bytes_of_the_inbox_and_nothing_is_lost(
    backend, run, way, inbox_bytes
):
    server = Server(Config(inbox_bytes=inbox_bytes))
    gate = asyncio.Event()
    conns: list[Connection] = []
    heard: list[bytes] = []

    if way == "stream":

        @server.websocket("/ws")
        async def read(conn: Connection) -> None:
            conns.append(conn)
            await gate.wait()
            async for message in conn:
                assert isinstance(message, bytes)
                heard.append(message[:2])
    else:
        server.on_connect(conns.append)

        @server.on_message("binary")
        async def wait(ctx: MessageContext) -> None:
            await gate.wait()
            heard.append(ctx.message.data[:2])

    async def main() -> None:
        async with running(server, backend) as url:
            peer = await url.peer()
            await peer.upgrade(b"/ws")
            for number in range(SENT):
                peer.send(BINARY, b"%02d" % number * (SIZE // 2))
            while not conns or conns[0].messages_received < 1 + inbox_bytes // SIZE:
                await asyncio.sleep(0.001)
            at_most = conns[0].messages_received
            for _ in range(100):
                await asyncio.sleep(0)
                at_most = max(at_most, conns[0].messages_received)
            assert at_most <= 2 + -(-inbox_bytes // SIZE)  # and the one the handler has
            gate.set()
            while len(heard) < SENT:
                await asyncio.sleep(0.001)
            assert heard == [b"%02d" % number for number in range(SENT)]
            await peer.close()

    run(main())


def test_what_one_client_can_hold_adds_up_to_the_figure_in_the_documentation() -> None:
    """The rows go by the options, and their sum is the one figure."""
    page = (ROOT / "docs/limits.md").read_text().split("## What one client", 1)[1]
    figure = re.search(r"at most \*\*(\d+) MiB\*\*", page)
    assert figure is not None
    table = page.split("|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    rows = [line.split(" | ")[1:] for line in table.splitlines()]
    config = Config()
    kib = {
        "message": config.max_message_size // 1024,
        "inbox": config.inbox_bytes // 1024,
        "queue": config.queue_bytes // 1024,
    }
    expected = [
        512, 2 * kib["message"], kib["inbox"], 4 * kib["message"], 30 * kib["message"],
        kib["queue"], 2 * kib["message"], 512,
    ]  # fmt: skip
    assert [int(size) for size, _ in rows] == expected
    assert sum(expected) <= int(figure[1]) * 1024 < sum(expected) + 1024


def test_values_of_json_take_at_most_thirty_times_its_text() -> None:
    import tracemalloc

    from glyph_fast import json

    for unit in ("{}", "[]", "[[]]", '{"a":0}', "0.5", '"a\u1234"', "[1.5,2.5]"):
        text = "[" + ",".join([unit] * (100_000 // (len(unit) + 1))) + "]"
        tracemalloc.start()
        try:
            value = json.loads(text)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(value) > 1
        # orjson keys are cached; small objects come from the traced allocator
        assert held <= 30 * len(text) + 65_536, (unit, held / len(text))
