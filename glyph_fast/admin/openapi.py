"""The OpenAPI document of the server API, derived from the declarations of its calls."""

from __future__ import annotations

from typing import Any

from .. import __version__
from ..hub.room_presence import LISTED
from .calls import CALLS, KEY_PATTERN, MAX_BATCH, Call
from .finding import MOST

JSON = "application/json"
_COUNT = {"type": "integer", "minimum": 0}
_ERRORS = {
    400: "The body or a member of it is not what was expected",
    401: "No valid bearer token came",
    403: "The server has no --admin-token, or the Host header is another's",
    404: "There is no such connection or room",
    413: "The body is too large",
    422: "The Idempotency-Key was used for another request",
}


def document() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    paths: dict[str, Any] = {
        f"/api/{name}": {"post": _post(call.summary, body_schema(call), call.answers, call)}
        for name, call in CALLS.items()
    }
    paths["/api/batch"] = {"post": _post("Do several calls in order", _BATCH, "Results")}
    paths["/api/rooms"] = {"get": _get("List the rooms", "Rooms")}
    paths["/api/info"] = {"get": _get("What runs, and how much there is of it", "Info")}
    paths["/api/connections"] = {
        "parameters": [_SEARCH],
        "get": _get("Connections whose id, user, address or route has a text in it", "Connections"),
    }
    paths["/api/streams"] = {"get": _get("The rooms that remember most", "Streams")}
    paths["/api/timeline"] = {
        "get": _get("The figures of the last ten minutes, a point each two seconds", "Timeline")
    }
    paths["/api/rooms/{name}"] = {"parameters": [_NAME], "get": _get("One room", "Room", 404)}
    paths["/api/rooms/{name}/presence"] = {
        "parameters": [_NAME],
        "get": _get("Who is in a room that was declared with presence", "Presence", 404),
    }
    paths["/api/rooms/{name}/history"] = {
        "parameters": [_NAME],
        "get": _get("What a room keeps", "History", 404),
        "delete": _get("Forget what a room keeps; its position stays", "Position", 404),
    }
    paths["/api/rooms/{name}/metadata"] = {"parameters": [_NAME], "put": _put_metadata()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "glyph-fast server API",
            "version": __version__,
            "description": "A POST with X-API-Key and without Authorization is Centrifugo's HTTP"
            " API instead, whose own documents describe it.",
        },
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def body_schema(call: Call) -> dict[str, Any]:
    """The JSON Schema of a call's parameters."""
    members = {**call.required, **call.one_of, **call.optional}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: kind.schema for name, kind in members.items()},
        "required": list(call.required),
        "additionalProperties": False,
    }
    if call.one_of:
        schema["oneOf"] = [{"required": [name]} for name in call.one_of]
    return schema


def _answer(name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": name, "content": {JSON: {"schema": schema}}}


def _errors(*statuses: int) -> dict[str, Any]:
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(each): {"description": _ERRORS[each], "content": error} for each in statuses}


def _get(summary: str, answers: str, *errors: int) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {"200": _answer(answers), **_errors(401, 403, *errors)},
    }


def _post(
    summary: str, schema: dict[str, Any], answers: str, call: Call | None = None
) -> dict[str, Any]:
    errors = (404,) if call is not None and call.may_miss else ()
    return {
        "summary": summary,
        "parameters": [_KEY],
        "requestBody": {"required": True, "content": {JSON: {"schema": schema}}},
        "responses": {"200": _answer(answers), **_errors(400, 401, 403, *errors, 413, 422)},
    }


def _put_metadata() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Metadata"}
    return {
        "summary": "Replace what is noted about a room, which is made if need be",
        "requestBody": {"required": True, "content": {JSON: {"schema": schema}}},
        "responses": {"200": _answer("Metadata"), **_errors(400, 401, 403, 413)},
    }


_NAME = {
    "name": "name", "in": "path", "required": True, "description": "The name, percent-encoded",
    "schema": {"type": "string", "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]+$"},
}  # fmt: skip
_SEARCH = {
    "name": "search", "in": "query", "required": False,
    "description": "The text; without it all match, of which a hundred are named",
    "schema": {"type": "string"},
}  # fmt: skip
_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "A repeated request within five minutes gets the first answer again",
    "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
}  # fmt: skip
_BATCH = {
    "type": "object",
    "properties": {
        "calls": {
            "type": "array",
            "maxItems": MAX_BATCH,
            # An entry that is wrong has its error among the results; it does not spoil the batch.
            "items": {"description": '{"method": NAME, "params": {...}}, NAME as in /api/NAME'},
        }
    },
    "required": ["calls"],
    "additionalProperties": False,
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_STRING = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_NUMBER = {"type": "number"}
_SENT = _object(sent=_COUNT, queued=_COUNT, dropped=_COUNT)
_SENT["properties"]["pending"] = {"const": True}  # there only when receivers are still to come
_POSITION = _object(epoch=_STRING, offset=_COUNT)
_PUBLISHED = {
    **_SENT,
    "properties": {  # of one room that remembers, or of several
        **_SENT["properties"],
        **_POSITION["properties"],
        "positions": {"type": "object", "additionalProperties": _POSITION},
    },
}
_KEPT = _object(
    offset=_COUNT, type={"enum": ["json", "text", "binary"]}, timestamp=_STRING
)  # and data, event, connection_id, user, metadata where there are any
_HISTORY = _object(messages={"type": "array", "items": _KEPT}, epoch=_STRING, offset=_COUNT)
_HISTORY["properties"] |= {"lost": {"const": True}, "more": {"const": True}}
_SUMMARY = _object(name=_STRING, size=_COUNT)
_SCHEMAS = {
    "Error": _object(error=_STRING),
    "Sent": _SENT,
    "Published": _PUBLISHED,
    "Position": _POSITION,
    "History": _HISTORY,
    "Closed": _object(closed=_COUNT),
    "Results": _object(results={"type": "array", "items": {"type": "object"}}),
    "Rooms": _object(rooms={"type": "array", "items": _SUMMARY}),
    "Connections": _object(
        connections={
            "type": "array",
            "maxItems": MOST,
            "items": _object(
                connection=_STRING,
                user=_TEXT_OR_NULL,
                remote=_TEXT_OR_NULL,
                route=_TEXT_OR_NULL,
                rooms=_COUNT,
                seconds=_NUMBER,
                messages_received=_COUNT,
                messages_sent=_COUNT,
                queued_bytes=_COUNT,
                messages_dropped=_COUNT,
                worker=_COUNT,
            ),
        },
        more={"type": "boolean"},
    ),
    "Streams": _object(
        streams={
            "type": "array",
            "maxItems": MOST,
            "items": _object(room=_STRING, messages=_COUNT, bytes=_COUNT, offset=_COUNT),
        }
    ),
    "Timeline": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": ["number", "null"]}},
    },
    "Metadata": {"type": "object"},
    "Room": _object(
        name=_STRING,
        size=_COUNT,
        members={"type": "array", "items": _STRING},
        metadata={"$ref": "#/components/schemas/Metadata"},
    ),
    "Presence": _object(
        clients=_COUNT,
        users=_COUNT,
        members={
            "type": "array",
            "maxItems": LISTED,
            "items": _object(id=_STRING, user={"type": ["string", "null"]}, info={}),
        },
    ),
    "Info": _object(
        version=_STRING,
        core=_STRING,
        engine=_STRING,
        loop=_STRING,
        uptime={"type": "number"},
        connections=_COUNT,
        rooms=_COUNT,
    ),
}
