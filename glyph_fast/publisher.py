"""Publishing from another process: Django, Flask, Celery, a cron job.

    with Publisher("http://127.0.0.1:9090", "TOKEN") as publisher:
        publisher.publish("news", {"title": "Hello"})

Speaks the server API of the operators' port through httpx, which the extra `publisher` installs.
`AsyncPublisher` has the same calls as coroutines.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from . import json
from .errors import GlyphFastError
from .wire import NORMAL, SendResult

try:
    import httpx
except ModuleNotFoundError as exc:
    if exc.name != "httpx":
        raise
    needed = "glyph_fast.publisher needs httpx: pip install 'glyph-fast[publisher]'"
    raise ModuleNotFoundError(needed, name="httpx") from None

TIMEOUT_S = 10.0
TRIES = 3  # of a request that found no server; its Idempotency-Key keeps it from acting twice
_FIELDS = SendResult._fields


class PublishError(GlyphFastError):
    """The server refused a call, or did not answer; `status` is None when there was no answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason if status is None else f"{reason} (HTTP {status})")
        self.reason = reason
        self.status = status


class _Call:
    """A request to make: what both publishers have in common."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, method: str, path: str, body: object = None) -> None:
        self.method = method
        self.path = path
        self.body = None if body is None else json.dumps(body)
        self.headers = {"Content-Type": "application/json"}
        if method == "POST":
            self.headers["Idempotency-Key"] = uuid.uuid4().hex

    @classmethod
    def publish(cls, room: str | Iterable[str], data: Any, exclude: Iterable[str]) -> _Call:
        to = {"room": room} if isinstance(room, str) else {"rooms": list(room)}
        return cls("POST", "/api/publish", {**to, "data": data, "exclude": list(exclude)})

    @classmethod
    def close(cls, who: Mapping[str, str | None], code: int, reason: str) -> _Call:
        return cls("POST", "/api/disconnect", {**_one(who), "code": code, "reason": reason})

    @classmethod
    def close_room(cls, room: str, code: int, reason: str) -> _Call:
        return cls("POST", "/api/close-room", {"room": room, "code": code, "reason": reason})

    @classmethod
    def set_metadata(cls, room: str, metadata: Mapping[str, Any]) -> _Call:
        return cls("PUT", f"/api/rooms/{quote(room, safe='')}/metadata", dict(metadata))

    @classmethod
    def send(cls, data: Any, who: Mapping[str, str | None]) -> _Call:
        return cls("POST", "/api/send", {**_one(who), "data": data})


def _one(who: Mapping[str, str | None]) -> dict[str, str]:
    given = {name: value for name, value in who.items() if value is not None}
    if len(given) != 1:
        raise TypeError(f"name one of {', '.join(who)}")
    return given


def _client_options(url: str, token: str, timeout: float) -> dict[str, Any]:
    return {
        "base_url": url,
        "headers": {"Authorization": f"Bearer {token}"},
        "timeout": timeout,
    }


def _result(response: httpx.Response) -> Any:
    try:
        answer = json.loads(response.content)
    except ValueError:
        raise PublishError("the answer is not JSON", response.status_code) from None
    if response.status_code != 200:
        reason = answer.get("error") if isinstance(answer, dict) else None
        raise PublishError(reason or response.reason_phrase, response.status_code)
    return answer


def _sent(answer: Mapping[str, int]) -> SendResult:
    return SendResult(*(answer[name] for name in _FIELDS))


class Publisher:
    """Calls the server API of the operators' port at `url`. Threads may share one.

    Every call raises PublishError when the server refuses it or cannot be reached, and TypeError or
    ValueError for data that JSON cannot hold. `timeout` is in seconds.
    """

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT_S) -> None:
        self._client = httpx.Client(**_client_options(url, token, timeout))

    def publish(
        self, room: str | Iterable[str], data: Any, *, exclude: Iterable[str] = ()
    ) -> SendResult:
        """Send the JSON of `data` to a room, or to several; a member of several receives once.

        `exclude` are ids of connections.
        """
        return _sent(self._do(_Call.publish(room, data, exclude)))

    def broadcast(self, data: Any) -> SendResult:
        """Send the JSON of `data` to every connection."""
        return _sent(self._do(_Call("POST", "/api/broadcast", {"data": data})))

    def send(
        self, data: Any, *, connection: str | None = None, user: str | None = None
    ) -> SendResult:
        """Send to one connection or to all of a user. PublishError (404) when there is none."""
        return _sent(self._do(_Call.send(data, {"connection": connection, "user": user})))

    def disconnect(
        self,
        *,
        connection: str | None = None,
        user: str | None = None,
        code: int = NORMAL,
        reason: str = "",
    ) -> int:
        """Close one connection or all of a user; the number of those closed."""
        who = {"connection": connection, "user": user}
        closed: int = self._do(_Call.close(who, code, reason))["closed"]
        return closed

    def close_room(self, room: str, *, code: int = NORMAL, reason: str = "") -> int:
        """Close the connections of a room's members and forget the room; how many were closed."""
        closed: int = self._do(_Call.close_room(room, code, reason))["closed"]
        return closed

    def set_metadata(self, room: str, metadata: Mapping[str, Any]) -> None:
        """Replace what is noted about a room, which is made if need be; `{}` forgets it."""
        self._do(_Call.set_metadata(room, metadata))

    def info(self) -> dict[str, Any]:
        """What runs, since when, and how many connections and rooms there are."""
        answer: dict[str, Any] = self._do(_Call("GET", "/api/info"))
        return answer

    def batch(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Do `(method, params)` calls in order, such as `("publish", {"room": R, "data": D})`.

        One that fails has `error` and `status` in its place.
        """
        return _results(self._do(_batch(calls)))

    def rooms(self) -> dict[str, int]:
        """The rooms with their sizes."""
        return _sizes(self._do(_Call("GET", "/api/rooms")))

    def room(self, name: str) -> dict[str, Any]:
        """Name, size, members and metadata of a room. PublishError (404) when there is none."""
        answer: dict[str, Any] = self._do(_Call("GET", f"/api/rooms/{quote(name, safe='')}"))
        return answer

    def close(self) -> None:
        """Close its connections to the server."""
        self._client.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _do(self, call: _Call) -> Any:
        for left in reversed(range(TRIES)):
            try:
                return _result(
                    self._client.request(
                        call.method, call.path, content=call.body, headers=call.headers
                    )
                )
            except httpx.TransportError as exc:
                if not left:
                    raise PublishError(f"no answer from the server: {exc}") from exc


class AsyncPublisher:
    """`Publisher` for asyncio: the same calls as coroutines."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT_S) -> None:
        self._client = httpx.AsyncClient(**_client_options(url, token, timeout))

    async def publish(
        self, room: str | Iterable[str], data: Any, *, exclude: Iterable[str] = ()
    ) -> SendResult:
        """See `Publisher.publish`."""
        return _sent(await self._do(_Call.publish(room, data, exclude)))

    async def broadcast(self, data: Any) -> SendResult:
        """See `Publisher.broadcast`."""
        return _sent(await self._do(_Call("POST", "/api/broadcast", {"data": data})))

    async def send(
        self, data: Any, *, connection: str | None = None, user: str | None = None
    ) -> SendResult:
        """See `Publisher.send`."""
        return _sent(await self._do(_Call.send(data, {"connection": connection, "user": user})))

    async def disconnect(
        self,
        *,
        connection: str | None = None,
        user: str | None = None,
        code: int = NORMAL,
        reason: str = "",
    ) -> int:
        """See `Publisher.disconnect`."""
        who = {"connection": connection, "user": user}
        closed: int = (await self._do(_Call.close(who, code, reason)))["closed"]
        return closed

    async def close_room(self, room: str, *, code: int = NORMAL, reason: str = "") -> int:
        """See `Publisher.close_room`."""
        closed: int = (await self._do(_Call.close_room(room, code, reason)))["closed"]
        return closed

    async def set_metadata(self, room: str, metadata: Mapping[str, Any]) -> None:
        """See `Publisher.set_metadata`."""
        await self._do(_Call.set_metadata(room, metadata))

    async def info(self) -> dict[str, Any]:
        """See `Publisher.info`."""
        answer: dict[str, Any] = await self._do(_Call("GET", "/api/info"))
        return answer

    async def batch(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """See `Publisher.batch`."""
        return _results(await self._do(_batch(calls)))

    async def rooms(self) -> dict[str, int]:
        """See `Publisher.rooms`."""
        return _sizes(await self._do(_Call("GET", "/api/rooms")))

    async def room(self, name: str) -> dict[str, Any]:
        """See `Publisher.room`."""
        call = _Call("GET", f"/api/rooms/{quote(name, safe='')}")
        answer: dict[str, Any] = await self._do(call)
        return answer

    async def close(self) -> None:
        """Close its connections to the server."""
        await self._client.aclose()

    async def __aenter__(self) -> AsyncPublisher:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _do(self, call: _Call) -> Any:
        for left in reversed(range(TRIES)):
            try:
                return _result(
                    await self._client.request(
                        call.method, call.path, content=call.body, headers=call.headers
                    )
                )
            except httpx.TransportError as exc:
                if not left:
                    raise PublishError(f"no answer from the server: {exc}") from exc


def _batch(calls: Iterable[tuple[str, Mapping[str, Any]]]) -> _Call:
    entries = [{"method": method, "params": dict(params)} for method, params in calls]
    return _Call("POST", "/api/batch", {"calls": entries})


def _results(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = answer["results"]
    return results


def _sizes(answer: Mapping[str, Any]) -> dict[str, int]:
    return {room["name"]: room["size"] for room in answer["rooms"]}
