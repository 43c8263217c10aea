"""A request: its head in one bytes object, taken apart only as far as someone looks.

An idle WebSocket connection keeps nothing but `Request._kept`, which is the head, and what a proxy
said where one has; `Request._from_head` makes a request of it again. `head.parse_head` is the
strict way in, for bytes nobody has judged yet.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .. import json
from ..errors import Reject
from . import parsers
from .headers import Headers, Query, parse_cookies
from .tls import Tls

if TYPE_CHECKING:
    from .forms import FormData
    from .incoming import IncomingBody

_ABSOLUTE = re.compile(r"(?:https?|wss?)://([^/?#]+)(/[^?]*)?(?:\?(.*))?", re.IGNORECASE)
_OF_THE_LINE = {"method", "target", "http_version", "_authority", "raw_path", "query_string"}
# What a browser adds by itself: a page's own code can set neither, and Bearer only code can.
_CREDENTIALS = re.compile(rb"cookie:|authorization:(?![ \t]*bearer[ \t])", re.IGNORECASE)
# Host, key, origin, subprotocols and extensions, as of `core.read_plain_upgrade`.
PlainUpgrade: TypeAlias = "tuple[str, str, str | None, list[str], list[str]]"
# A head; with the scheme, the host (None: the head's) and whether TLS tells nothing of the peer,
# where the head alone does not say so.
Kept: TypeAlias = "bytes | tuple[bytes, str, str | None, bool]"

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def split_target(target: str) -> tuple[str | None, str, str]:
    """Authority (of the absolute form only), path and query of a target, nothing decoded.

    ValueError unless it has origin, absolute or asterisk form (RFC 9112 §3.2).
    """
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return None, path, query
    if target == "*":
        return None, "*", ""
    if match := _ABSOLUTE.fullmatch(target):
        authority, path, query = match.groups()
        return authority, path or "/", query or ""
    raise ValueError("malformed request target")


def percent_decode(text: str) -> str:
    """`text` with its escapes decoded once; ValueError unless they are whole and spell UTF-8."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise ValueError("malformed percent-encoding")
    try:
        # Quoted-printable (RFC 2045) escapes alike with another sign, and C decodes it: thousands
        # of escapes in a twentieth of the time of `unquote_to_bytes`.
        return a2b_qp(text.encode().replace(b"=", b"=3D").replace(b"%", b"=")).decode()
    except UnicodeDecodeError:
        raise ValueError("percent-encoding is not UTF-8") from None


class ConnectCommand(NamedTuple):
    """The command by which a client of the Centrifuge protocol has introduced itself.

    `token` is "" without one; `data` is a value of JSON, bytes where it is none, or None; `name`
    and `version` are the client library's.
    """

    token: str
    data: Any
    name: str
    version: str


