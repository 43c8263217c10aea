"""The bare format: text, bytes, or the JSON of a value, and nothing around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..json import dumps
from ..wire import MessageType


def json_text(value: object) -> str:
    """The bare JSON of `value`, as a message to send. Raises what `json.dumps` raises."""
    return dumps(value).decode()


def reply(
    type_: MessageType, data: Any, json_text: Callable[[object], str] = json_text
) -> str | bytes:
    """A bare answer of a type; `json_text` writes one of JSON.

    Raises TypeError for data that does not go with the type.
    """
    if type_ is MessageType.TEXT:
        if isinstance(data, str):
            return data
        raise TypeError(f"a text reply is a str, not {data.__class__.__name__}")
    if type_ is MessageType.BINARY:
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        raise TypeError(f"a binary reply is bytes, not {data.__class__.__name__}")
    return json_text(data)


class JsonText:
    """A value as a text message: its bare JSON, encoded at once.

    Raises TypeError or ValueError for a value that JSON cannot hold.
    """

    __slots__ = ("_data",)

    def __init__(self, value: object) -> None:
        self._data = dumps(value)

    def to_json(self) -> bytes:
        """The JSON as UTF-8."""
        return self._data
