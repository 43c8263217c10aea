"""Who reads request heads: a library, and before it a core where they are plain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from glyph_fast import core
from glyph_fast.errors import HandshakeError
from glyph_fast.http import parsers
from glyph_fast.http.head import parse_head
from glyph_fast.http.request import Request
from glyph_fast.websocket.handshake import Upgrade, check_upgrade


class Unread:
    """In place of a core: every head is left to the library."""

    @staticmethod
    def read_plain_head(head: bytes) -> None: ...

    @staticmethod
    def read_plain_upgrade(head: bytes) -> None: ...


@contextmanager
def reading(library: parsers.FieldReader, twin: Any) -> Iterator[None]:
    """Heads are read by these meanwhile."""
    before = parsers.read_fields, core.read_plain_head, core.read_plain_upgrade
    parsers.read_fields = library
    core.read_plain_head, core.read_plain_upgrade = twin.read_plain_head, twin.read_plain_upgrade
    try:
        yield
    finally:
        parsers.read_fields, core.read_plain_head, core.read_plain_upgrade = before


def read(head: bytes) -> tuple[Request | int, Upgrade | int | None]:
    """The request, and the upgrade it asks for; of what is refused the status."""
    try:
        request = parse_head(head)
    except HandshakeError as error:
        return error.status, None
    try:
        return request, check_upgrade(request)
    except HandshakeError as error:
        return request, error.status
