"""The parts of a multipart body (RFC 7578), as python-multipart finds them.

The library finds boundaries and header fields; what they mean, how many there may be and where
their bytes go is decided here. Nothing is written to a file while it reads: `write` does that, in
a thread where the disk is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..errors import ConfigError, needs
from .forms import MAX_IN_MEMORY, MAX_TEXT, Bounds, UploadFile, malformed, too_much

MAX_FIELDS = 16  # header fields of a part
MAX_HEAD = 8 * 1024  # bytes of them

_QUIET = logging.Logger("glyph_fast.multipart", logging.CRITICAL + 1)  # what clients do wrong


class Parts:
    """Takes a body in slices. Raises Reject for what is malformed or too much."""

    def __init__(self, boundary: bytes, bounds: Bounds) -> None:
        self._bounds = bounds
        self._pairs: list[tuple[str, str | UploadFile]] = []
        self._files = self._fields = self._text_size = self._in_memory = 0
        self._is_begun = self._is_ended = False
        self._writes: list[tuple[UploadFile, bytes, bool]] = []  # file, data, whether to disk
        self._head: dict[bytes, bytes] = {}  # of the current part
        self._name, self._value = bytearray(), bytearray()  # of its current header field
        self._head_size = 0
        self._field_name = ""
        self._text = bytearray()
        self._file: UploadFile | None = None
        self._parser, self._read_options, self._error = self._new_parser(boundary)

    def _new_parser(self, boundary: bytes) -> tuple[Any, Any, type[Exception]]:
        try:
            from python_multipart.exceptions import FormParserError
            from python_multipart.multipart import MultipartParser, parse_options_header
        except ImportError:
            raise ConfigError(needs("a multipart form", "python-multipart", "forms")) from None
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name_came,
                "on_header_value": self._value_came,
                "on_header_end": self._end_field,
                "on_headers_finished": self._end_head,
                "on_part_data": self._data_came,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        parser.logger = _QUIET
        return parser, parse_options_header, FormParserError

    def feed(self, data: bytes) -> None:
        """Read a slice; what belongs in files is written by `write`."""
        if not self._is_begun:
            # The library passes over more than these, but only as far as the slice goes.
            data = data.lstrip(b"\r\n")
            self._is_begun = bool(data)
        try:
            self._parser.write(data)
        except self._error as exc:
            raise malformed(str(exc)) from None

    @property
    def waits_for_disk(self) -> bool:
        """Return whether `write` may take its time."""
        return any(to_disk for _, _, to_disk in self._writes)

    def write(self) -> None:
        """Write to the files what was read."""
        for file, data, to_disk in self._writes:
            file._write(data, to_disk=to_disk)
        self._writes.clear()

    def let_go(self) -> None:
        """Have what was read go with whoever holds it: the parser and we hold each other."""
        self._parser = None

    def end(self) -> list[tuple[str, str | UploadFile]]:
        """The names and values, once everything was fed and written."""
        if not self._is_ended:
            raise malformed("the last boundary is missing")
        for _, value in self._pairs:
            if isinstance(value, UploadFile):
                value.file.seek(0)
        return self._pairs

    def close(self, written: asyncio.Future[None] | None = None) -> None:
        """Have all files gone: it is no whole form. A callback of what writes in a thread, too."""
        if written is not None and not written.cancelled():
            written.exception()  # which nobody waits for any more
        for _, value in [*self._pairs, ("", self._file)]:
            if isinstance(value, UploadFile):
                value.file.give_up()

    # What the parser calls.

    def _begin(self) -> None:
        self._head, self._head_size = {}, 0
        self._text, self._file = bytearray(), None

    def _name_came(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count_head(end - start)

    def _value_came(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count_head(end - start)

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD or len(self._head) >= MAX_FIELDS:
            raise malformed("the head of a part is too large")

    def _end_field(self) -> None:
        self._head[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _end_head(self) -> None:
        kind, options = self._read_options(self._head.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise malformed("a part has no name")
        self._field_name = _decoded(options[b"name"], "a name")
        if b"filename" not in options:
            self._fields += 1
            if self._fields > self._bounds.fields:
                raise too_much("fields", self._bounds.fields)
            return
        self._files += 1
        if self._files > self._bounds.files:
            raise too_much("files", self._bounds.files)
        content_type = self._head.get(b"content-type")
        self._file = UploadFile(
            _decoded(options[b"filename"], "the name of a file"),
            None if content_type is None else content_type.decode("latin-1"),
        )

    def _data_came(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._to_file(self._file, data[start:end])
            return
        self._text += data[start:end]
        self._text_size += end - start
        if len(self._text) > self._bounds.part_size:
            raise too_much("bytes in a field", self._bounds.part_size)
        if self._text_size > MAX_TEXT:
            raise too_much("bytes of text", MAX_TEXT)

    def _to_file(self, file: UploadFile, data: bytes) -> None:
        file.size += len(data)
        self._in_memory += len(data)
        self._writes.append((file, data, self._in_memory > MAX_IN_MEMORY))

    def _end_part(self) -> None:
        if self._file is not None:
            self._pairs.append((self._field_name, self._file))
        else:
            self._pairs.append((self._field_name, _decoded(self._text, "a field")))

    def _end(self) -> None:
        self._is_ended = True


def _decoded(data: bytes | bytearray, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise malformed(f"{what} is not UTF-8") from None


__all__ = ["Parts"]
