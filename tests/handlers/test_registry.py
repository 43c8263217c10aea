"""Registering: the decorators, what they accept, and the plans they lead to."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.handlers.registry import Registry
from glyph_fast.wire import MessageType


def names(calls: tuple[Any, ...]) -> list[str]:
    return [call.__name__ for call in calls]


def named(name: str) -> Any:
    def handler(ctx: Any) -> None: ...

    handler.__name__ = name
    return handler


def none() -> tuple[Any, ...]:
    return ()


def one(a: Any) -> tuple[Any, ...]:
    return (a,)


async def reader(conn: Any) -> None: ...


# The decorators.


@pytest.mark.parametrize(
    "name", ["on_connect", "on_disconnect", "on_message", "on_join", "on_leave", "on_error"]
)
def test_decorators_may_stand_bare_or_be_called(name: str) -> None:
    registry = Registry()
    decorator = getattr(registry, name)
    assert decorator(none) is none
    assert decorator()(none) is none


def test_decorators_return_the_function() -> None:
    registry = Registry()
    assert registry.on_message(MessageType.TEXT, route="/a")(one) is one
    assert registry.on_event("e")(one) is one
    assert registry.on_connect(route="/a")(one) is one
    assert registry.on_connect("/a")(one) is one
    assert registry.on_join("a*")(one) is one
    assert registry.websocket("/b")(reader) is reader


def test_an_event_has_a_name() -> None:
    for bad in ("", one, None):
        with pytest.raises(TypeError, match="name of the event"):
            Registry().on_event(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("type_", ["connect", MessageType.DISCONNECT, "error", "pong", "shout"])
def test_a_type_that_is_never_received_is_refused(type_: str) -> None:
    with pytest.raises(ValueError, match=str(type_)):
        Registry().on_message(type_)


def test_naming_a_route_registers_it() -> None:
    registry = Registry()
    added: list[str] = []
    registry.on_connect(route="/a")(one)
    registry.route_added = added.append
    registry.on_message("text", "/b")(one)
    registry.on_message(None, route="/a")(one)
    registry.on_event("e", route="/c")(one)
    registry.on_disconnect(route="/d")(one)
    registry.websocket("/e")
    registry.on_connect(one)
    assert registry.routes == ["/a", "/b", "/c", "/d", "/e"]
    assert added == ["/b", "/c", "/d", "/e"]


def test_a_route_is_read_by_one_handler() -> None:
    registry = Registry()
    registry.websocket("/a")(reader)
    with pytest.raises(ValueError, match="/a already"):
        registry.websocket("/a")(reader)


# Plans.


def test_handlers_run_in_order_of_registration_global_before_route() -> None:
    registry = Registry()
    registry.on_connect(route="/a")(named("route 1"))
    registry.on_connect(named("global 1"))
    registry.on_connect(route="/b")(named("elsewhere"))
    registry.on_connect(route="/a")(named("route 2"))
    registry.on_connect(named("global 2"))
    assert names(registry.plan("/a").connect) == ["global 1", "global 2", "route 1", "route 2"]
    assert names(registry.plan("/c").connect) == ["global 1", "global 2"]


def test_messages_nobody_takes_go_to_the_handlers_without_a_type() -> None:
    registry = Registry()
    registry.on_message(named("any"))
    plan = registry.plan("/a")
    assert names(plan.text) == names(plan.binary) == names(plan.json) == ["any"]
    registry.on_message("binary")(named("binary"))
    assert names(plan.binary) == ["binary"]
    assert names(plan.text) == ["any"]


def test_json_falls_back_to_text_and_then_to_any() -> None:
    registry = Registry()
    plan = registry.plan("/a")
    assert plan.json == ()
    registry.on_message(named("any"))
    assert (names(plan.json), plan.json_as_text) == (["any"], False)
    registry.on_message("text", route="/a")(named("text"))
    assert (names(plan.json), plan.json_as_text) == (["text"], True)
    registry.on_message("json")(named("json"))
    assert (names(plan.json), plan.json_as_text) == (["json"], False)


def test_an_event_belongs_to_the_routes_that_handle_it() -> None:
    registry = Registry()
    registry.on_event("moved", route="/a")(named("a"))
    registry.on_event("typing")(named("all"))
    registry.on_event("typing", route="/a")(named("a too"))
    events = registry.plan("/a").events
    assert {name: names(calls) for name, calls in events.items()} == {
        "moved": ["a"],
        "typing": ["all", "a too"],
    }
    assert list(registry.plan("/b").events) == ["typing"]


def test_a_built_in_effect_comes_first() -> None:
    registry = Registry()
    registry.on_message("ping")(named("mine"))
    registry.commands = {MessageType.PING: named("effect")}
    assert names(registry.plan("/a").commands[MessageType.PING]) == ["effect", "mine"]


def test_a_stream_gets_every_message_before_the_others() -> None:
    registry = Registry()
    registry.deliver = named("deliver")
    registry.on_message("text")(named("text"))
    registry.on_event("e")(named("event"))
    registry.websocket("/a")(reader)
    plan = registry.plan("/a")
    assert plan.stream is not None
    assert names(plan.text) == names(plan.json) == ["deliver", "text"]
    assert names(plan.binary) == ["deliver"]
    assert names(plan.events["e"]) == ["deliver", "event"]


def test_a_plan_follows_what_is_registered_later() -> None:
    registry = Registry()
    plan = registry.plan("/a")
    registry.on_message("text")(named("late"))
    assert names(plan.text) == ["late"]
    assert registry.plan("/a") is plan


# The dialect of a route.


def raw(ctx: object) -> None:
    """A handler that looks at `message.raw` alone."""


raw.takes_raw = True  # type: ignore[attr-defined]


def test_a_route_whose_handlers_take_json_raw_leaves_it_undecoded() -> None:
    registry = Registry()
    registry.on_message("json", "/raw")(raw)
    registry.on_message("json", "/read")(raw)
    registry.on_message("json", "/read")(lambda ctx: None)
    assert registry.plan("/raw").dialect is registry.undecoded
    assert registry.plan("/read").dialect is registry.dialect


def test_a_handler_added_later_has_its_json_decoded() -> None:
    registry = Registry()
    registry.on_message("json", "/raw")(raw)
    plan = registry.plan("/raw")
    registry.on_event("typing")(lambda ctx: None)
    assert plan.dialect is registry.dialect


def test_a_wrapped_handler_has_its_json_decoded() -> None:
    """Whoever wraps it may look at what it gets."""
    registry = Registry()
    registry.on_message("json", "/raw")(raw)
    registry.wrap(lambda kind, key, call: lambda ctx: call(ctx))
    assert registry.plan("/raw").dialect is registry.dialect
