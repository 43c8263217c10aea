"""Forms that a page sent: fields and files, bounded in number, size and work.

A body is read in slices, and others have their turn between them. Text is kept in memory, up to
`MAX_TEXT` for all of a form; files are, up to `MAX_IN_MEMORY`, and beyond it on disk, written by a
thread. A file goes when nobody holds it, as memory does.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from ..errors import Reject
from .headers import MissingFromRequest
from .pieces import PIECE
from .resting import Resting

if TYPE_CHECKING:
    from .multipart import Parts
    from .request import Request

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MAX_TEXT = 10 * 1024 * 1024  # bytes of the fields of a form, with their names
MAX_IN_MEMORY = 1024 * 1024  # bytes of the files of a form
SLICE = 4 * 1024  # bytes that are read before the time is looked at
LONGEST = 6  # times the size of a part that a field has at most: a name and a value, all escaped

_BOUNDARY = re.compile(r';[ \t]*boundary=(?:"([^"]*)"|([^\s;,"]*))', re.IGNORECASE)
_BOUNDARY_TEXT = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")  # RFC 2046


class Bounds(NamedTuple):
    """The limits of a form: files, fields, and bytes in a field."""

    files: int
    fields: int
    part_size: int


class _Spool(SpooledTemporaryFile[bytes]):
    """A file that is closed when it goes, which is no mistake of whoever held it."""

    def __del__(self) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Close it, be it written or not: a full disk does not take what was buffered."""
        with suppress(OSError):
            self.close()


