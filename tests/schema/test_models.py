"""Pydantic's types keep Pydantic's rules."""

from __future__ import annotations

import dataclasses

import pydantic
import pytest

from glyph_fast.schema.faults import Mismatch
from glyph_fast.schema.schema import Schema


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    symbol: str = pydantic.Field(alias="sym")
    amount: int = 1
    notes: list[str] = pydantic.Field(default=[], alias="note")


@dataclasses.dataclass
class Basket:
    orders: list[Order]


def test_its_coercions_are_kept() -> None:
    assert Schema(Order, "data").check({"sym": "A", "amount": "3"}).amount == 3


def test_a_dataclass_may_hold_models() -> None:
    assert Schema(Basket, "data").check({"orders": [{"sym": "A"}]}) == Basket([Order(sym="A")])


def test_every_fault_is_named() -> None:
    with pytest.raises(Mismatch) as caught:
        Schema(Basket, "data").check({"orders": [{"sym": 1, "more": 2}]})
    assert str(caught.value) == (
        "data.orders[0].sym: input should be a valid string; "
        "data.orders[0].more: extra inputs are not permitted"
    )
    assert [fault.kind for fault in caught.value.faults] == ["string_type", "extra_forbidden"]


def test_texts_are_lists_where_a_field_is_one() -> None:
    order = Schema(Order, "query").read_texts({"sym": ["A", "B"], "note": ["x"]})
    assert (order.symbol, order.notes) == ("A", ["x"])