class Request:
    """The request of a client.

    `remote` is the client's address as text, or None where there is none (a Unix socket); `scheme`
    is http or https, as the client asked for it; `tls` is
    its TLS session, None without one and after the connection's end;
    `path_params` are set by whoever routed the request, the body by whoever collects it.
    """

    __slots__ = (
        "_head", "remote", "scheme", "path_params", "tls",
        "method", "target", "http_version", "_authority", "raw_path", "query_string",
        "_plain_upgrade", "_headers", "_path", "_query", "_cookies", "_body", "_host", "_hides_tls",
        "_form", "_incoming", "_connect",
    )  # fmt: skip

    _head: bytes
    remote: str | None
    """The client's address as text; None where there is none, as on a Unix socket."""
    scheme: str
    """The scheme, http or https, as the client asked for it."""
    path_params: Mapping[str, str]
    """What stands in the place of the route's parameters, percent-decoded."""
    tls: Tls | None
    """The session, with the client's certificate; None without TLS."""
    method: str
    """The method, in capitals."""
    target: str
    """The target as it stands in the request line."""
    http_version: str
    """1.1 or 1.0."""
    _authority: str | None  # of an absolute target
    raw_path: str
    """The path as sent, its escapes not decoded, without the query."""
    query_string: str
    """What follows the "?", as sent."""
    _connect: ConnectCommand  # of a client of the Centrifuge protocol, else unset

    def __init__(self, head: bytes, remote: str | None = None) -> None:
        self._head = head
        self.remote = remote
        self.scheme = "http"
        self.path_params = {}
        self.tls = None
        self._plain_upgrade: PlainUpgrade | None = None  # where the core has read it
        self._headers: Headers | None = None
        self._path: str | None = None
        self._query: Query | None = None
        self._cookies: dict[str, str] | None = None
        self._body = b""
        self._incoming: IncomingBody | None = None  # where it has not come yet
        self._form: FormData | None = None  # once it was read
        self._host: str | None = None  # as a trusted proxy was asked for it
        self._hides_tls = False  # whether the client's certificate is to be forgotten

    @classmethod
    def _from_head(cls, kept: Kept, remote: str | None = None, tls: Tls | None = None) -> Request:
        """A request of a head that `parse_head` has accepted before; parsed when looked at.

        `tls` is the connection's.
        """
        if isinstance(kept, bytes):
            request = _UnreadRequest(kept, remote)
        else:
            request = _UnreadRequest(kept[0], remote)
            request.scheme, request._host, request._hides_tls = kept[1:]
        request.tls = None if request._hides_tls else tls
        return request

    @property
    def _kept(self) -> Kept:
        """Return what `_from_head` needs, in as few bytes as can be."""
        host = self._host
        if host is not None and host == self._host_of_head():  # as most proxies have it
            host = None
        if host is None and self.scheme == "http" and not self._hides_tls:
            return self._head
        return self._head, self.scheme, host, self._hides_tls

    def _forward(self, remote: str | None, scheme: str | None, host: str | None) -> None:
        """Note who asked for what, as far as trusted proxies have told."""
        self.remote = remote
        self.scheme = scheme or self.scheme
        self._host = host

    def _set_line(self, method: str, target: str, http_version: str) -> None:
        """Fill in what the request line says; ValueError for a target that is none."""
        self.method = method
        self.target = target
        self.http_version = http_version
        self._authority, self.raw_path, self.query_string = split_target(target)

    @property
    def headers(self) -> Headers:
        """The header fields."""
        if self._headers is None:
            self._headers = Headers(parsers.read_fields(self._head))
        return self._headers

    @property
    def path(self) -> str:
        """The path, percent-decoded once."""
        if self._path is None:
            self._path = percent_decode(self.raw_path)
        return self._path

    @property
    def query(self) -> Query:
        """The parameters of the query string, decoded."""
        if self._query is None:
            self._query = Query(self.query_string)
        return self._query

    @property
    def host(self) -> str:
        """Host and port asked for: an absolute target's, else the Host field's (RFC 9112 §3.3).

        Behind a trusted proxy it is the host that the proxy was asked for, where it tells.
        """
        return self._host_of_head() if self._host is None else self._host

    def _host_of_head(self) -> str:
        if self._authority is not None:
            return self._authority
        if self._plain_upgrade is not None:
            return self._plain_upgrade[0]
        host = self.headers.raw(b"host")
        return "" if host is None else host.decode("latin-1")

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies sent along."""
        if self._cookies is None:
            self._cookies = parse_cookies(self.headers.getlist("cookie"))
        return self._cookies

    @property
    def _keep_alive(self) -> bool:
        """Return whether the client lets the connection serve further requests (RFC 9112 §9.3)."""
        headers = self._headers
        if headers is None:
            headers = self.headers
        if headers.raw(b"connection") is None:
            return self.http_version == "1.1"
        tokens = headers.tokens("connection")
        return "close" not in tokens and (self.http_version == "1.1" or "keep-alive" in tokens)

    @property
    def _content_length(self) -> int | None:
        """The announced size of the body in bytes, None when the head does not say."""
        value = self.headers.raw(b"content-length")
        return None if value is None else int(value)

    @property
    def _is_chunked(self) -> bool:
        """Return whether the body is chunked (RFC 9112 §7.1), the only transfer coding accepted."""
        return self.headers.raw(b"transfer-encoding") is not None

    @property
    def _has_body(self) -> bool:
        """Return whether bytes of a body follow the head."""
        headers = self._headers
        if headers is None:
            headers = self.headers
        raw = headers.raw
        if raw(b"content-length") is None and raw(b"transfer-encoding") is None:
            return False
        return self._is_chunked or bool(self._content_length)

    def _attach_body(self, body: bytes) -> None:
        """Give the request its complete body, before a handler sees it."""
        self._body = body

    def _attach_incoming(self, body: IncomingBody) -> None:
        """Give the request a body that has not come yet."""
        self._incoming = body

    def _drop_credentials(self) -> bool:
        """Forget cookies, passwords and the client's certificate; whether there were any."""
        fields = self._head[:-4].split(b"\r\n")
        kept = [field for field in fields if not _CREDENTIALS.match(field)]
        had_certificate = self.tls is not None and self.tls.identity is not None
        self._hides_tls, self.tls = self._hides_tls or self.tls is not None, None
        if len(kept) == len(fields):
            return had_certificate
        self._head = b"\r\n".join([*kept, b"", b""])
        self._headers = self._cookies = None
        return True

    async def body(self) -> bytes:
        """The whole body; empty when there is none.

        One that is larger than the route or `--max-body-size` allows is refused with 413, which
        `Reject` says. Raises ConnectionClosed when the client goes before it has sent all of it.
        """
        if self._incoming is not None:
            self._body = await self._incoming.whole()
            self._incoming = None
        return self._body

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come, of any size: what is not taken is not sent.

        Only the route's own `max_body` bounds it. Raises what `body` raises.
        """
        if self._incoming is None:
            if self._body:
                yield self._body
            return
        while piece := await self._incoming.read():
            yield piece

    async def form(
        self, *, max_files: int = 100, max_fields: int = 1000, max_part_size: int = 1024 * 1024
    ) -> FormData:
        """The fields and files of a form that was sent, urlencoded or as multipart/form-data.

        Multipart needs the extra `forms`; ConfigError without it. A body that is no form is refused
        with 415 or 400. 413 refuses more than `max_files`, more than `max_fields`, a field of more
        than `max_part_size` bytes, and a body that is larger than `body` would take. Files of more
        than 1 MiB together are on disk while someone holds them.
        """
        if self._form is None:
            from .forms import Bounds, read_form  # for those who take forms

            self._form = await read_form(self, Bounds(max_files, max_fields, max_part_size))
        return self._form

    async def _pieces(self) -> AsyncIterator[bytes]:
        """As `stream`, within the size that `body` keeps to."""
        if self._incoming is None:
            if self._body:
                yield self._body
            return
        while piece := await self._incoming.read_bounded():
            yield piece

    async def json(self) -> Any:
        """The body read as JSON; a body that is not JSON is refused with status 400."""
        try:
            return json.loads(await self.body())
        except ValueError:
            raise Reject(400, {"error": "request body is not valid JSON"}) from None

    @property
    def connect(self) -> ConnectCommand | None:
        """In `authenticate`, how a client of the Centrifuge protocol connects; None for others."""
        return getattr(self, "_connect", None)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.raw_path}>"  # no query: that may hold a token


class _UnreadRequest(Request):
    """A request whose request line is taken apart when someone looks.

    Not `Request` itself: with a `__getattr__` every look at an attribute costs more, found or not.
    """

    __slots__ = ()

    if not TYPE_CHECKING:  # a checker would take any name for an attribute

        def __getattr__(self, name: str) -> object:
            # Called for a slot that is still empty: those that `_set_line` fills.
            if name in _OF_THE_LINE:
                line = self._head[: self._head.index(b"\r\n")].decode("ascii")
                method, target, version = line.split(" ")
                self._set_line(method, target, version.removeprefix("HTTP/"))
            else:
                raise AttributeError(f"'Request' object has no attribute {name!r}")
            return getattr(self, name)
