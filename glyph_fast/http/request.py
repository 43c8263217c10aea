"""A request: its head in one bytes object, taken apart only as far as someone looks.

An idle WebSocket connection keeps nothing but `Request.head`; `Request.from_head` makes a request
of it again. `head.parse_head` is the strict way in, for bytes nobody has judged yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from .. import json
from ..errors import Reject
from . import parsers
from .headers import Headers, Query, parse_cookies

_ABSOLUTE = re.compile(r"(?:https?|wss?)://([^/?#]+)(/[^?]*)?(?:\?(.*))?", re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Target(NamedTuple):
    """A request target in its parts, nothing decoded (RFC 9112 §3.2)."""

    authority: str | None  # only of the absolute form
    path: str
    query: str


def split_target(target: str) -> Target:
    """The parts of a target in origin, absolute or asterisk form; ValueError for anything else."""
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return Target(None, path, query)
    if target == "*":
        return Target(None, "*", "")
    if match := _ABSOLUTE.fullmatch(target):
        authority, path, query = match.groups()
        return Target(authority, path or "/", query or "")
    raise ValueError("malformed request target")


def percent_decode(text: str) -> str:
    """`text` with its escapes decoded once; ValueError unless they are whole and spell UTF-8."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise ValueError("malformed percent-encoding")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise ValueError("percent-encoding is not UTF-8") from None


class Request:
    """What a client asked for.

    `remote` is the peer's address as text, or None where there is none (a Unix socket);
    `path_params` are set by whoever routed the request, `body` by whoever collected it.
    """

    __slots__ = (
        "head", "remote", "path_params",
        "_line", "_target", "_path", "_headers", "_query", "_cookies", "_body",
    )  # fmt: skip

    def __init__(
        self,
        head: bytes,
        remote: str | None = None,
        *,
        line: tuple[str, str, str] | None = None,
        target: Target | None = None,
        headers: Headers | None = None,
    ) -> None:
        self.head = head
        self.remote = remote
        self.path_params: Mapping[str, str] = {}
        self._line = line
        self._target = target
        self._path: str | None = None
        self._headers = headers
        self._query: Query | None = None
        self._cookies: dict[str, str] | None = None
        self._body = b""

    @classmethod
    def from_head(cls, head: bytes, remote: str | None = None) -> Request:
        """A request of a head that `parse_head` has accepted before; parsed when looked at."""
        return cls(head, remote)

    def _read_line(self) -> tuple[str, str, str]:
        line = self._line
        if line is None:
            method, target, version = (
                self.head[: self.head.index(b"\r\n")].decode("ascii").split(" ")
            )
            line = self._line = (method, target, version[5:])
        return line

    def _read_target(self) -> Target:
        target = self._target
        if target is None:
            target = self._target = split_target(self._read_line()[1])
        return target

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return self._read_line()[0]

    @property
    def target(self) -> str:
        """The request target as it stands in the request line."""
        return self._read_line()[1]

    @property
    def http_version(self) -> str:
        """`1.1` or `1.0`."""
        return self._read_line()[2]

    @property
    def raw_path(self) -> str:
        """The path as sent, its escapes not decoded, without the query."""
        return self._read_target().path

    @property
    def path(self) -> str:
        """The path, percent-decoded once."""
        if self._path is None:
            self._path = percent_decode(self._read_target().path)
        return self._path

    @property
    def query_string(self) -> str:
        """What follows the `?`, as sent."""
        return self._read_target().query

    @property
    def query(self) -> Query:
        """The parameters of the query string, decoded."""
        if self._query is None:
            self._query = Query(self._read_target().query)
        return self._query

    @property
    def headers(self) -> Headers:
        """The header fields."""
        if self._headers is None:
            self._headers = Headers(parsers.read_fields(self.head))
        return self._headers

    @property
    def host(self) -> str:
        """Host and port asked for: an absolute target's, else the Host field's (RFC 9112 §3.3)."""
        authority = self._read_target().authority
        return self.headers.get("host", "") if authority is None else authority

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies sent along."""
        if self._cookies is None:
            self._cookies = parse_cookies(self.headers.getlist("cookie"))
        return self._cookies

    @property
    def keep_alive(self) -> bool:
        """Whether the client lets the connection serve further requests (RFC 9112 §9.3)."""
        value = self.headers.raw(b"connection")
        if value is None:
            return self.http_version == "1.1"
        tokens = self.headers.tokens("connection")
        return "close" not in tokens and (self.http_version == "1.1" or "keep-alive" in tokens)

    @property
    def content_length(self) -> int | None:
        """The announced size of the body in bytes, None when the head does not say."""
        value = self.headers.raw(b"content-length")
        return None if value is None else int(value)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks (RFC 9112 §7.1), the only transfer coding accepted."""
        return self.headers.raw(b"transfer-encoding") is not None

    @property
    def has_body(self) -> bool:
        """Whether bytes of a body follow the head."""
        return self.is_chunked or bool(self.content_length)

    def attach_body(self, body: bytes) -> None:
        """Give the request its complete body, before a handler sees it."""
        self._body = body

    async def body(self) -> bytes:
        """The whole body; empty when there is none."""
        return self._body

    async def json(self) -> Any:
        """The body read as JSON; a body that is not JSON is refused with status 400."""
        try:
            return json.loads(self._body)
        except ValueError:
            raise Reject(400, {"error": "request body is not valid JSON"}) from None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"
