"""What brokers share."""

from __future__ import annotations

from typing import Any

from glyph_fast.broker.base import BaseBroker
from glyph_fast.broker.history import Ask
from glyph_fast.dialects.publication import ROOM, publication
from glyph_fast.options.config import Config
from glyph_fast.wire import NOBODY, NOWHERE, SENT
from tests.wired import Site


def test_a_broker_delivers_to_whom_it_is_attached() -> None:
    broker = BaseBroker()
    broker.attach(lambda publication: SENT)
    assert broker.deliver(object()) is SENT


class Plain(BaseBroker):
    """Publishes to whom it is told, and keeps nothing."""

    __slots__ = ("publish",)


def test_an_id_publishes_once_though_nothing_is_remembered(run: Any) -> None:
    site = Site()
    made = publication(ROOM, "a", "x")
    broker = Plain()
    broker.attach(lambda publication: SENT)
    broker.publish = broker.deliver
    first = run(broker.publish_once(made, "id"))
    assert first == (NOWHERE, SENT, True)
    assert run(broker.publish_once(made, "id")) == (NOWHERE, NOBODY, False)
    assert run(broker.publish_once(made)).is_new
    assert run(broker.history("a", Ask())) == (NOWHERE, [], False, False)
    assert not broker.remembers and site.hub._rooms._broker.remembers


def test_rooms_remember_nothing_where_the_broker_does_not(run: Any) -> None:
    site = Site(Config(rooms={"a": {"history_size": 5}}))
    assert run(site.hub.publish("a", "x")).offset == 1
    broker = Plain()
    broker.publish = site.hub._deliver
    site.hub._use(broker, 1)
    assert run(site.hub.publish("a", "x")) == NOWHERE
    assert run(site.hub.history("a")) == ([], NOWHERE)
