"""Programs run without a server: a hub in memory, requests that are plain values.

world = World('@ GET /hello/:name { > "Hello, " + name }')
assert world.get("/hello/ada").json == "Hello, ada"

peer = World("@ ws /echo { on message { ws.send(input) } }").connect("/echo")
assert peer.says("hi") == ['"hi"']
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glyph_fast.errors import ConnectionClosed, RoomFull
from glyph_fast.glyph.runtime.failures import ProgramFailure
from glyph_fast.glyph.runtime.values import Failure, Headers, Stop
from glyph_fast.glyph.runtime.web import SERVER_ERROR, Endpoint, body_of
from glyph_fast.glyph.runtime.websocket import Site, SocketEvent
from glyph_fast.glyph.serving.host import HostFunction
from glyph_fast.glyph.serving.load import GlyphLoadError, load_source
from glyph_fast.glyph.serving.program import SocketEndpoint
from glyph_fast.glyph.syntax.diagnostics import Diagnostic
from glyph_fast.glyph.syntax.source import Source
from glyph_fast.http.router import Router


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    content: bytes
    content_type: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.content)


class FakeRequest:
    """A request as a plain value."""

    def __init__(
        self, method: str, target: str, headers: dict[str, str], body: bytes, remote: str | None
    ) -> None:
        self.method = method
        _, _, self.query_string = target.partition("?")
        self._headers = headers
        self.body = body
        self.remote = remote

    def header(self, name: str) -> str:
        found = (value for key, value in self._headers.items() if key.lower() == name.lower())
        return next(found, "")

    def headers(self) -> Headers:
        return Headers.of(self._headers.items())


@dataclass
class FakeHandshake:
    query_string: str
    headers: dict[str, str]


class FakeRoom:
    def __init__(self) -> None:
        self.members: list[FakePeer] = []

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[FakePeer]:
        return iter(self.members)


class FakeHub:
    """Connections and rooms; what is sent lies in the peers' `frames`."""

    max_members = 3

    def __init__(self) -> None:
        self.peers: dict[str, FakePeer] = {}
        self.rooms: dict[str, FakeRoom] = {}

    def broadcast(self, message: Any, exclude: str | None = None) -> None:
        for peer in self.peers.values():
            if peer.id != exclude and peer.is_open:
                peer.send(message)

    def _broadcast_json_text_to_room(self, room: str, message: Any) -> None:
        for peer in self.rooms.get(room, FakeRoom()):
            if peer.is_open:
                peer.send(message)

    def get_connection_count(self) -> int:
        return len(self.peers)

    def get_room_manager(self) -> FakeHub:
        return self

    def get_room(self, name: str) -> FakeRoom | None:
        return self.rooms.get(name)

    def get_room_names(self) -> list[str]:
        return list(self.rooms)


class FakePeer:
    """One connection of a world."""

    def __init__(self, world: World, route: SocketEndpoint, params: dict[str, str], target: str):
        self.world = world
        self.route = route
        self.params = params
        self.id = f"{len(world.hub.peers) + 1:032x}"
        self.is_open = True
        self.frames: list[str] = []
        self.closed: tuple[int, str] | None = None
        self.former: list[str] = []
        self.info = ""
        self.request = FakeHandshake(target.partition("?")[2], {"x-test": "yes", "Host": "h"})

    # What a program does with it.

    def send(self, message: Any) -> None:
        if not self.is_open:
            raise ConnectionClosed
        assert isinstance(message, str)
        self.frames.append(message)

    def _show_json(self, text: str) -> None:
        if len(text) > 4096:
            raise ValueError("too large")
        self.info = text

    def join_room(self, name: str) -> None:
        room = self.world.hub.rooms.setdefault(name, FakeRoom())
        if self not in room.members:
            if len(room) >= self.world.hub.max_members:
                raise RoomFull(name, self.world.hub.max_members)
            room.members.append(self)

    def leave_room(self, name: str) -> None:
        room = self.world.hub.rooms.get(name)
        if room is not None and self in room.members:
            room.members.remove(self)

    def get_rooms(self) -> list[str]:
        joined = [name for name, room in self.world.hub.rooms.items() if self in room.members]
        return joined or self.former

    def close(self, code: int, reason: str) -> None:
        self.is_open = False
        self.closed = (code, reason)

    # What the test does with it.

    def says(self, message: Any) -> list[str]:
        """Send a frame (a str as it is, else its JSON); the frames this peer got for it."""
        text = message if isinstance(message, str) else json.dumps(message)
        before = len(self.frames)
        self.event("message", text)
        return self.frames[before:]

    def event(self, name: str, received: str = "") -> None:
        """Run a handler; a failure goes to the world's `failures`, and to `on error`."""
        code = self.route.events.get(name)
        if code is None:
            return
        arguments = [self.params[parameter] for parameter in self.route.parameters]
        try:
            code(SocketEvent(self.world.site, self, received), self.id, *arguments)
        except Stop:
            pass
        except Exception as error:
            failure = self.world.failed(error)
            self.world.failures.append(failure)
            if name in ("connect", "message"):
                self.event("error", failure.text)

    def leaves(self) -> None:
        """End the connection as the server would."""
        self.is_open = False
        self.former = self.get_rooms()
        for name in self.former:
            self.leave_room(name)
        del self.world.hub.peers[self.id]
        self.event("disconnect")


