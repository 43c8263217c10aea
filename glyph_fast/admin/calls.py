"""The calls of the server API: what each takes, and what it does to a hub.

A call's parameters are declared once, in `CALLS`; the checking of bodies and the OpenAPI document
derive from that. The functions run in the hub's loop, so what they return is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import core, json
from ..connection import Connection
from ..errors import ConnectionClosed
from ..hub import Hub
from ..wire import NOBODY, NORMAL, SendResult, is_sendable_code

MAX_BATCH = 1000  # calls
KEY_PATTERN = r"[!-~]{1,255}"  # of an Idempotency-Key
MAX_REASON = 123  # characters; what is longer than 123 bytes is cut (RFC 6455 §5.5.1)


class CallError(Exception):
    """A call that cannot be done, as an HTTP status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Kind:
    """A type of parameter: how it is told from others, in words and in JSON Schema."""

    expected: str
    accepts: Callable[[Any], bool]
    schema: Mapping[str, Any]


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


TEXT = Kind("text", lambda value: isinstance(value, str), {"type": "string"})
NAMES = Kind("a list of texts", _is_names, {"type": "array", "items": {"type": "string"}})
VALUE = Kind("any JSON value", lambda value: True, {})
# JSON does not tell 1000 from 1000.0, and neither does JSON Schema.
CODE = Kind(
    "a close code that may be sent: 1000-1003, 1007-1014, 3000-4999",
    lambda value: (
        type(value) in (int, float) and value == int(value) and is_sendable_code(int(value))
    ),
    {
        "type": "integer",
        "anyOf": [
            {"minimum": 1000, "maximum": 1003},
            {"minimum": 1007, "maximum": 1014},
            {"minimum": 3000, "maximum": 4999},
        ],
    },
)
REASON = Kind(
    f"a text of at most {MAX_REASON} characters",
    lambda value: isinstance(value, str) and len(value) <= MAX_REASON,
    {"type": "string", "maxLength": MAX_REASON},
)
CLOSING = {"code": CODE, "reason": REASON}


@dataclass(frozen=True)
class Call:
    """One call: `one_of` are parameters of which exactly one is given."""

    summary: str
    run: Callable[[Hub, Mapping[str, Any]], dict[str, Any]]
    required: Mapping[str, Kind]
    optional: Mapping[str, Kind]
    one_of: Mapping[str, Kind]
    answers: str  # the name of a schema: Sent or Closed
    may_miss: bool = False  # 404 when there is no such connection

    def __call__(self, hub: Hub, params: object) -> dict[str, Any]:
        """Check the parameters and do it. Raises CallError."""
        return self.run(hub, self.check(params))

    def check(self, params: object) -> Mapping[str, Any]:
        """The parameters, if they are right; else CallError (400)."""
        if not isinstance(params, dict):
            raise CallError(400, "expected a JSON object")
        known = {**self.required, **self.one_of, **self.optional}
        for name, value in params.items():
            if name not in known:
                raise CallError(400, f"unknown member {name!r}")
            if not known[name].accepts(value):
                raise CallError(400, f"{name}: expected {known[name].expected}")
        for name in self.required:
            if name not in params:
                raise CallError(400, f"{name} is missing")
        if self.one_of and sum(name in params for name in self.one_of) != 1:
            raise CallError(400, f"expected one of {', '.join(self.one_of)}")
        return params


def _named(hub: Hub, params: Mapping[str, Any]) -> list[Connection]:
    """The open connections that `connection` or `user` stands for."""
    if "connection" in params:
        conn = hub.get_connection(params["connection"])
        found = [] if conn is None else [conn]
    else:
        found = hub.get_user_connections(params["user"])
    return [conn for conn in found if conn.is_open]


def _sent(results: Iterable[SendResult | None]) -> dict[str, int]:
    sums = [sum(column) for column in zip(*(r or NOBODY for r in results), strict=True)]
    return dict(zip(SendResult._fields, sums or NOBODY, strict=True))


