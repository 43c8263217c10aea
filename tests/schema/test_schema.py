"""Declared types: every fault has its place and a reason that people can read."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest

from glyph_fast.schema.faults import MAX_FAULTS, Fault, Mismatch
from glyph_fast.schema.schema import Schema


class Tree(msgspec.Struct, rename="camel"):
    left_leaf: int = 0
    kids: list[Tree] = []
    by_name: dict[str, Tree] = {}
    pair: tuple[int, str] | None = None


class Point(NamedTuple):
    x: int
    y: int


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        (Tree, {"leftLeaf": "a"}, "data.leftLeaf: expected int, got str"),
        (Tree, {"kids": [{}, {"kids": [1]}]}, "data.kids[1].kids[0]: expected object, got int"),
        (
            Tree,
            {"byName": {"a.b": {"leftLeaf": None}}},
            "data.byName.*.leftLeaf: expected int, got null",
        ),
        (Tree, {"pair": [1, 2]}, "data.pair[1]: expected str, got int"),
        (Tree, {"pair": [1]}, "data.pair: expected array of length 2, got 1"),
        (Point, [1], "data: expected array of length 2, got 1"),
        (Cat | Dog, {"type": "Cat"}, "data.lives: missing"),
        (Cat | Dog, {"type": "Cow"}, "data.type: invalid value 'Cow'"),
        (int, 1.5, "data: expected int, got float"),
        (int, True, "data: expected int, got bool"),
    ],
    ids=str,
)
def test_a_fault_is_named(type_: Any, value: Any, text: str) -> None:
    with pytest.raises(Mismatch) as caught:
        Schema(type_, "data").check(value)
    assert str(caught.value) == text
    assert caught.value.__suppress_context__


def test_types_that_hold_themselves_are_looked_at_once() -> None:
    tree = Schema(Tree, "data").check({"kids": [{"leftLeaf": 2}]})
    assert tree == Tree(kids=[Tree(2)])


def test_only_some_faults_are_told() -> None:
    faults = [Fault((n,), "bad", "bad") for n in range(MAX_FAULTS + 5)]
    assert str(Mismatch("data", faults)).count("bad") == MAX_FAULTS


def test_a_union_that_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(TypeError, match="tagged"):
        Schema(Tree | Cat, "data")


def test_json_is_read_by_the_rules_of_the_server() -> None:
    schema = Schema(float, "body")
    assert schema.read(b"1.5") == 1.5
    with pytest.raises(Mismatch, match="body: not valid JSON"):
        schema.read(b"NaN")
