"""The bus in memory that other tests use keeps what a `Bus` promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from glyph_fast.broker.nodes.bus import Bus
from tests.buses import Network

Run = Callable[..., Any]


def attached(network: Network) -> tuple[Bus, list[tuple[bytes, bytes]], list[bool]]:
    bus: Bus = network.bus()
    heard: list[tuple[bytes, bytes]] = []
    changes: list[bool] = []
    bus.attach(lambda subject, payload: heard.append((subject, payload)), changes.append)
    return bus, heard, changes


def test_brings_messages_in_order_to_all_who_want_them_the_sender_too(run: Run) -> None:
    async def main() -> None:
        network = Network()
        network.delay = (0, 0.01)
        (one, heard_by_one, _), (other, heard_by_other, _) = attached(network), attached(network)
        one.subscribe(b"s")
        other.subscribe(b"s")
        await one.start()
        await other.start()
        sent = [(b"s", b"%d" % n) for n in range(20)]
        for subject, payload in sent:
            one.publish(subject, payload)
        one.publish(b"else", b"x")
        await asyncio.sleep(0.05)
        assert heard_by_one == heard_by_other == sent

    run(main())


def test_counts_what_is_published_while_it_is_down_and_keeps_subscriptions(run: Run) -> None:
    async def main() -> None:
        bus, heard, changes = attached(Network())
        bus.subscribe(b"s")
        bus.publish(b"s", b"lost")
        assert bus.dropped == 1
        await bus.start()
        bus.publish(b"s", b"heard")
        await asyncio.sleep(0.01)
        await bus.close()
        assert heard == [(b"s", b"heard")]
        assert changes == [True, False]

    run(main())
