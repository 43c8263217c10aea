"""The JavaScript client library, handed out by the server (`--serve-client`).

`/glyph-fast.js` is a classic script with one global, `glyphFast`; `/glyph-fast.mjs` a module. Both
are built from `clients/javascript`, where the tests compare them with what the source gives.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from ..http.request import Request
from ..http.response import Response

FOLDER = Path(__file__).parent.parent / "javascript"
SCRIPT = "glyph-fast.js"
NAMES = (SCRIPT, "glyph-fast.mjs")


class ClientScript:
    """Answers requests for the library. Reads its files once, when it is made."""

    def __init__(self) -> None:
        self._files = {f"/{name}": _File((FOLDER / name).read_bytes()) for name in NAMES}

    def has(self, path: str) -> bool:
        """Return whether the library is at a path, as it stands in the request line."""
        return path in self._files

    def answer(self, request: Request) -> Response:
        """The answer to a GET or HEAD for one of `NAMES`, wherever that is."""
        return self._files[request.raw_path[request.raw_path.rindex("/") :]].answer(request)


class _File:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._etag = f'"{sha256(data).hexdigest()[:32]}"'
        self._headers = {
            # A browser asks each time and is told 304: a page never runs with the library of
            # another release of the server.
            "Cache-Control": "no-cache",
            "Content-Type": "text/javascript; charset=utf-8",
            "ETag": self._etag,
            "X-Content-Type-Options": "nosniff",
        }

    def answer(self, request: Request) -> Response:
        known = request.headers.get("if-none-match", "").split(",")
        if {"*", self._etag} & {
            tag.strip().removeprefix("W/") for tag in known
        }:  # RFC 9110 §13.1.2
            return Response(b"", 304, self._headers)
        return Response(self._data, 200, self._headers)
