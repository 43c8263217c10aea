"""Types in TypeScript, with which `connect<Events>()` of the client library is typed."""

from __future__ import annotations

import json
import re
from typing import Any

from .program import Event, Program
from .schemas import REFERENCE, Schemas

_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_NO_NAME = re.compile(r"[^A-Za-z0-9_$]+")
_SIMPLE = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
ANY = "unknown"


def typescript(program: Program, *, title: str) -> str:
    """A module that exports an interface for each type with fields, and `Events`."""
    schemas = Schemas([each for event in program.events for each in _declared(event)])
    lines = [f"/** Types of {title}, written by `glyph-fast asyncapi --typescript`. */"]
    for name, component in schemas.components.items():
        lines += ["", f"export type {_type_name(name)} = {_type(component)};"]
    lines += ["", "/** For `connect<Events>(…)`. */", "export interface Events {"]
    by_name: dict[str, list[Event]] = {}
    for event in program.events:
        by_name.setdefault(event.name, []).append(event)
    for name, alike in by_name.items():  # on several routes: what one of them takes
        if summary := next((each.summary for each in alike if each.summary), ""):
            lines.append(f"  /** {summary.replace('*/', '* /')} */")
        lines.append(f"  {_key(name)}({_parameter(alike, schemas)}): {_answer(alike, schemas)};")
    return "\n".join([*lines, "}", ""])


def _declared(event: Event) -> list[Any]:
    return [each for each in (event.takes, event.answers) if each is not None]


def _parameter(events: list[Event], schemas: Schemas) -> str:
    if any(each.takes is None for each in events):
        return "data?: any"
    return f"data: {_either(_type(schemas.of(each.takes)) for each in events)}"


def _answer(events: list[Event], schemas: Schemas) -> str:
    if any(each.answers is None for each in events):
        return "any"
    return _either(_type(schemas.of(each.answers)) for each in events)


def _type(schema: Any) -> str:
    """The type of the values that a JSON schema allows."""
    if not isinstance(schema, dict) or not schema:
        return ANY
    if "$ref" in schema:
        return _type_name(schema["$ref"].removeprefix(REFERENCE))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return _either(map(json.dumps, schema["enum"]))
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _either(map(_type, schema[word]))
    if "allOf" in schema:
        return " & ".join(map(_type, schema["allOf"]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return _either(_type(schema | {"type": each}) for each in kind)
    if kind == "array":
        return _array(schema)
    if kind == "object":
        return _object(schema)
    return _SIMPLE.get(kind, ANY) if isinstance(kind, str) else ANY


def _either(types: Any) -> str:
    return " | ".join(dict.fromkeys(types))


def _array(schema: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(map(_type, schema['prefixItems']))}]"
    inner = _type(schema.get("items"))
    return f"({inner})[]" if " " in inner else f"{inner}[]"


def _object(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    members = [
        f"{_key(name)}{'' if name in required else '?'}: {_type(each)}"
        for name, each in schema.get("properties", {}).items()
    ]
    if members:
        return "{ " + "; ".join(members) + " }"
    values = schema.get("additionalProperties")
    return f"{{ [key: string]: {_type(values)} }}"


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else json.dumps(name)


def _type_name(name: str) -> str:
    found = _NO_NAME.sub("_", name).strip("_")
    return found if _NAME.fullmatch(found) else f"_{found}"
