"""The server API: HTTP requests become calls, a repeated request gets its first answer again."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from .. import json
from ..errors import Reject
from ..http.request import Request
from ..http.response import Response, error_response
from ..hub import Hub
from ..logs import SERVER, log
from ..room import Room
from .calls import CALLS, KEY_PATTERN, CallError, batch
from .stats import Stats

KEYS_KEPT = 10_000
KEY_LIFETIME_S = 300.0
ROUTINE = ("publish", "send")  # calls other programs make all the time: no log line at level info

NAMED = ("room", "rooms", "connection", "user", "code", "reason")  # parameters a log line tells


class _Answered(NamedTuple):
    digest: bytes  # of path and body
    until: float  # clock reading
    response: Response


class IdempotencyKeys:
    """The answers to the latest requests that had an Idempotency-Key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[str, _Answered] = OrderedDict()  # the oldest first

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: str, digest: bytes) -> Response | None:
        """The first answer under this key. CallError: 422 for another request, 400 for no key."""
        if not re.fullmatch(KEY_PATTERN, key):
            raise CallError(400, "an Idempotency-Key is 1 to 255 visible ASCII characters")
        self._forget_old()
        found = self._answers.get(key)
        if found is None:
            return None
        if found.digest != digest:
            raise CallError(422, "this Idempotency-Key was used for another request")
        return found.response

    def keep(self, key: str, digest: bytes, response: Response) -> None:
        """Remember the answer for five minutes, or until 10,000 others have come."""
        self._answers[key] = _Answered(digest, self._clock() + KEY_LIFETIME_S, response)
        if len(self._answers) > KEYS_KEPT:
            self._answers.popitem(last=False)

    def _forget_old(self) -> None:
        now = self._clock()
        while self._answers and next(iter(self._answers.values())).until <= now:
            self._answers.popitem(last=False)


class Api:
    """The handlers of `/api/…`. Whether the request may ask for it has been checked before."""

    def __init__(self, hub: Hub, stats: Stats) -> None:
        self._hub = hub
        self._rooms = hub.get_room_manager()
        self._stats = stats
        self._keys = IdempotencyKeys()

    def acting(self) -> dict[str, Callable[[Request], Any]]:
        """The calls that act, by the last part of their path; all are POST."""
        calls = {name: partial(self._call, name) for name in CALLS}
        return {**calls, "batch": self._batch}

    async def _call(self, name: str, request: Request) -> Response:
        return await self._once(request, lambda body: self._do(name, body, request))

    def _do(self, name: str, body: object, request: Request) -> dict[str, Any]:
        result = CALLS[name](self._hub, body)
        _log_action(request, name, body, result)
        return result

    async def _batch(self, request: Request) -> Response:
        return await self._once(
            request, lambda body: batch(self._hub, body, partial(_log_action, request))
        )

    async def _once(self, request: Request, act: Callable[[object], dict[str, Any]]) -> Response:
        """Answer, from memory if the request was answered before."""
        key = request.headers.get("idempotency-key")
        raw = await request.body()
        digest = hashlib.sha256(b"\n".join((request.raw_path.encode(), raw))).digest()
        try:
            if key is not None and (known := self._keys.find(key, digest)) is not None:
                return known
        except CallError as exc:
            return error_response(exc.status, exc.reason)
        try:
            response = Response(act(_json_body(raw)))
        except CallError as exc:
            response = error_response(exc.status, exc.reason)
        if key is not None:
            self._keys.keep(key, digest, response)
        return response

    # Rooms.

    def info(self, request: Request) -> dict[str, Any]:
        """GET /api/info"""
        return self._stats.info()

    def rooms(self, request: Request) -> dict[str, Any]:
        """GET /api/rooms"""
        return {"rooms": [{"name": room.name, "size": len(room)} for room in self._rooms]}

    def room(self, request: Request) -> dict[str, Any]:
        """GET /api/rooms/NAME"""
        room = self._rooms.get_room(request.path_params["name"])
        if room is None:
            raise Reject(404, {"error": "no such room"})
        return {
            "name": room.name,
            "size": len(room),
            "members": list(room.members),
            "metadata": _plain(room.get_all_metadata()),
        }

    async def put_metadata(self, request: Request) -> Response:
        """PUT /api/rooms/NAME/metadata: replaces it; a room that is not there is made."""
        try:
            body = _json_body(await request.body())
            if not isinstance(body, dict):
                raise CallError(400, "expected a JSON object")
            room = self._room_to_describe(request.path_params["name"], bool(body))
        except CallError as exc:
            return error_response(exc.status, exc.reason)
        if room is not None:
            room.replace_metadata(body)
            _log_action(request, "metadata", {"room": room.name}, {})
        return Response(body)

    def _room_to_describe(self, name: str, is_needed: bool) -> Room | None:
        try:
            self._rooms.check_name(name)
        except ValueError as exc:
            raise CallError(400, str(exc)) from None
        room = self._rooms.get_room(name)
        if room is not None or not is_needed:
            return room
        room = self._rooms.get_or_create_room(name)
        room.is_kept = False  # its metadata keeps it
        return room


def _json_body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise CallError(400, "request body is not valid JSON") from None


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata as JSON can hold it: what a program noted may be any object."""
    plain = {}
    for key, value in metadata.items():
        try:
            json.dumps(value)
            plain[key] = value
        except (TypeError, ValueError):
            plain[key] = repr(value)
    return plain


def _log_action(request: Request, call: str, params: Any, result: Mapping[str, Any]) -> None:
    """Say what an operator did, and to whom; message contents and tokens never."""
    level = logging.DEBUG if call in ROUTINE else logging.INFO
    named = {name: params[name] for name in NAMED if name in params}
    log(SERVER, level, "operator's call", call=call, remote=request.remote, **named, **result)
