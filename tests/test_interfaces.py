"""The seams: each implementation has every method of its interface, with the same parameters."""

from __future__ import annotations

import inspect
from types import FunctionType

import pytest

from glyph_fast import _pure, interfaces
from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.dialects.publication import publication
from glyph_fast.engine.asyncio import AsyncioEngine
from glyph_fast.engine.native import NativeEngine
from glyph_fast.engine.stream import Stream
from glyph_fast.handlers.dispatcher import Dispatcher
from glyph_fast.opening.opening import Opening
from glyph_fast.wire import SENT

IMPLEMENTATIONS = [
    (interfaces.Sink, Stream),
    (interfaces.Sink, _pure.poller._DescriptorSink),
    (interfaces.Engine, NativeEngine),
    (interfaces.Engine, AsyncioEngine),
]
HTTP = {"request", "refuse", "data", "ended"}  # of a Handler; the rest belongs to the dispatcher


def parameters(method: FunctionType) -> list[tuple[str, object]]:
    return [(p.name, p.kind) for p in inspect.signature(method).parameters.values()]


def methods(interface: type) -> dict[str, FunctionType]:
    found = {name: value for name, value in vars(interface).items() if not name.startswith("_")}
    assert found
    return found


@pytest.mark.parametrize(
    "interface", [interfaces.Sink, interfaces.Handler, interfaces.Engine, interfaces.Broker]
)
def test_every_method_states_its_promise(interface: type) -> None:
    assert all(method.__doc__ for method in methods(interface).values())


@pytest.mark.parametrize(
    ("interface", "cls"), IMPLEMENTATIONS, ids=[cls.__name__ for _, cls in IMPLEMENTATIONS]
)
def test_implements_its_interface(interface: type, cls: type) -> None:
    for name, method in methods(interface).items():
        assert parameters(getattr(cls, name)) == parameters(method), name


def test_opening_and_dispatcher_together_are_a_handler() -> None:
    for name, method in methods(interfaces.Handler).items():
        part = Opening if name in HTTP else Dispatcher
        assert parameters(getattr(part, name)) == parameters(method), name


def test_the_broker_in_memory_is_a_broker() -> None:
    broker = MemoryBroker()
    broker.attach(lambda publication: SENT)
    for name, method in methods(interfaces.Broker).items():
        part = getattr(MemoryBroker, name)
        if inspect.isfunction(part):
            assert parameters(part) == parameters(method), name
        elif name != "state":  # what does it by itself, without a call between
            assert callable(getattr(broker, name)), name


def test_a_publication_has_what_brokers_see_of_it() -> None:
    made = publication("room", "blue", "hi", "ada")
    for name in vars(interfaces.Publication):
        if not name.startswith("_"):
            assert hasattr(made, name), name
