"""Files of one directory, and nothing outside it, as HTTP answers (RFC 9110 §8.8, §13, §14)."""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from email.utils import parsedate_to_datetime
from pathlib import Path

from .request import Request, percent_decode
from .response import Response, error_response, http_date

MAX_FILE = 64 * 1024 * 1024  # bytes sent in one answer; of a larger file only ranges are served

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)
_TEXT_TYPES = {"application/javascript", "application/json", "image/svg+xml"}
# The table of the machine differs from place to place; these are what a web page is made of.
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class StaticFiles:
    """Serves the files below `directory` at the paths below `prefix`.

    A file is read whole into memory when it is asked for. Names that begin with a dot, links that
    lead out of the directory, and anything but regular files do not exist here. ValueError when
    `directory` is none.
    """

    def __init__(self, prefix: str, directory: str | os.PathLike[str]) -> None:
        self.prefix = "/" + prefix.strip("/")
        self.directory = Path(directory).resolve()
        if not self.directory.is_dir():
            raise ValueError(f"static directory {str(directory)!r} does not exist")

    def respond(self, request: Request) -> Response | None:
        """The answer to a GET or HEAD below the prefix, None for whatever is not served here."""
        if request.method not in ("GET", "HEAD"):
            return None
        parts = self._parts(request.raw_path)
        if parts is None or (path := self._resolve(parts)) is None:
            return None
        if not path.is_dir():
            return None if request.raw_path.endswith("/") else _respond_with(path, request)
        if not request.raw_path.endswith("/"):
            return self._redirect(request)
        index = self._resolve([*parts, "index.html"])
        return None if index is None else _respond_with(index, request)

    def has(self, raw_path: str) -> bool:
        """Whether there is a file, or a directory with an index, at a path below the prefix."""
        parts = self._parts(raw_path)
        path = None if parts is None else self._resolve(parts)
        if path is None or path.is_dir():
            return path is not None and self._resolve([*(parts or ()), "index.html"]) is not None
        return path.is_file() and not raw_path.endswith("/")

    def _parts(self, raw_path: str) -> list[str] | None:
        """The segments below the prefix, decoded, None unless each is a plain visible name."""
        if self.prefix != "/" and raw_path != self.prefix:
            if not raw_path.startswith(self.prefix + "/"):
                return None
        segments = raw_path[len(self.prefix) :].split("/")
        parts = [percent_decode(segment) for segment in segments if segment]
        for part in parts:
            if part.startswith(".") or re.search(r"[/\\\x00-\x1f\x7f]", part):
                return None
            if os.name == "nt" and ":" in part:  # a drive, or a stream of a file
                return None  # pragma: no cover - only there
        return parts

    def _resolve(self, parts: list[str]) -> Path | None:
        try:
            path = self.directory.joinpath(*parts).resolve(strict=True)
        except (OSError, RuntimeError):  # absent, unreadable, a name too long, a loop of links
            return None
        return path if path.is_relative_to(self.directory) else None

    def _redirect(self, request: Request) -> Response:
        # Relative, for a host name would have to be believed; never "//", which names another host.
        location = "/" + request.raw_path.strip("/") + "/"
        if request.query_string:
            location += "?" + request.query_string
        return Response("", 308, {"Location": location})


def _respond_with(path: Path, request: Request) -> Response | None:
    try:
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            size, modified = status.st_size, status.st_mtime
            headers = {
                "ETag": f'"{status.st_mtime_ns:x}-{size:x}"',
                "Last-Modified": http_date(modified),
                "Accept-Ranges": "bytes",
                "Content-Type": content_type(path),
                "X-Content-Type-Options": "nosniff",
            }
            if _is_unchanged(request, headers["ETag"], modified):
                del headers["Content-Type"]
                return Response(None, 304, headers)
            start, end, code = _range(request, headers, size)
            if code == 416:
                unsatisfied = {"Content-Range": f"bytes */{size}"}
                return error_response(416, "range is beyond the end of the file", unsatisfied)
            if end - start > MAX_FILE:
                return error_response(413, f"ask for ranges of at most {MAX_FILE} bytes")
            if code == 206:
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            file.seek(start)
            return Response(file.read(end - start), code, headers)
    except OSError:
        return None


def _open(path: str, flags: int) -> int:
    # The path is resolved: a link there now was put there since. And a pipe must not block us.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def content_type(path: Path) -> str:
    """The media type of a file by its name, with the charset where it is text."""
    kind = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
    if kind is None:
        return "application/octet-stream"
    is_text = kind.startswith("text/") or kind in _TEXT_TYPES
    return f"{kind}; charset=utf-8" if is_text else kind


def _is_unchanged(request: Request, etag: str, modified: float) -> bool:
    """Whether the client's copy is still good (RFC 9110 §13.1.2, §13.1.3)."""
    known = request.headers.getlist("if-none-match")
    if known:  # If-Modified-Since is then ignored
        tags = [tag.strip().removeprefix("W/") for tag in ",".join(known).split(",")]
        return etag in tags or "*" in tags
    since = request.headers.get("if-modified-since")
    try:
        return since is not None and int(modified) <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):  # no date, or one beyond the clock
        return False


def _range(request: Request, headers: dict[str, str], size: int) -> tuple[int, int, int]:
    """Begin and end of what to send, and the status: 200, 206, or 416 (RFC 9110 §14).

    What is not a single range of bytes is ignored, as is one whose If-Range names another file.
    """
    everything = (0, size, 200)
    condition = request.headers.get("if-range")
    if condition is not None and condition not in (headers["ETag"], headers["Last-Modified"]):
        return everything
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or match.group(0) == "bytes=-" or request.method != "GET":
        return everything
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return everything
    return (start, end, 206) if start < end else (0, 0, 416)
