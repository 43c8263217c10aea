"""AsyncAPI 3: the channels of a server, the events clients may send there, and the answers.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import re
from typing import Any

from .program import Event, Program, address_of, parameters_in
from .schemas import Schemas

_NO_ID = re.compile(r"[^A-Za-z0-9_.-]+")
ERROR = "error"


def asyncapi(program: Program, *, title: str, version: str) -> dict[str, Any]:
    """The document, as JSON values. Raises ValueError for types of one name."""
    schemas = Schemas(program.schemas)
    messages: dict[str, Any] = {ERROR: _error()}
    operations: dict[str, Any] = {}
    channels = {_id(route): _channel(route) for route in program.routes}
    for event in program.events:
        name = _unused(_id(event.name), messages)
        messages[name] = _message(event, schemas)
        answer = f"{name}.answer"
        messages[answer] = _answer(event, schemas)
        for route in event.routes:
            there = channels[_id(route)]["messages"]
            for each in (name, answer, ERROR):
                there[each] = {"$ref": f"#/components/messages/{each}"}
            operations[_unused(f"{name}.{_id(route)}", operations)] = _operation(
                event, f"#/channels/{_id(route)}", name, answer
            )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas.components},
    }


def _channel(route: str) -> dict[str, Any]:
    channel: dict[str, Any] = {"address": address_of(route), "messages": {}}
    if names := parameters_in(route):
        channel["parameters"] = {name: {} for name in names}
    return channel


def _operation(event: Event, channel: str, name: str, answer: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": "receive",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"}],
        "reply": {
            "channel": {"$ref": channel},
            "messages": [{"$ref": f"{channel}/messages/{each}"} for each in (answer, ERROR)],
        },
    }
    return operation | ({"summary": event.summary} if event.summary else {})


def _message(event: Event, schemas: Schemas) -> dict[str, Any]:
    """An event as clients send it; with an `id` it is answered."""
    needs_data = event.takes is not None
    payload = {
        "type": "object",
        "properties": {
            "type": {"const": "json"},
            "event": {"const": event.name},
            "data": schemas.of(event.takes),
            "id": {"description": "Comes back with the answer."},
        },
        "required": ["event", "data"] if needs_data else ["event"],
    }
    return {"name": event.name, "payload": payload}


def _answer(event: Event, schemas: Schemas) -> dict[str, Any]:
    return {
        "name": f"answer to {event.name}",
        "payload": _envelope("json", schemas.of(event.answers)),
    }


def _error() -> dict[str, Any]:
    data = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    return {"name": ERROR, "payload": _envelope("error", data)}


def _envelope(type_: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the server's answer to a message in an envelope."""
    properties = {
        "type": {"const": type_},
        "data": data,
        "target": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "id": {},
    }
    return {"type": "object", "properties": properties, "required": ["type", "target", "timestamp"]}


def _id(text: str) -> str:
    """A name that may be a key of the document."""
    return _NO_ID.sub("_", text).strip("_") or "root"


def _unused(name: str, taken: dict[str, Any]) -> str:
    n, found = 1, name
    while found in taken:
        n += 1
        found = f"{name}_{n}"
    return found
