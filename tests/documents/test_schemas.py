"""Schemas of several types: each named once, and references that lead somewhere."""

from __future__ import annotations

import msgspec
import pydantic
import pytest

from glyph_fast.documents.schemas import Schemas
from glyph_fast.schema.schema import Schema


class Item(msgspec.Struct):
    a: int


class Other:
    class Item(pydantic.BaseModel):
        b: int


def test_types_that_are_not_named_stand_for_themselves() -> None:
    number, items = Schema(int, "data"), Schema(list[Item], "data")
    schemas = Schemas([number, items])
    assert schemas.of(number) == {"type": "integer"}
    assert schemas.of(items)["items"] == {"$ref": "#/components/schemas/Item"}
    assert list(schemas.components) == ["Item"]


def test_two_types_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two types are called Item"):
        Schemas([Schema(Item, "data"), Schema(list[Other.Item], "data")])
