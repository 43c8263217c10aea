"""The calls of the server API: what each takes, and what it does to a hub.

A call's parameters are declared once, in `CALLS`; the checking of bodies and the OpenAPI document
derive from that. The functions run in the hub's loop, so what they return is exact.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeAlias

from .. import json
from ..dialects.bare import JsonText
from ..dialects.publication import CONNECTION, ROOM, USER, json_publication
from ..errors import BrokerUnavailable, ConnectionClosed
from ..http.resting import Resting
from ..hub.connection import Connection
from ..hub.hub import Hub
from ..wire import NOBODY, NORMAL, SendResult, is_sendable_code

CLOSE = "close_connection"  # what nodes tell each other
MAX_BATCH = 1000  # calls
MAX_NAME = 16_383  # characters of a room, user or id; processes tell each other 65,535 bytes
MAX_NAMES = 10_000  # rooms or ids that one call names: its work is one piece
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


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME


def _is_names(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_NAMES and all(map(_is_name, value))


TEXT = Kind(
    f"a text of at most {MAX_NAME} characters", _is_name, {"type": "string", "maxLength": MAX_NAME}
)
NAMES = Kind(
    f"a list of at most {MAX_NAMES} texts of at most {MAX_NAME} characters",
    _is_names,
    {"type": "array", "items": {"type": "string"}, "maxItems": MAX_NAMES},
)
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


Result: TypeAlias = dict[str, Any] | Awaitable[dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """One call: `one_of` are parameters of which exactly one is given."""

    summary: str
    run: Callable[[Hub, Mapping[str, Any]], Result]
    required: Mapping[str, Kind]
    optional: Mapping[str, Kind]
    one_of: Mapping[str, Kind]
    answers: str  # the name of a schema: Sent or Closed
    may_miss: bool = False  # 404 when there is no such connection
    run_once: Callable[[Hub, Mapping[str, Any], str], Result] | None = None  # with a key

    def __call__(self, hub: Hub, params: object, key: str = "") -> Result:
        """Check the parameters and do it, once for a key. Raises CallError."""
        checked = self.check(params)
        if key and self.run_once is not None:
            return self.run_once(hub, checked, key)
        return self.run(hub, checked)

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


def _has_nodes(hub: Hub) -> bool:
    """Return whether others may be on other machines; of workers the main process sees to that."""
    rooms = hub.get_room_manager()
    return rooms._broker.has_nodes and not rooms._worker


def sent(results: Sequence[SendResult]) -> dict[str, int]:
    sums = [sum(column) for column in zip(*results, strict=True)]
    answer = dict(zip(SendResult._fields, sums or NOBODY, strict=True))
    if any(result.pending for result in results):
        answer["pending"] = True
    return answer


def text_of(value: object) -> str:
    return json.dumps(value).decode()


def publish(hub: Hub, params: Mapping[str, Any]) -> Result:
    """To the members of one or several rooms; a member of several receives once.

    Rooms that remember give it a place each, and a member of several of them receives once in each.
    """
    text, exclude = text_of(params["data"]), params.get("exclude")
    if "room" in params:
        if hub.get_room_manager()._terms(params["room"]) is not None:
            return _publish_once(hub, params)
        return sent([hub._publish_to_room(params["room"], text, exclude)])
    try:
        result, places = hub._publish_to_rooms(params["rooms"], text, exclude)
    except ValueError as exc:  # more than other processes are told at once
        raise CallError(413, str(exc)) from None
    answer: dict[str, Any] = sent([result])
    if places:
        answer["positions"] = {room: position._asdict() for room, position in places.items()}
    return answer


def publish_once(hub: Hub, params: Mapping[str, Any], key: str) -> Result:
    """Publish as `publish` does; to one room, once for a key, whichever process has answered it."""
    if "rooms" in params:
        return publish(hub, params)
    return _publish_once(hub, params, key)


async def _publish_once(hub: Hub, params: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    text = text_of(params["data"])
    made = json_publication(ROOM, params["room"], text, params.get("exclude"))
    try:
        position, result, _ = await hub._publish_once(made, f"operator:{key}" if key else "")
    except BrokerUnavailable:
        raise CallError(503, "try again") from None
    return sent([result]) | (position._asdict() if position.epoch else {})


def broadcast(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """To every connection."""
    return sent([hub.broadcast_json(params["data"])])


def send(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """To one connection, or to all of one user."""
    text, results = text_of(params["data"]), []
    user_rooms = hub.get_room_manager()._user_rooms
    if user_rooms is not None and "user" in params:
        # Kept for one who is away, too.
        return sent([hub.send_to_user(params["user"], JsonText(params["data"]))])
    if _has_nodes(hub):  # whoever it is may be elsewhere
        kind = USER if "user" in params else CONNECTION
        name = params.get("user", params.get("connection"))
        return sent([hub.get_room_manager()._publish(json_publication(kind, name, text))])
    for conn in _named(hub, params):
        try:
            results.append(conn.send(text))
        except ConnectionClosed:
            continue  # an earlier send found out that it is gone
    if not results:
        raise CallError(404, "no such connection")
    return sent(results)


def _close(connections: Iterable[Connection], params: Mapping[str, Any]) -> dict[str, Any]:
    closed = [conn for conn in connections if conn.is_open]
    for conn in closed:
        conn.close(int(params.get("code", NORMAL)), params.get("reason", ""))
    return {"closed": len(closed)}


def disconnect(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """Close one connection, or all of one user."""
    how = int(params.get("code", NORMAL)), params.get("reason", "")
    if "user" in params and _has_nodes(hub):
        return {"closed": hub.disconnect_user(params["user"], *how)}
    result = _close(_named(hub, params), params)
    if not result["closed"] and "connection" in params and _has_nodes(hub):  # it may be elsewhere
        hub.get_room_manager()._broker.tell(CLOSE, params["connection"], *how)
    return result


def close_here(hub: Hub, id: str, code: int, reason: str) -> None:
    """Close the connection that another node was asked to close, if it is here."""
    conn = hub.get_connection(id)
    if conn is not None and conn.is_open:
        conn.close(code, reason)


def close_room(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """Close the connections of a room's members, and forget the room with its metadata."""
    rooms = hub.get_room_manager()
    room = rooms.get_room(params["room"])
    if _has_nodes(hub):
        how = int(params.get("code", NORMAL)), params.get("reason", "")
        rooms._broker.tell("close_room", params["room"], *how)
    if room is None:
        rooms.delete_room(params["room"])  # what it remembers
        return {"closed": 0}
    members: list[Any] = list(room)
    rooms.delete_room(room.name)
    return _close(members, params)


