"""Writers of a server's JSON: the one for all, or one that knows a program's own values."""

from __future__ import annotations

from typing import Any

from ..json import Default, codec_with
from . import bare, envelope
from .message import Message, Sendable
from .publication import Exclude, Publication, publication


class Writer:
    """Writes what a server sends.

    `default(value)` tells what stands for a value that JSON does not know, as `json_default` of
    `Config` does. Without it, `publication` and `json_text` are the functions of those names.
    """

    __slots__ = ("dumps", "json_text", "knows_more", "publication")

    def __init__(self, default: Default | None = None) -> None:
        self.dumps = codec_with(default).dumps
        self.knows_more = default is not None
        # Attributes and no methods, so that the usual case costs no call more.
        self.json_text = bare.json_text if default is None else self._json_text
        self.publication = publication if default is None else self._publication

    def as_sent(self, message: Sendable) -> Sendable:
        """A message in a form that the core, which knows no writer, sends as this one writes it."""
        if isinstance(message, Message):
            return envelope.write(message, self.dumps).decode()
        return message

    def _json_text(self, value: object) -> str:
        return self.dumps(value).decode()

    def _publication(
        self, kind: str, name: Any, message: Sendable, exclude: Exclude = None
    ) -> Publication:
        made = publication(kind, name, self.as_sent(message), exclude)
        made.message = message
        return made


PLAIN = Writer()
