"""The bundled chat: one page, and a relay that stores nothing.

`glyph-fast serve` without a target serves this. Each room a page has open is a WebSocket of its own
at `/rooms/:room/:nick`; the server passes on what its members say and forgets it. Who is in a room
is told by the members themselves: a newcomer asks `who`, the others answer `here`. docs/chat.md
lists the messages.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from glyph_fast import (
    Config,
    Connection,
    GlyphFastError,
    MessageContext,
    MessageType,
    Reject,
    Request,
    Response,
    Server,
)

ROUTE = "/rooms/:room/:nick"
MAX_NAME = 32  # code points of a name or a room: at most 128 bytes of UTF-8
MAX_TEXT = 2000  # code points of one message

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def create_server(config: Config | None = None) -> Server:
    """A server of the chat: the page at `/`, the rooms at `/rooms/:room/:nick`."""
    server = Server(config)
    add_page(server)
    add_relay(server)
    return server


def add_page(server: Server, path: str = "/") -> None:
    """Serve the page of the chat at `path`; it looks for `rooms/…` beside itself.

    Its policy (CSP) allows the one script and the one style it contains and WebSockets to its own
    origin, nothing else; text can become neither markup nor code. A browser asks each time whether
    the page changed, and is answered 304 when not.
    """
    html = files(__package__).joinpath("index.html").read_text(encoding="utf-8")
    etag = f'"{sha256(html.encode()).hexdigest()[:32]}"'
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _content_security_policy(html),
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


def add_relay(server: Server) -> None:
    """Pass on what the members of a room say, stamped with who said it.

    The room hears itself: a sender gets its own message back, which tells it that the message
    arrived and where in the order of the room it stands.
    """

    def publish(conn: Connection, room: str, kind: str, **more: object) -> None:
        message = {"type": kind, "id": conn.id, "name": conn.path_params["nick"], **more}
        server.hub.broadcast_json_to_room(room, message)

    @server.on_connect(route=ROUTE)
    def enter(conn: Connection) -> None:
        room, nick = conn.path_params["room"], conn.path_params["nick"]
        if not _is_name(room) or not _is_name(nick):
            raise Reject(400, f"a room and a name have 1 to {MAX_NAME} visible characters")
        try:
            conn.join_room(room)
        except GlyphFastError as exc:  # the room is full, or there are too many
            raise Reject(403, str(exc)) from exc
        conn.send_json({"type": "welcome", "id": conn.id, "name": nick, "room": room})
        publish(conn, room, "joined")

    @server.on_message(MessageType.JSON, route=ROUTE)
    def relay(ctx: MessageContext) -> None:
        room = ctx.conn.path_params["room"]
        match ctx.message.data:
            case {"type": "who" | "here" | "typing" as kind}:  # the word only; we add who it was
                publish(ctx.conn, room, kind)
            case {"type": "say", "text": str(text)} if 0 < len(text) <= MAX_TEXT:
                publish(ctx.conn, room, "say", text=text, time=int(time.time()))

    @server.on_disconnect(route=ROUTE)
    def leave(conn: Connection) -> None:
        for room in conn.get_rooms():  # none, if it was refused
            publish(conn, room, "left")

    @server.on_join()
    def refuse(conn: Connection, room: str) -> bool:
        # A connection speaks in the room of its address; "join_room" would let it listen unseen.
        return False


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_NAME and not _CONTROL.search(text)


def _content_security_policy(html: str) -> str:
    """What the page may do. Its script and style are named by their hash, so no other would run."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_source_hash(html, 'script')}",
            f"style-src {_source_hash(html, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",  # an innerHTML would throw
            "trusted-types 'none'",
        )
    )


def _source_hash(html: str, element: str) -> str:
    """The CSP source of the only `element` in `html`: the hash of what stands between its tags."""
    (content,) = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
