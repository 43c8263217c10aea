"""Reading a set of keys from where it is. Blocks, so it is called in a thread."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

from .. import __version__

TIMEOUT_S = 5.0
MAX_SIZE = 1024 * 1024  # bytes
CHUNK = 64 * 1024


def read_file(path: str) -> bytes:
    """The content of a file. Raises OSError, and ValueError when it is too large to be keys."""
    with Path(path).open("rb") as file:
        data = file.read(MAX_SIZE + 1)
    _check_size(len(data))
    return data


def fetch(url: str, timeout: float = TIMEOUT_S) -> bytes:
    """Return the answer to a GET of `url`, within `timeout` seconds. Raises OSError and ValueError.

    Redirects are followed to https, and from http to the same host.
    """
    headers = {
        "Accept": "application/jwk-set+json, application/json",
        "User-Agent": f"glyph-fast/{__version__}",
    }
    data = bytearray()
    opener = build_opener(_Redirects, _InTime(_Deadline(timeout)))
    try:
        with opener.open(Request(url, headers=headers), timeout=timeout) as file:
            while chunk := file.read1(CHUNK):
                data += chunk
                _check_size(len(data))
    except HTTPException as exc:
        raise ValueError(f"malformed answer: {exc}") from exc
    return bytes(data)


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise ValueError(f"a set of keys is at most {MAX_SIZE} bytes")


class _Deadline:
    """The time when all of it must be over: a time-out of sockets is one for each wait."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds that are left. Raises TimeoutError when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no complete answer within {self._seconds:g} seconds")
        return left


class _InTime(HTTPHandler, HTTPSHandler):
    """Connections that end at a deadline, even if a byte comes now and then."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        """Ask over a plain connection."""
        return self.do_open(partial(self._connection, HTTPConnection), req)

    def https_open(self, req: Request) -> HTTPResponse:
        """Ask over TLS, with the certificate verified."""
        return self.do_open(partial(self._connection, HTTPSConnection), req)

    def _connection(
        self, kind: Callable[..., HTTPConnection], host: str, **options: Any
    ) -> HTTPConnection:
        found = kind(host, **{**options, "timeout": self._deadline.left()})
        found.response_class = self._response  # type: ignore[assignment]
        return found

    def _response(self, sock: Any, *args: Any, **options: Any) -> HTTPResponse:
        return HTTPResponse(_Socket(sock, self._deadline), *args, **options)  # type: ignore[arg-type]


class _Socket:
    """A socket that an answer is read from: all that is asked of it is a file."""

    def __init__(self, sock: Any, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """The bytes that come, as a file."""
        return io.BufferedReader(_Bytes(self._sock, self._deadline))


class _Bytes(io.RawIOBase):
    def __init__(self, sock: Any, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        size: int = self._file.readinto(buffer)
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


class _Redirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        to = urlsplit(newurl)
        stays = to.scheme == req.type == "http" and to.hostname == urlsplit(req.full_url).hostname
        if to.scheme != "https" and not stays:  # who could read along could give us their keys
            raise OSError(f"redirected from {req.type} to {to.scheme} at {to.hostname}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
