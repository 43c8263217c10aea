"""The bundled chat: one page, and a program in Glyph for rooms that remember.

`glyph-fast serve` without a target serves this. `main.glyph` beside this file is the relay: each
room a page has open is a WebSocket of its own at `/rooms/:room/:nick`. Python adds what the
language has no words for: the page with its policy, what rooms keep, and that nobody joins a second
one. docs/chat.md lists the messages.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from glyph_fast import Config, Connection, GlyphServer, Request, Response, Server

from ..http.policy import content_security_policy
from ..opening.client_script import SCRIPT, ClientScript

PROGRAM = Path(__file__).with_name("main.glyph")
HISTORY = 200  # messages of a room that are kept, and
HISTORY_TTL = "1d"  # how long after the latest
RATE_LIMIT = "10/s:100"  # messages of one connection; more than anybody types
PAGE = Path(__file__).with_name("page") / "index.html"


def create_server(config: Config | None = None) -> GlyphServer:
    """A server of the chat: the page at `/`, the rooms at `/rooms/:room/:nick`."""
    server = GlyphServer(_limited(config or Config()).replace(serve_client=True))
    add_page(server)
    server.load(PROGRAM)

    # A connection speaks in the room of its address, and through the program: "join_room" would let
    # it listen unseen, "broadcast" speak without its name.
    server.room(
        "*", client_publish=False, history_size=HISTORY, history_ttl=HISTORY_TTL, presence=True
    )

    @server.on_join()
    def refuse(conn: Connection, room: str) -> bool:
        return False  # also where an operator's list turns the words on for all rooms

    return server


def _limited(config: Config) -> Config:
    """The options with a limit of messages: each goes to everybody, so nobody may send at will."""
    return config if config.rate_limit is not None else config.replace(rate_limit=RATE_LIMIT)


def add_page(server: Server, path: str = "/") -> None:
    """Serve the page of the chat at `path`, and the client library that it uses beside it.

    It looks for `rooms/…` there, too. Its policy (CSP) allows the one script and the one style it
    contains, the library, and WebSockets to its own origin, nothing else; text can become neither
    markup nor code. A browser asks each time whether it changed, and is answered 304 when not.
    """
    server.get(path[: path.rindex("/") + 1] + SCRIPT)(ClientScript().answer)
    html = PAGE.read_text(encoding="utf-8")
    etag = f'"{sha256(html.encode()).hexdigest()[:32]}"'
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": content_security_policy(html),
        "Content-Type": "text/html; charset=utf-8",
        "Cross-Origin-Opener-Policy": "same-origin",
        "ETag": etag,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    @server.get(path)
    def page(request: Request) -> Response:
        known = request.headers.get("if-none-match", "").split(",")
        if {"*", etag} & {tag.strip().removeprefix("W/") for tag in known}:  # RFC 9110 §13.1.2
            return Response(b"", 304, headers)
        return Response(html, 200, headers)
