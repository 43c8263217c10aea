"""Small servers of another library, right and wrong, for the load generator to judge.

Each runs in a thread of the test process on the `websockets` library; `wrong` names what it does
that a server must not do.
"""

from __future__ import annotations

import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

_LOCK = threading.Condition()
_JOINING_S = 10.0  # for a client whose handshake is answered to be a member


class Foreign:
    """`/echo`, `/room/NAME` and `/idle`, spoken by a foreign library."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)
        self.coming: set[ServerConnection] = set()  # to a room, and perhaps told so already
        self.heard = 0

    def handle(self, ws: ServerConnection) -> None:
        """One connection, to its end."""
        path = ws.request.path if ws.request else ""
        if self.wrong == "greeting":
            ws.send("welcome")
            ws.send("and again")
        if path == "/echo":
            self.echo(ws)
        elif path.startswith("/room/"):
            self.member(ws, self.rooms[path])
        else:
            for _ in ws:
                pass

    def echo(self, ws: ServerConnection) -> None:
        """Answer, or what `wrong` says."""
        held: str | bytes | None = None
        for message in ws:
            self.heard += 1
            if self.wrong == "altered" and self.heard == 5:
                message = message[::-1]
            if self.wrong == "missing" and self.heard == 5:
                continue
            if self.wrong == "talking" and self.heard == 5:
                ws.send("by the way")
            if self.wrong == "closing" and self.heard == 5:
                return
            if self.wrong == "swapped":
                if held is None:
                    held = message
                    continue
                ws.send(message)
                message, held = held, None
            ws.send(message)

    def member(self, ws: ServerConnection, room: set[ServerConnection]) -> None:
        """Pass messages to the others; one at a time, so that all see the same order."""
        with _LOCK:
            room.add(ws)
            self.coming.discard(ws)
            _LOCK.notify_all()
        try:
            for message in ws:
                with _LOCK:
                    _LOCK.wait_for(lambda: not self.coming, _JOINING_S)
                    self.heard += 1
                    returns = self.wrong == "returning"
                    others = [other for other in room if returns or other is not ws]
                    for number, other in enumerate(others):
                        if self.wrong == "leaving one out" and self.heard == 5 and number == 0:
                            continue
                        other.send("zz" if self.wrong == "strange" else message)
        finally:
            with _LOCK:
                room.discard(ws)


@contextmanager
def serving(
    wrong: str = "", compression: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve for the length of the block; yields the URL's beginning, `ws://127.0.0.1:PORT`.

    `compression` is None or "deflate". With `tls` the URL means wss.
    """

    foreign = Foreign(wrong)

    def admit(ws: ServerConnection, request: Request) -> Response | None:
        if wrong == "refusing":
            return ws.respond(HTTPStatus.FORBIDDEN, "no\n")
        if request.path.startswith("/room/"):
            with _LOCK:
                foreign.coming.add(ws)
        return None

    server = serve(
        *(foreign.handle, "127.0.0.1", 0),
        compression=compression,
        process_request=admit,
        ssl=tls,
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        host, port = server.socket.getsockname()[:2]
        yield f"ws://{host}:{port}"
    finally:
        server.shutdown()
        thread.join(10)