@dataclass
class World:
    """A program and its hub."""

    text: str
    skip_unsupported: bool = False
    path: Path | None = None
    host: Iterable[HostFunction] = ()
    failures: list[ProgramFailure] = field(default_factory=list)

    def __post_init__(self) -> None:
        source = Source("app.glyph", self.text, self.path)
        self.program = load_source(source, skip_unsupported=self.skip_unsupported, host=self.host)
        self.hub = FakeHub()
        self.site = Site(self.hub)
        self.http: Router[Endpoint] = Router()
        self.ws: Router[SocketEndpoint] = Router()
        for endpoint in self.program.http:
            self.http.add(endpoint.method, endpoint.pattern, endpoint)
        for socket in self.program.sockets:
            self.ws.add(None, socket.pattern, socket)

    def request(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
        remote: str | None = "192.0.2.1",
    ) -> Answer:
        """Ask a route; `body` is bytes, or a value sent as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else dumps(body)
        match = self.http.match(method, target.partition("?")[0])
        assert match is not None, f"no route for {method} {target}"
        request = FakeRequest(method, target, headers or {}, content, remote)
        try:
            reply = match.target.answer(request, match.params, self.site)
            content, content_type = body_of(reply)
        except Exception as error:
            self.failures.append(self.failed(error))
            return Answer(500, dumps(SERVER_ERROR), "application/json", {})
        return Answer(reply.status, content, content_type, dict(reply.headers))

    def failed(self, error: Exception) -> ProgramFailure:
        """The failure of a handler; what is no failure of the program is one of the test."""
        if not isinstance(error, Failure | RecursionError):
            raise error
        return self.program.failure(error)

    def get(self, target: str, **rest: Any) -> Answer:
        """GET."""
        return self.request("GET", target, **rest)

    def post(self, target: str, body: Any = None, **rest: Any) -> Answer:
        """POST."""
        return self.request("POST", target, body=body, **rest)

    def connect(self, target: str) -> FakePeer:
        """Open a WebSocket."""
        match = self.ws.match(None, target.partition("?")[0])
        assert match is not None, f"no route for {target}"
        peer = FakePeer(self, match.target, dict(match.params), target)
        self.hub.peers[peer.id] = peer
        peer.event("connect")
        return peer


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def value_of(expression: str, before: str = "", declared: str = "") -> Any:
    """The value of an expression in a route; `before` are statements, `declared` are items."""
    world = World(f"{declared}\n@ GET /x {{\n{before}\n  > {{value: {expression}}}\n}}\n")
    answer = world.get("/x")
    assert not world.failures, world.failures
    return answer.json["value"]


def failure_of(expression: str, before: str = "", declared: str = "") -> str:
    """How an expression in a route fails."""
    world = World(f"{declared}\n@ GET /x {{\n{before}\n  > {{value: {expression}}}\n}}\n")
    assert world.get("/x").status == 500
    (failure,) = world.failures
    return failure.text


def problems(text: str) -> list[Diagnostic]:
    """Everything that is wrong with a program, warnings included."""
    try:
        return load_source(Source("app.glyph", text)).warnings
    except GlyphLoadError as error:
        return error.diagnostics


def headlines(text: str) -> list[str]:
    """The same, each as its first line."""
    return [found.headline() for found in problems(text)]
