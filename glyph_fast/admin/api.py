"""The server API: HTTP requests become calls, a repeated request gets its first answer again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from .. import json
from ..errors import Reject
from ..http.request import Request
from ..http.response import Response, error_response
from ..hub.room_presence import LISTED
from ..logs import SERVER, brief, log
from .calls import CALLS, KEY_PATTERN, CallError, batch
from .finding import MAX_TEXT, MOST
from .history import ask_of, written
from .operated import Operated
from .stats import Stats

KEYS_KEPT = 10_000
BYTES_KEPT = 64 * 2**20  # of their answers; that to a batch may have a hundred kilobytes
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
        self.nbytes = 0  # of the answers

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
        """Remember the answer for five minutes, or until 10,000 others have come, or 64 MiB."""
        if (former := self._answers.pop(key, None)) is not None:  # two came at a time
            self.nbytes -= len(former.response.content)
        self._answers[key] = _Answered(digest, self._clock() + KEY_LIFETIME_S, response)
        self.nbytes += len(response.content)
        while len(self._answers) > KEYS_KEPT or self.nbytes > BYTES_KEPT:
            self._forget_oldest()

    def _forget_old(self) -> None:
        now = self._clock()
        while self._answers and next(iter(self._answers.values())).until <= now:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, oldest = self._answers.popitem(last=False)
        self.nbytes -= len(oldest.response.content)


class Api:
    """The handlers of `/api/…`. Whether the request may ask for it has been checked before."""

    def __init__(self, operated: Operated, stats: Stats, history_answer: int) -> None:
        self._operated = operated
        self._stats = stats
        self._history_answer = history_answer
        self._keys = IdempotencyKeys()
        self._under_way: dict[str, asyncio.Future[None]] = {}  # by key, until it is answered

    def acting(self) -> dict[str, Callable[[Request], Any]]:
        """The calls that act, by the last part of their path; all are POST."""
        calls = {name: partial(self._call, name) for name in CALLS}
        return {**calls, "batch": self._batch}

    async def _call(self, name: str, request: Request) -> Response:
        return await self._once(request, partial(self._do, name, request))

    async def _do(self, name: str, request: Request, body: object, key: str) -> dict[str, Any]:
        result = await self._operated.act(name, body, key)
        _log_action(request, name, body, result)
        return result

    async def _batch(self, request: Request) -> Response:
        done = partial(_log_action, request)
        return await self._once(
            request, lambda body, key: batch(self._operated.act, body, done, key)
        )

    async def _once(
        self, request: Request, act: Callable[[object, str], Awaitable[dict[str, Any]]]
    ) -> Response:
        """Answer, from memory if the request was answered before.

        `act` is given the body, and a key of this request, which another process may know.
        """
        key = request.headers.get("idempotency-key")
        raw = await request.body()
        digest = hashlib.sha256(b"\n".join((request.raw_path.encode(), raw))).digest()
        try:
            while key is not None and (first := self._under_way.get(key)) is not None:
                await asyncio.wait((first,))  # which this may repeat
            if key is not None and (known := self._keys.find(key, digest)) is not None:
                return known
        except CallError as exc:
            return error_response(exc.status, exc.reason)
        if key is None:
            return await self._answer(act, raw, "")
        self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            response = await self._answer(act, raw, f"{key} {digest.hex()}")
            self._keys.keep(key, digest, response)
        finally:
            self._under_way.pop(key).set_result(None)
        return response

    async def _answer(
        self, act: Callable[[object, str], Awaitable[dict[str, Any]]], raw: bytes, key: str
    ) -> Response:
        try:
            return Response(await act(_json_body(raw), key))
        except CallError as exc:
            return error_response(exc.status, exc.reason)

    # Rooms.

    async def info(self, request: Request) -> dict[str, Any]:
        """GET /api/info"""
        return await self._stats.info()

    async def connections(self, request: Request) -> dict[str, Any]:
        """GET /api/connections: those whose id, user, address or route has `search` in it."""
        found = await self._operated.find(request.query.get("search", "")[:MAX_TEXT], MOST)
        return {"connections": found.connections, "more": found.has_more}

    async def streams(self, request: Request) -> dict[str, Any]:
        """GET /api/streams: the rooms that remember most"""
        return {"streams": self._operated.streams(MOST)}

    async def timeline(self, request: Request) -> dict[str, Any]:
        """GET /api/timeline: the figures of the last ten minutes"""
        return self._stats.timeline.columns()

    async def rooms(self, request: Request) -> dict[str, Any]:
        """GET /api/rooms"""
        sizes = await self._operated.rooms()
        return {"rooms": [{"name": name, "size": size} for name, size in sizes.items()]}

    async def room(self, request: Request) -> dict[str, Any]:
        """GET /api/rooms/NAME"""
        name = request.path_params["name"]
        room = await self._operated.room(name)
        if room is None:
            raise Reject(404, {"error": "no such room"})
        return {"name": name, "size": len(room.members), **room._asdict()}

    async def presence(self, request: Request) -> dict[str, Any]:
        """GET /api/rooms/NAME/presence: members are listed up to the same number as for clients."""
        name = request.path_params["name"]
        if not self._operated.shows(name):
            raise Reject(404, {"error": "this room has no presence"})
        (clients, users), members = await self._operated.presence(name)
        shown = [each._asdict() for each in members[:LISTED]]
        return {"clients": clients, "users": users, "members": shown}

    async def history(self, request: Request) -> Response:
        """GET /api/rooms/NAME/history: what the room keeps, as `history` answers a client."""
        room = self._with_history(request)
        ask = ask_of(request, self._history_answer)
        return written(await self._operated.history(room, ask), room)

    async def delete_history(self, request: Request) -> dict[str, Any]:
        """DELETE /api/rooms/NAME/history: what is kept goes; the position, the answer, stays."""
        room = self._with_history(request)
        position = await self._operated.remove_history(room)
        _log_action(request, "delete history", {"room": room}, {})
        return position._asdict()

    def _with_history(self, request: Request) -> str:
        name = request.path_params["name"]
        if not self._operated.remembers(name):
            raise Reject(404, {"error": "no such room with a history"})
        return name

    async def put_metadata(self, request: Request) -> Response:
        """PUT /api/rooms/NAME/metadata: replaces it; a room that is not there is made."""
        name = request.path_params["name"]
        try:
            body = _json_body(await request.body())
        except CallError as exc:
            return error_response(exc.status, exc.reason)
        if not isinstance(body, dict):
            return error_response(400, "expected a JSON object")
        try:
            is_done = await self._operated.describe_room(name, body)
        except ValueError as exc:
            return error_response(400, str(exc))
        if is_done:
            _log_action(request, "metadata", {"room": name}, {})
        return Response(body)


def _json_body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise CallError(400, "request body is not valid JSON") from None


def _log_action(request: Request, call: str, params: Any, result: Mapping[str, Any]) -> None:
    """Say what an operator did, and to whom; message contents and tokens never."""
    level = logging.DEBUG if call in ROUTINE else logging.INFO
    named = {name: brief(params[name]) for name in NAMED if name in params}
    log(SERVER, level, "operator's call", call=call, remote=request.remote, **named, **result)
