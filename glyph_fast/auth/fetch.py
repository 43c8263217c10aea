"""Reading a set of keys from where it is. Blocks, so it is called in a thread."""

from __future__ import annotations

import time
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO
from urllib.request import HTTPRedirectHandler, Request, build_opener

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
    """What a GET of `url` answers, within `timeout` seconds. Raises OSError and ValueError.

    Redirects are followed, but never from https to http.
    """
    deadline = time.monotonic() + timeout
    headers = {
        "Accept": "application/jwk-set+json, application/json",
        "User-Agent": f"glyph-fast/{__version__}",
    }
    data = bytearray()
    try:
        with build_opener(_Redirects).open(Request(url, headers=headers), timeout=timeout) as file:
            while chunk := file.read1(CHUNK):
                data += chunk
                _check_size(len(data))
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no complete answer within {timeout:g} seconds")
    except HTTPException as exc:
        raise ValueError(f"malformed answer: {exc}") from exc
    return bytes(data)


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise ValueError(f"a set of keys is at most {MAX_SIZE} bytes")


class _Redirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise OSError("redirected from https to http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