def _text(value: object) -> str:
    return json.dumps(value).decode()


def publish(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """To the members of one or several rooms; a member of several receives once."""
    exclude = params.get("exclude")
    names = params["rooms"] if "rooms" in params else [params["room"]]
    rooms = hub.get_room_manager()
    found = [room for name in dict.fromkeys(names) if (room := rooms.get_room(name)) is not None]
    if not found:
        return _sent([])
    if len(found) == 1:
        return _sent([found[0].broadcast(_text(params["data"]), exclude)])
    everyone = core.Room()
    for room in found:
        for conn in room:
            everyone.add(conn)
    return _sent([everyone.publish(core.Frame(_text(params["data"])), frozenset(exclude or ()))])


def broadcast(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """To every connection."""
    return _sent([hub.broadcast(_text(params["data"]))])


def send(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """To one connection, or to all of one user."""
    text, results = _text(params["data"]), []
    for conn in _named(hub, params):
        try:
            results.append(conn.send(text))
        except ConnectionClosed:
            continue  # an earlier send found out that it is gone
    if not results:
        raise CallError(404, "no such connection")
    return _sent(results)


def _close(connections: Iterable[Connection], params: Mapping[str, Any]) -> dict[str, Any]:
    closed = [conn for conn in connections if conn.is_open]
    for conn in closed:
        conn.close(int(params.get("code", NORMAL)), params.get("reason", ""))
    return {"closed": len(closed)}


def disconnect(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """Close one connection, or all of one user."""
    return _close(_named(hub, params), params)


def close_room(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """Close the connections of a room's members, and forget the room with its metadata."""
    rooms = hub.get_room_manager()
    room = rooms.get_room(params["room"])
    if room is None:
        return {"closed": 0}
    members: list[Any] = list(room)
    rooms.delete_room(room.name)
    return _close(members, params)


_WHO = {"connection": TEXT, "user": TEXT}
CALLS: Mapping[str, Call] = {
    "publish": Call(
        "Send to the members of one or several rooms", publish,
        {"data": VALUE}, {"exclude": NAMES}, {"room": TEXT, "rooms": NAMES}, "Sent",
    ),
    "broadcast": Call("Send to everybody", broadcast, {"data": VALUE}, {}, {}, "Sent"),
    "send": Call(
        "Send to a connection or to a user", send, {"data": VALUE}, {}, _WHO, "Sent", True
    ),
    "disconnect": Call(
        "Close a connection, or those of a user", disconnect, {}, CLOSING, _WHO, "Closed"
    ),
    "close-room": Call(
        "Close the connections of a room's members", close_room,
        {"room": TEXT}, CLOSING, {}, "Closed",
    ),
}  # fmt: skip


Done = Callable[[str, Mapping[str, Any], dict[str, Any]], object]  # method, parameters, result


def batch(hub: Hub, body: object, done: Done) -> dict[str, Any]:
    """Do several calls in order. One that fails leaves `{"error", "status"}` in its place.

    `done` is told of each that was done.
    """
    if not isinstance(body, dict) or set(body) != {"calls"} or not isinstance(body["calls"], list):
        raise CallError(400, 'expected {"calls": [...]}')
    if len(body["calls"]) > MAX_BATCH:
        raise CallError(400, f"a batch has at most {MAX_BATCH} calls")
    return {"results": [_one(hub, each, done) for each in body["calls"]]}


def _one(hub: Hub, entry: object, done: Done) -> dict[str, Any]:
    try:
        if not isinstance(entry, dict) or not set(entry) <= {"method", "params"}:
            raise CallError(400, 'expected {"method": NAME, "params": {...}}')
        method = entry.get("method")
        if not isinstance(method, str) or method not in CALLS:
            raise CallError(400, f"method: expected one of {', '.join(CALLS)}")
        params = entry.get("params", {})
        result = CALLS[method](hub, params)
    except CallError as exc:
        return {"error": exc.reason, "status": exc.status}
    done(method, params, result)
    return result
