"""The two libraries that take a head apart: httptools, and h11 where httptools is not installed.

Each is laxer than the other somewhere, so neither has the last word: `head` makes the checks both
need. Here is only the reading of the fields.
"""

from __future__ import annotations

from collections.abc import Callable

from ..wire import MAX_HEAD

Field = tuple[bytes, bytes]
FieldReader = Callable[[bytes], list[Field]]


class _Fields(list[Field]):
    """The fields that httptools found; it calls `on_header` for each."""

    __slots__ = ()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.append((name, value.rstrip(b" \t")))  # RFC 9112 §5.1; httptools leaves it on


def httptools_reader() -> FieldReader:
    """A reader of fields made of httptools; ImportError where it is not installed."""
    from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

    def read_fields(head: bytes) -> list[Field]:
        fields = _Fields()
        try:
            HttpRequestParser(fields).feed_data(head)
        except HttpParserUpgrade:
            pass  # its way to say that other bytes than HTTP follow the head
        except HttpParserError as exc:
            raise ValueError(str(exc)) from None
        return fields

    return read_fields


def h11_reader() -> FieldReader:
    """A reader of fields made of h11."""
    import h11

    def read_fields(head: bytes) -> list[Field]:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        connection.receive_data(head)
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as exc:
            raise ValueError(str(exc)) from None
        if not isinstance(event, h11.Request):
            raise ValueError("not a request head")
        return event.headers.raw_items()

    return read_fields


def _best_reader() -> FieldReader:
    try:
        return httptools_reader()
    except ModuleNotFoundError as exc:  # absent: the pure one; broken: let it shout
        if exc.name != "httptools":
            raise
        return h11_reader()


read_fields: FieldReader = _best_reader()
"""The fields of a complete head, names as they came; ValueError when the library refuses it."""
