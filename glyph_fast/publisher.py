"""Publishing from another process: Django, Flask, Celery, a cron job.

    with Publisher("http://127.0.0.1:9090", "TOKEN") as publisher:
        publisher.publish("news", {"title": "Hello"})

Speaks the server API of the operators' port through httpx, which the extra `publisher` installs.
`AsyncPublisher` has the same calls as coroutines.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import WeakKeyDictionary

from . import json
from .errors import GlyphFastError, needs
from .wire import NORMAL, SendResult

try:
    import httpx

    from .reading_time import bound_reads
except ModuleNotFoundError as exc:
    if exc.name != "httpx":
        raise
    needed = needs("glyph_fast.publisher", "httpx", "publisher")
    raise ModuleNotFoundError(needed, name="httpx") from None

TIMEOUT_S = 10.0
TRIES = 3  # of a request that found no server; its Idempotency-Key keeps it from acting twice
MAX_ANSWER = 64 * 2**20  # bytes; a list of some hundred thousand rooms fits
MAX_REASON = 500  # characters of what a server says about a refusal
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
        # What a server packs could unpack to any size.
        "headers": {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"},
        "timeout": timeout,
    }


class _Answer:
    """Collects one answer, of bounded size."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._content = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take some bytes of the body."""
        self._content += chunk
        if len(self._content) > MAX_ANSWER:
            raise PublishError("the answer does not end", self._response.status_code)

    def result(self) -> Any:
        """The JSON of an answer that is no refusal."""
        status = self._response.status_code
        try:
            answer = json.loads(bytes(self._content))
        except ValueError:
            raise PublishError("the answer is not JSON", status) from None
        if status != 200:
            said = answer.get("error") if isinstance(answer, dict) else None
            reason = said if isinstance(said, str) and said else self._response.reason_phrase
            raise PublishError(_plain(reason), status)
        return answer


def _plain(text: str) -> str:
    """A reason that somebody else has written, for a log or a terminal."""
    return "".join(char if char.isprintable() else " " for char in text[:MAX_REASON])


T = TypeVar("T")


def _member(answer: object, name: str, kind: type[T]) -> T:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise PublishError(f"the answer is not of this API: it has no {name!r} ({kind.__name__})")
    return value


def _object(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise PublishError("the answer is not of this API: it is not an object")
    return answer


def _sent(answer: object) -> SendResult:
    fates = [_member(answer, name, int) for name in _FIELDS]
    pending = isinstance(answer, dict) and answer.get("pending") is True
    return SendResult(*fates, pending=pending)


def _closed(answer: object) -> int:
    return _member(answer, "closed", int)


class Publisher:
    """Calls the server API of the operators' port at `url`.

    Threads may share one, and so may processes that are forked: each has connections of its own.
    Every call raises PublishError when the server refuses it, cannot be reached or answers what is
    not of this API, and TypeError or ValueError for data that JSON cannot hold. `timeout` is in
    seconds: for connecting, for each piece that is sent, and for all of an answer.
    """

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT_S) -> None:
        self._options = _client_options(url, token, timeout)
        # By process. A client whose connections are another process's is not even closed here: a
        # lock in it may have been held when we were forked.
        self._clients = {os.getpid(): self._new_client()}

    def _new_client(self) -> httpx.Client:
        client = httpx.Client(**self._options)
        bound_reads(client)
        return client

    def _client(self) -> httpx.Client:
        pid = os.getpid()
        return self._clients.get(pid) or self._clients.setdefault(pid, self._new_client())

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
        return _closed(self._do(_Call.close(who, code, reason)))

    def close_room(self, room: str, *, code: int = NORMAL, reason: str = "") -> int:
        """Close the connections of a room's members and forget the room; how many were closed."""
        return _closed(self._do(_Call.close_room(room, code, reason)))

    def set_metadata(self, room: str, metadata: Mapping[str, Any]) -> None:
        """Replace what is noted about a room, which is made if need be; `{}` forgets it."""
        self._do(_Call.set_metadata(room, metadata))

    def info(self) -> dict[str, Any]:
        """Tell which version runs, since when, and how many connections and rooms there are."""
        return _object(self._do(_Call("GET", "/api/info")))

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
        return _object(self._do(_Call("GET", f"/api/rooms/{quote(name, safe='')}")))

    def close(self) -> None:
        """Close its connections to the server."""
        self._client().close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _do(self, call: _Call) -> Any:
        with _errors_of_ours():
            for left in reversed(range(TRIES)):
                try:
                    return self._try(call)
                except httpx.TransportError:
                    if not left:
                        raise

    def _try(self, call: _Call) -> Any:
        with self._client().stream(
            call.method, call.path, content=call.body, headers=call.headers
        ) as response:
            answer = _Answer(response)
            for chunk in response.iter_raw():
                answer.feed(chunk)
        return answer.result()


