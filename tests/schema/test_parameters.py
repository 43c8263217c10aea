"""Which types functions declare."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
import pydantic
import pytest

from glyph_fast.schema.parameters import (
    Unknown,
    declared_parameters,
    is_structured,
    type_of,
    type_returned,
)

if TYPE_CHECKING:
    from nowhere import Ghost


def plain(a: int, b: list[str]) -> int | None: ...


def ghostly(a: int, b: Ghost) -> Ghost: ...


def passed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any: ...

    return wrapper


def test_each_annotation_is_read_by_itself() -> None:
    a, b = declared_parameters(ghostly)
    assert type_of(ghostly, a) is int
    with pytest.raises(Unknown, match="b: Ghost: its type cannot be read here"):
        type_of(ghostly, b)
    assert type_returned(ghostly) is Any


def test_a_wrapper_that_passes_on_declares_what_it_wraps_does() -> None:
    wrapped = passed_on(plain)
    _, b = declared_parameters(wrapped)
    assert type_of(wrapped, b) == list[str]
    assert type_returned(wrapped) is int


def test_a_name_of_the_enclosing_function_is_found_where_it_is_used() -> None:
    class Local: ...

    def handler(a: Local) -> Local:
        return Local()

    (a,) = declared_parameters(handler)
    assert type_of(handler, a) is type_returned(handler) is Local


def test_callable_objects_declare_by_their_call() -> None:
    class Handler:
        def __call__(self, a: int) -> str: ...

    (a,) = declared_parameters(Handler())
    assert type_of(Handler(), a) is int


@pytest.mark.parametrize(
    ("annotation", "left"),
    [(None, Any), (int, int), (int | None, int), (int | list, int | list), (int | bytes, int)],
    ids=str,
)
def test_what_is_returned_without_what_does_not_count(annotation: Any, left: Any) -> None:
    def handler() -> Any: ...

    handler.__annotations__["return"] = annotation
    assert type_returned(handler, bytes) == left


class Struct(msgspec.Struct):
    a: int


@dataclass
class Data:
    a: int


class Typed(TypedDict):
    a: int


class Model(pydantic.BaseModel):
    a: int


@pytest.mark.parametrize(
    "type_", [Struct, Data, Typed, Model, list[Struct], dict[str, Model] | None]
)
def test_a_class_with_fields_is_structured(type_: Any) -> None:
    assert is_structured(type_)


@pytest.mark.parametrize("type_", [int, str, Any, dict[str, int], list[Any], object])
def test_other_types_are_not(type_: Any) -> None:
    assert not is_structured(type_)
