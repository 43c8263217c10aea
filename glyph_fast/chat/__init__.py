"""The bundled chat: one page, and a program in Glyph that stores nothing.

`glyph-fast serve` without a target serves this. `main.glyph` beside this file is the relay: each
room a page has open is a WebSocket of its own at `/rooms/:room/:nick`. Python adds what the
language has no words for: the page with its policy, and that nobody joins a second room.
docs/chat.md lists the messages.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from glyph_fast import Config, Connection, GlyphServer, Request, Response, Server

PROGRAM = Path(__file__).with_name("main.glyph")
PAGE = Path(__file__).with_name("page") / "index.html"


def create_server(config: Config | None = None) -> GlyphServer:
    """A server of the chat: the page at `/`, the rooms at `/rooms/:room/:nick`."""
    server = GlyphServer(config)
    add_page(server)
    server.load(PROGRAM)

    @server.on_join()
    def refuse(conn: Connection, room: str) -> bool:
        # A connection speaks in the room of its address; "join_room" would let it listen unseen.
        return False

    return server


def add_page(server: Server, path: str = "/") -> None:
    """Serve the page of the chat at `path`; it looks for `rooms/…` beside itself.

    Its policy (CSP) allows the one script and the one style it contains and WebSockets to its own
    origin, nothing else; text can become neither markup nor code. A browser asks each time whether
    the page changed, and is answered 304 when not.
    """
    html = PAGE.read_text(encoding="utf-8")
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
