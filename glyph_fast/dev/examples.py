"""An example of a value that fits a JSON schema, to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEPTH = 4  # of references within each other; a type may hold itself
_PLAIN: Mapping[str, Any] = {"boolean": False, "null": None, "object": {}, "array": []}
_FORMATS: Mapping[str, str] = {
    "date-time": "2030-01-02T03:04:05Z",
    "date": "2030-01-02",
    "time": "03:04:05Z",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "uri": "https://example.com/",
    "email": "somebody@example.com",
}


def example_of(schema: Any, components: Mapping[str, Any], depth: int = DEPTH) -> Any:
    """A value for `schema`, whose references lead to `components`. What is optional is left out."""
    if not isinstance(schema, Mapping):
        return None
    if (reference := schema.get("$ref")) is not None:
        name = str(reference).rpartition("/")[2]
        return example_of(components.get(name), components, depth - 1) if depth else None
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return example_of(schema[key][0], components, depth)
    return _of_type(schema, components, depth)


def _of_type(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object":
        properties, required = schema.get("properties", {}), schema.get("required", ())
        return {
            name: example_of(each, components, depth)
            for name, each in properties.items()
            if name in required
        }
    if kind == "array":
        fixed = [example_of(each, components, depth) for each in schema.get("prefixItems", ())]
        item = schema.get("items")
        missing = schema.get("minItems", 0 if fixed else 1) - len(fixed)
        return fixed + [example_of(item, components, depth)] * (missing if item else 0)
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "x" * schema.get("minLength", 0) or "text")
    if kind in ("integer", "number"):
        return _number(schema)
    return _PLAIN.get(kind or "")


def _number(schema: Mapping[str, Any]) -> Any:
    """The least that fits, or 0."""
    least = schema.get("minimum")
    if least is None and (above := schema.get("exclusiveMinimum")) is not None:
        least = above + 1
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    if least is None:
        return 0 if most is None or most > 0 else most - 1
    return least


__all__ = ["example_of"]