class AsyncPublisher:
    """`Publisher` for asyncio: the same calls as coroutines, in any loop of any process."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT_S) -> None:
        self._options = _client_options(url, token, timeout)
        httpx.Request("GET", url, headers=self._options["headers"])  # raises here what is wrong
        self._clients: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[int, httpx.AsyncClient]
        ] = WeakKeyDictionary()

    def _client(self) -> httpx.AsyncClient:
        """The client of this loop in this process: its connections belong to both."""
        loop, pid = asyncio.get_running_loop(), os.getpid()
        owner, client = self._clients.get(loop, (0, None))
        if client is None or owner != pid:
            client = httpx.AsyncClient(**self._options)
            bound_reads(client)
            self._clients[loop] = pid, client
        return client

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
        return _closed(await self._do(_Call.close(who, code, reason)))

    async def close_room(self, room: str, *, code: int = NORMAL, reason: str = "") -> int:
        """See `Publisher.close_room`."""
        return _closed(await self._do(_Call.close_room(room, code, reason)))

    async def set_metadata(self, room: str, metadata: Mapping[str, Any]) -> None:
        """See `Publisher.set_metadata`."""
        await self._do(_Call.set_metadata(room, metadata))

    async def info(self) -> dict[str, Any]:
        """See `Publisher.info`."""
        return _object(await self._do(_Call("GET", "/api/info")))

    async def batch(self, calls: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """See `Publisher.batch`."""
        return _results(await self._do(_batch(calls)))

    async def rooms(self) -> dict[str, int]:
        """See `Publisher.rooms`."""
        return _sizes(await self._do(_Call("GET", "/api/rooms")))

    async def room(self, name: str) -> dict[str, Any]:
        """See `Publisher.room`."""
        return _object(await self._do(_Call("GET", f"/api/rooms/{quote(name, safe='')}")))

    async def close(self) -> None:
        """Close its connections to the server."""
        await self._client().aclose()

    async def __aenter__(self) -> AsyncPublisher:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _once(self, path: str, body: object) -> Any:
        """Post a call that must not be made twice, over a connection of its own."""
        call = _Call("POST", path, body)
        call.headers["Connection"] = "close"  # this loop may end with the call
        with _errors_of_ours():
            return _object(await self._try(call))

    async def _do(self, call: _Call) -> Any:
        with _errors_of_ours():
            for left in reversed(range(TRIES)):
                try:
                    return await self._try(call)
                except httpx.TransportError:
                    if not left:
                        raise

    async def _try(self, call: _Call) -> Any:
        async with self._client().stream(
            call.method, call.path, content=call.body, headers=call.headers
        ) as response:
            answer = _Answer(response)
            async for chunk in response.aiter_raw():
                answer.feed(chunk)
        return answer.result()


@contextmanager
def _errors_of_ours() -> Iterator[None]:
    """Turn what httpx raises about a server into a PublishError."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        why = _plain(str(exc)) or type(exc).__name__
        raise PublishError(f"no answer from the server: {why}") from exc


def _batch(calls: Iterable[tuple[str, Mapping[str, Any]]]) -> _Call:
    entries = [{"method": method, "params": dict(params)} for method, params in calls]
    return _Call("POST", "/api/batch", {"calls": entries})


def _results(answer: object) -> list[dict[str, Any]]:
    return [_object(each) for each in _member(answer, "results", list)]


def _sizes(answer: object) -> dict[str, int]:
    rooms = _member(answer, "rooms", list)
    return {_member(room, "name", str): _member(room, "size", int) for room in rooms}