class UploadFile:
    """A file that was sent with a form.

    `filename` and `content_type` are the client's word: never make a path of the name. `size` is in
    bytes, and `file` a binary file for code that wants one; it is at its beginning.
    """

    __slots__ = ("filename", "content_type", "size", "file", "_is_on_disk")

    filename: str
    """The client's name for it, which may be anything: never make a path of it."""
    content_type: str | None
    """The type that the client gave it, None without one."""
    size: int
    """How many bytes came."""
    file: _Spool
    """A binary file for code that wants one; reading a large one waits for the disk."""

    def __init__(self, filename: str, content_type: str | None) -> None:
        self.filename = filename
        self.content_type = content_type
        self.size = 0
        self.file = _Spool()
        self._is_on_disk = False

    async def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that is left; empty at the end. Disks are waited for."""
        if self._is_on_disk:
            return await asyncio.to_thread(self.file.read, size)
        return self.file.read(size)

    async def seek(self, offset: int) -> None:
        """Go to a place, in bytes from the beginning."""
        self.file.seek(offset)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes from where it is, in pieces of at most 64 KiB."""
        while piece := await self.read(PIECE):
            yield piece

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to a file, which is made or replaced, without holding up the loop.

        A file of that path is there whole or as it was, also where the disk is full: then OSError
        is raised. A path that is a link or a device is written as it stands.
        """
        await asyncio.to_thread(self._save, path)

    async def close(self) -> None:
        """Have it gone now; without that it goes when nobody holds it."""
        self.file.close()

    def _save(self, path: str | os.PathLike[str]) -> None:
        self.file.seek(0)
        try:
            former = os.lstat(path)
        except OSError:  # it is made; or opening it says what is wrong
            former = None
        if former is not None and not stat.S_ISREG(former.st_mode):
            with open(path, "wb") as target:
                shutil.copyfileobj(self.file, target)
        else:
            self._replace(Path(os.fsdecode(path)), former)

    def _replace(self, path: Path, former: os.stat_result | None) -> None:
        beside = path.parent / f".{token_hex(8)}.upload"
        try:
            with open(beside, "xb") as target:
                shutil.copyfileobj(self.file, target)
            if former is not None:
                os.chmod(beside, stat.S_IMODE(former.st_mode))
            os.replace(beside, path)
        except BaseException as exc:
            with suppress(OSError):
                os.unlink(beside)
            if isinstance(exc, OSError) and exc.filename is not None:
                exc.filename, exc.filename2 = str(path), None
            raise

    def _write(self, data: bytes, *, to_disk: bool) -> None:
        if to_disk and not self._is_on_disk:
            self._is_on_disk = True
            self.file.rollover()
        self.file.write(data)

    def __repr__(self) -> str:
        return f"<UploadFile {self.filename!r}, {self.size} bytes>"


class FormData(Mapping[str, "str | UploadFile"]):
    """The fields and files of a form; `[]` and `get` give a name's first value.

    A name that the client left out is its mistake: `[]`, `text` and `file` then refuse the request
    with 400, as they do for a file in the place of a text.
    """

    __slots__ = ("_first", "_pairs")

    def __init__(self, pairs: list[tuple[str, str | UploadFile]]) -> None:
        self._pairs = pairs
        self._first = dict(reversed(pairs))

    def getlist(self, name: str) -> list[str | UploadFile]:
        """All values of a name, in the order they came."""
        return [value for key, value in self._pairs if key == name]

    def text(self, name: str) -> str:
        """The first value of a name, which is a text."""
        value = self[name]
        if isinstance(value, str):
            return value
        raise Reject(400, {"error": f"expected a text, found a file in form field {name!r}"})

    def file(self, name: str) -> UploadFile:
        """The first value of a name, which is a file."""
        value = self[name]
        if isinstance(value, UploadFile):
            return value
        raise Reject(400, {"error": f"expected a file, found a text in form field {name!r}"})

    async def close(self) -> None:
        """Have all files gone now; without that each goes when nobody holds it."""
        for _, value in self._pairs:
            if isinstance(value, UploadFile):
                await value.close()

    def __getitem__(self, name: str) -> str | UploadFile:
        try:
            return self._first[name]
        except KeyError:
            raise MissingFromRequest("form field", name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"<FormData {list(self)}>"


async def read_form(request: Request, bounds: Bounds) -> FormData:
    """The form in the body of a request. Raises what `Request.form` raises."""
    value = request.headers.get("content-type", "")
    kind = value.partition(";")[0].strip().lower()
    if kind == URLENCODED:
        return FormData(await _read_urlencoded(request, bounds))
    if kind == MULTIPART:
        from .multipart import Parts

        match = _BOUNDARY.search(value)
        boundary = (match.group(1) or match.group(2)) if match is not None else None
        if not boundary or not _BOUNDARY_TEXT.fullmatch(boundary):
            raise malformed("the Content-Type has no boundary, or none that may be")
        return FormData(await _read_multipart(request, Parts(boundary.encode(), bounds)))
    found = kind or "no Content-Type"
    raise Reject(415, {"error": f"expected {URLENCODED} or {MULTIPART}, found {found}"})


def malformed(why: str) -> Reject:
    """The refusal of what is no form."""
    return Reject(400, {"error": f"malformed form: {why}"})


def too_much(what: str, limit: int) -> Reject:
    """The refusal of a form that goes beyond a limit."""
    return Reject(413, {"error": f"form has more than {limit} {what}"})


async def _read_urlencoded(request: Request, bounds: Bounds) -> list[tuple[str, str | UploadFile]]:
    pairs: list[tuple[str, str | UploadFile]] = []
    field, size = bytearray(), 0
    async for piece in request._pieces():
        size += len(piece)
        if size > MAX_TEXT:
            raise too_much("bytes of text", MAX_TEXT)
        resting = Resting()
        for at in range(0, len(piece), SLICE):
            begun, *others = piece[at : at + SLICE].split(b"&")
            field += begun
            for other in others:
                if field:
                    await _add(pairs, field, bounds)
                field = bytearray(other)
            if len(field) > LONGEST * bounds.part_size + 1:  # whatever else is to come
                raise too_much("bytes in a field", bounds.part_size)
            await resting.rest()
    if field:
        await _add(pairs, field, bounds)
    return pairs


async def _add(pairs: list[tuple[str, str | UploadFile]], field: bytearray, bounds: Bounds) -> None:
    """Add a field that is written `name=value`."""
    if len(pairs) == bounds.fields:
        raise too_much("fields", bounds.fields)
    parts = [await _unescaped(each) for each in bytes(field).partition(b"=")[::2]]
    if max(map(len, parts)) > bounds.part_size:
        raise too_much("bytes in a field", bounds.part_size)
    name, value = (each.decode(errors="replace") for each in parts)
    pairs.append((name, value))


async def _unescaped(data: bytes) -> bytes:
    """Undo the escapes, one slice after the other: each takes an object, and time, of its own."""
    if len(data) <= SLICE:
        return unquote_to_bytes(data.replace(b"+", b" "))
    found, at, resting = bytearray(), 0, Resting()
    while at < len(data):
        end = at + SLICE
        if 0 <= (escape := data.find(b"%", end - 2, end)):  # which the next slice has whole
            end = escape
        found += unquote_to_bytes(data[at:end].replace(b"+", b" "))
        at = end
        await resting.rest()
    return bytes(found)


async def _read_multipart(request: Request, parts: Parts) -> list[tuple[str, str | UploadFile]]:
    """The names and values; the files of what is no whole form are closed at once."""
    writing: asyncio.Future[None] | None = None  # in a thread
    try:
        async for piece in request._pieces():
            resting = Resting()
            for at in range(0, len(piece), SLICE):
                parts.feed(piece[at : at + SLICE])
                await resting.rest()
            if parts.waits_for_disk:
                writing = asyncio.get_running_loop().run_in_executor(None, parts.write)
                await asyncio.shield(writing)  # a thread cannot be stopped
            else:
                parts.write()
        return parts.end()
    except BaseException as exc:
        if writing is None or writing.done():
            parts.close()
        else:
            writing.add_done_callback(parts.close)
        if isinstance(exc, OSError):
            exc.add_note("large files of forms are written where TMPDIR says")
        raise
    finally:
        parts.let_go()
