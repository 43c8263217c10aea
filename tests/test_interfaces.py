"""The seams: each implementation has every method of its interface, with the same parameters."""

from __future__ import annotations

import inspect
from types import FunctionType

import pytest

from glyph_fast import _fallback, interfaces
from glyph_fast.engine.asyncio import AsyncioEngine
from glyph_fast.engine.native import NativeEngine
from glyph_fast.engine.opening import Opening
from glyph_fast.engine.stream import Stream
from glyph_fast.handlers.dispatcher import Dispatcher

IMPLEMENTATIONS = [
    (interfaces.Sink, Stream),
    (interfaces.Sink, _fallback._DescriptorSink),
    (interfaces.Engine, NativeEngine),
    (interfaces.Engine, AsyncioEngine),
]
HTTP = {"request", "refuse", "data"}  # of a Handler; the rest belongs to the dispatcher


def parameters(method: FunctionType) -> list[tuple[str, object]]:
    return [(p.name, p.kind) for p in inspect.signature(method).parameters.values()]


def methods(interface: type) -> dict[str, FunctionType]:
    found = {name: value for name, value in vars(interface).items() if not name.startswith("_")}
    assert found
    return found


@pytest.mark.parametrize("interface", [interfaces.Sink, interfaces.Handler, interfaces.Engine])
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
