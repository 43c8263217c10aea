"""Examples fit the schemas that they are of."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.dev.examples import example_of

NODE = {"type": "object", "properties": {"next": {"$ref": "#/x/Node"}}, "required": ["next"]}


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({}, None),
        ({"type": "string"}, "text"),
        ({"type": "string", "minLength": 6}, "xxxxxx"),
        ({"type": "string", "format": "date"}, "2030-01-02"),
        ({"type": "integer"}, 0),
        ({"type": "integer", "exclusiveMinimum": 0}, 1),
        ({"type": "number", "minimum": 2.5}, 2.5),
        ({"type": "integer", "maximum": -3}, -4),
        ({"type": "boolean"}, False),
        ({"type": ["null", "string"]}, None),
        ({"enum": ["walk", "jump"]}, "walk"),
        ({"const": 3}, 3),
        ({"type": "integer", "default": 7}, 7),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
        ({"type": "array", "items": {"type": "integer"}}, [0]),
        ({"type": "array", "prefixItems": [{"type": "integer"}], "items": False}, [0]),
        ({"type": "object"}, {}),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": "a"},
            {"a": 0},
        ),
        ({"$ref": "#/x/Unknown"}, None),
        (True, None),
    ],
)
def test_it_is_of_the_type(schema: Any, example: Any) -> None:
    assert example_of(schema, {}) == example


def test_a_type_that_holds_itself_ends() -> None:
    assert example_of({"$ref": "#/x/Node"}, {"Node": NODE}, 2) == {"next": {"next": None}}