def close_room_here(hub: Hub, params: Mapping[str, Any]) -> dict[str, Any]:
    """Close a room as `close_room` does, in this process alone."""
    rooms = hub.get_room_manager()
    members: list[Any] = list(rooms.get_room(params["room"]) or ())
    rooms._delete_here(params["room"])
    return _close(members, params)


_WHO = {"connection": TEXT, "user": TEXT}
CALLS: Mapping[str, Call] = {
    "publish": Call(
        "Send to the members of one or several rooms", publish,
        {"data": VALUE}, {"exclude": NAMES}, {"room": TEXT, "rooms": NAMES}, "Published",
        run_once=publish_once,
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


async def finished(result: Result) -> dict[str, Any]:
    """The result of a call, once it is there."""
    return await result if isawaitable(result) else result


Done = Callable[[str, Mapping[str, Any], dict[str, Any]], object]  # method, parameters, result
Act = Callable[[str, object, str], Awaitable[dict[str, Any]]]  # method, parameters, key


async def batch(act: Act, body: object, done: Done, key: str = "") -> dict[str, Any]:
    """Do several calls in order. One that fails leaves `{"error", "status"}` in its place.

    `done` is told of each that was done. With a key each is done once for it and its number.
    """
    if not isinstance(body, dict) or set(body) != {"calls"} or not isinstance(body["calls"], list):
        raise CallError(400, 'expected {"calls": [...]}')
    if len(body["calls"]) > MAX_BATCH:
        raise CallError(400, f"a batch has at most {MAX_BATCH} calls")
    keys = [key and f"{key} {number}" for number in range(len(body["calls"]))]
    results, resting = [], Resting()
    for each, own in zip(body["calls"], keys, strict=True):
        results.append(await _one(act, each, done, own))
        await resting.rest()
    return {"results": results}


async def _one(act: Act, entry: object, done: Done, key: str) -> dict[str, Any]:
    try:
        if not isinstance(entry, dict) or not set(entry) <= {"method", "params"}:
            raise CallError(400, 'expected {"method": NAME, "params": {...}}')
        method = entry.get("method")
        if not isinstance(method, str) or method not in CALLS:
            raise CallError(400, f"method: expected one of {', '.join(CALLS)}")
        params = entry.get("params", {})
        result = await act(method, params, key)
    except CallError as exc:
        return {"error": exc.reason, "status": exc.status}
    done(method, params, result)
    return result
