"""The broker of one process."""

from __future__ import annotations

from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.wire import SENT, SendResult


def test_what_is_published_is_delivered_at_once_and_in_order() -> None:
    delivered: list[object] = []

    def deliver(publication: object) -> SendResult:
        delivered.append(publication)
        return SENT

    broker = MemoryBroker()
    broker.attach(deliver)
    for number in range(3):
        assert broker.publish(number) is SENT
        assert delivered == list(range(number + 1))


def test_subscriptions_change_nothing_where_every_member_is() -> None:
    broker = MemoryBroker()
    broker.attach(lambda publication: SENT)
    broker.subscribe("blue")
    broker.unsubscribe("blue")
    assert broker.publish("hi") is SENT
