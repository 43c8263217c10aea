"""Files of one directory, and nothing outside it, as HTTP answers (RFC 9110 §8.8, §13, §14)."""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from .headers import MAX_ELEMENTS, split_list
from .pieces import PIECE, FilePieces
from .request import Request, percent_decode
from .response import Response, error_response, http_date
from .router import relative_location

MAX_DEPTH = 256  # segments of a path
WELL_KNOWN = ".well-known"  # what every site may have at its root (RFC 8615)

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)
_TEXT_TYPES = {"application/javascript", "application/json", "image/svg+xml"}
_HEAD_SIZE = 1024  # bytes in which a file says how it is encoded, as the HTML standard has it
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
# What HTML, XML and style sheets say themselves; a charset of ours would overrule it.
_DECLARED = re.compile(
    rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([\w.:+-]+)"
    rb"|\A<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([\w.:+-]+)"
    rb'|\A@charset "([\w.:+-]+)"',
    re.IGNORECASE,
)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
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

    A file of more than `PIECE` bytes is read as its client reads it. Names that begin with a dot
    (save `/.well-known`, RFC 8615), paths with a slash too many, links that lead out of the
    directory, and anything but regular files do not exist here. ValueError when `directory` is
    none.
    """

    def __init__(self, prefix: str, directory: str | os.PathLike[str]) -> None:
        self.prefix = "/" + prefix.strip("/")
        self.directory = Path(directory).resolve()
        if not self.directory.is_dir():
            raise ValueError(f"static directory {str(directory)!r} does not exist")

    def covers(self, raw_path: str) -> bool:
        """Return whether a path is below the prefix, be there a file or not."""
        return self._parts(raw_path) is not None

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
        """Return whether a file, or a directory with an index, is at a path below the prefix."""
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
        if raw_path.endswith("//") or raw_path.count("/") > MAX_DEPTH:
            return None
        rest = raw_path[len(self.prefix.rstrip("/")) + 1 :].removesuffix("/")
        parts = [percent_decode(segment) for segment in rest.split("/")] if rest else []
        for index, part in enumerate(parts):
            is_well_known = part == WELL_KNOWN and index == 0 and self.prefix == "/"
            is_hidden = part.startswith(".") and not is_well_known
            if not part or is_hidden or re.search(r"[/\\\x00-\x1f\x7f]", part):
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
        path = request.raw_path
        location = relative_location(path, path + "/", request.query_string)
        return Response("", 308, {"Location": location})


def _respond_with(path: Path, request: Request) -> Response | None:
    try:
        file = open(path, "rb", buffering=0, opener=_open)
    except OSError:
        return None
    response = None
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            response = _respond_from(file, path, status, request)
    except OSError:
        return None
    finally:
        if response is None or response._pieces is None:
            file.close()
    return response


def _respond_from(file: BinaryIO, path: Path, status: os.stat_result, request: Request) -> Response:
    """The answer; when it leaves in pieces, the file is theirs."""
    size, modified = status.st_size, status.st_mtime
    headers = {
        "ETag": f'"{status.st_mtime_ns:x}-{size:x}"',
        "Last-Modified": http_date(modified),
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }
    if _is_another(request, headers["ETag"], modified):
        return error_response(412, "the file is not as you know it", headers)
    if _is_unchanged(request, headers["ETag"], modified):
        return Response(None, 304, headers)
    start, end, code = _range(request, headers, size)
    if code == 416:
        unsatisfied = {"Content-Range": f"bytes */{size}"}
        return error_response(416, "range is beyond the end of the file", unsatisfied)
    if code == 206:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Type"] = content_type(path, file.read(_HEAD_SIZE))
    if end - start > PIECE:
        return Response(FilePieces(file, start, end), code, headers)
    file.seek(start)
    return Response(file.read(end - start), code, headers)


def _open(path: str, flags: int) -> int:
    # The path is resolved: a link there now was put there since. And a pipe must not block us.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def content_type(path: Path, head: bytes = b"") -> str:
    """The media type of a file by its name.

    Text is UTF-8 unless `head`, how the file begins, says that it is something else: then it is
    left to that to say so.
    """
    kind = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
    if kind is None:
        return "application/octet-stream"
    is_text = kind.startswith("text/") or kind in _TEXT_TYPES
    return f"{kind}; charset=utf-8" if is_text and _is_utf8(head) else kind


def _is_utf8(head: bytes) -> bool:
    """Return whether a text that begins like that does not say it is encoded in another way."""
    if head.startswith(_UTF16_MARKS):
        return False
    match = _DECLARED.search(_COMMENT.sub(b"", head))
    return match is None or match.group(match.lastindex or 0).lower() in (b"utf-8", b"utf8")


def _is_another(request: Request, etag: str, modified: float) -> bool:
    """Return whether the client asks for another version only (RFC 9110 §13.1.1, §13.1.4)."""
    wanted = request.headers.getlist("if-match")
    if wanted:  # If-Unmodified-Since is then ignored; and a weak tag is never the same
        return not {etag, "*"}.intersection(_tags(wanted))
    since = _date(request.headers.get("if-unmodified-since"))
    return since is not None and int(modified) > since


def _is_unchanged(request: Request, etag: str, modified: float) -> bool:
    """Return whether the client's copy is still good (RFC 9110 §13.1.2, §13.1.3)."""
    known = request.headers.getlist("if-none-match")
    if known:  # If-Modified-Since is then ignored
        return bool({etag, "*"}.intersection(tag.removeprefix("W/") for tag in _tags(known)))
    since = _date(request.headers.get("if-modified-since"))
    return since is not None and int(modified) <= since


def _tags(values: list[str]) -> list[str]:
    return split_list(values, MAX_ELEMENTS)


def _date(value: str | None) -> float | None:
    """Seconds since the epoch; None for what is no date, or one beyond the clock, which is ignored.

    The two obsolete forms name no zone, or by a number: they mean UTC all the same (§5.6.7).
    """
    try:
        date = None if value is None else parsedate_to_datetime(value)
        return None if date is None else date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


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
