"""From a message to its handlers, the short way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from ..wire import (
    BINARY,
    TEXT,
    SendResult,
)

JSON_FRAMES = 4  # that a text counts like which is read as JSON, beside its own
JSON_FRAME = 256  # characters of it that count like one more: reading some takes as long
HANDLER_SAMPLE = 16  # of so many calls one is timed: reading the clock twice is not free


def read_plainly(metaclass: type) -> None:
    """Look up attributes of this metaclass's classes as `type` does, without its `__getattr__`."""


class Message:
    """The members of a message; the application's `Message` tells of them and adds the rest."""

    __slots__ = (
        "_metadata",
        "_timestamp",
        "connection_id",
        "data",
        "event",
        "id",
        "is_envelope",
        "raw",
        "room",
        "target",
        "type",
    )

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        message = super().__new__(cls)
        message.type = message.data = message.id = message._metadata = None
        message.raw = None  # type: ignore[assignment]  # see below
        message.event = message.room = message.target = ""
        message.connection_id = message._timestamp = ""
        message.is_envelope = False
        return message

    if TYPE_CHECKING:
        type: Any
        data: Any
        event: str
        room: str
        target: str
        connection_id: str
        id: Any
        raw: str | bytes  # None only in one that the program has made, which no handler gets
        is_envelope: bool
        _timestamp: str
        _metadata: dict[str, Any] | None


class Context:
    """A message with its connection; the application's `MessageContext` adds the rest."""

    __slots__ = ("conn", "hub", "message")

    def __init__(self, conn: Any, message: Any, hub: Any) -> None:
        self.conn = conn
        self.message = message
        self.hub = hub

    def reply(self, type: str, data: Any = None) -> SendResult:
        """Answer the sender.

        To a bare message, TEXT sends a str, BINARY bytes, and any other type the JSON of `data`.
        Raises ConnectionClosed, TypeError for data that does not go with the type, ValueError for
        an unknown type.
        """
        if not self.message.is_envelope and (
            type == "text"
            if isinstance(data, str)
            else type == "binary" and data.__class__ is bytes
        ):
            result: SendResult = self.conn.send(data)
            return result
        return self._reply(type, data)

    def reply_json(self, data: Any) -> SendResult:
        """Answer the sender with JSON. Raises what `reply` raises."""
        return self._reply("json", data)

    def _reply(self, type: str, data: Any) -> SendResult:
        raise NotImplementedError


class Plan:
    """Which handlers run for the messages of a connection; the application's `Plan` has the others.

    `text`, `binary` and `json` are the handlers of bare messages, but where those of text take
    JSON too (`json_as_text`); `events` those of each event. `value_of` reads a text, or its UTF-8,
    as JSON, and gives None for what is none; None where each message must be looked at by the
    application. `dumps` writes JSON for answers; None where that is the application's as well.
    """

    __slots__ = ("binary", "dumps", "events", "json", "json_as_text", "text", "value_of")

    def __init__(self) -> None:
        self.text: tuple[Callable[..., Any], ...] = ()
        self.binary: tuple[Callable[..., Any], ...] = ()
        self.json: tuple[Callable[..., Any], ...] = ()
        self.json_as_text = False
        self.events: dict[str, tuple[Callable[..., Any], ...]] = {}
        self.value_of: Callable[[str | bytes], Any] | None = None
        self.dumps: Callable[[object], bytes] | None = None


class Dispatch:
    """From messages to handlers, for a connection none of whose handlers waits.

    `message_type` and `context_type` are the subclasses of `Message` and `Context` that handlers
    get; `text`, `binary` and `json` the types of their messages. A connection's `_plan` is a
    `Plan`; its `_inbox` is None while none of its handlers waits. A subclass has `_wait`, `_read`,
    `_unhandled`, `_go_on` and `_fail`.
    """

    __slots__ = ("_runs", "binary", "context_type", "hub", "json", "message_type", "text")

    def __init__(
        self,
        hub: Any,
        message_type: Any,
        context_type: Any,
        text: Any,
        binary: Any,
        json: Any = None,
    ) -> None:
        self.hub = hub
        self.message_type = message_type
        self.context_type = context_type
        self.text = text
        self.binary = binary
        self.json = json
        self._runs = 0  # how often handlers were run

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        """A message came: handle it now, or after those before it."""
        _check_payload(opcode, payload)
        if conn._inbox is None:
            self.handle(conn, opcode, payload)
        else:
            self._wait(conn, opcode, payload)

    def handle(self, conn: Any, opcode: int, payload: Any) -> bool:
        """Run the handlers of a message; False when one waits."""
        _check_payload(opcode, payload)
        if opcode == TEXT and payload.lstrip(" \t\n\r").startswith(("{", "[")):  # RFC 8259 §2
            conn._turn.weight += JSON_FRAMES + len(payload) // JSON_FRAME
            message, calls = self._read(conn, payload)  # the compiled twin reads most itself
        else:
            message = self.message_type.__new__(self.message_type)
            message.raw = message.data = payload
            message.connection_id = conn.id
            if conn._plan is None:  # nobody has said who handles its messages
                calls = ()
            elif opcode == TEXT:
                message.type, calls = self.text, conn._plan.text
            else:
                message.type, calls = self.binary, conn._plan.binary
        if not calls:
            self._unhandled()
            return True
        return self.run(conn, self.context_type(conn, message, self.hub), calls, 0)

    def run(self, conn: Any, ctx: Any, calls: tuple[Callable[..., Any], ...], index: int) -> bool:
        """Call handlers from `index` on; False when one waits, and the rest follows then."""
        if index < 0:
            raise ValueError(f"index is {index}, expected 0 or more")
        call: Any = None
        self._runs += 1
        started = time.perf_counter() if self._runs % HANDLER_SAMPLE == 0 else 0.0
        try:
            while index < len(calls):
                call = calls[index]
                index += 1
                result = call(ctx)
                # A handler that ends in `ctx.reply(…)` may return what that returned.
                if result is not None and result.__class__ is not SendResult:
                    if not self._go_on(conn, ctx, calls, index, result):
                        return False
        except BaseException as exc:
            return self._fail(conn, ctx, call, exc)
        if started:
            seconds = time.perf_counter() - started
            conn._turn.counters.handler_seconds.observe(seconds, HANDLER_SAMPLE)
        return True

    # The subclass's part.

    def _wait(self, conn: Any, opcode: int, payload: Any) -> None:
        raise NotImplementedError

    def _read(self, conn: Any, payload: str) -> tuple[Any, tuple[Callable[..., Any], ...]]:
        raise NotImplementedError

    def _unhandled(self) -> None:
        raise NotImplementedError

    def _go_on(self, conn: Any, ctx: Any, calls: Any, index: int, result: Any) -> bool:
        raise NotImplementedError

    def _fail(self, conn: Any, ctx: Any, call: Any, exc: BaseException) -> bool:
        raise NotImplementedError


def _check_payload(opcode: int, payload: object) -> None:
    """What follows takes the core's word for it."""
    if not isinstance(payload, str if opcode == TEXT else bytes):
        raise TypeError(
            f"a message is str with opcode {TEXT}, bytes with {BINARY},"
            f" not {type(payload).__name__} with {opcode}"
        )
