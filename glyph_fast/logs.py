"""Logging: named loggers, two formats, and a rein on errors that repeat.

    glyph_fast           the server itself
    glyph_fast.access    one record per connection
    glyph_fast.error     exceptions of handlers

A record is an event ("listening") with fields (url, engine). Its message is both, `listening
url=… engine=native`, for whatever handlers and formatters a program has; `record.event` and
`record.fields` are for those that write structure, as the JSON format does. What a client's message
contained is never logged by the server; an exception's own text, which is the application's, is.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

SERVER = logging.getLogger("glyph_fast")
ACCESS = logging.getLogger("glyph_fast.access")
ERROR = logging.getLogger("glyph_fast.error")

FIRST_INTERVAL = 10.0  # seconds until errors that repeat are summed up for the first time
LONGEST_INTERVAL = 3600.0
LINES_PER_INTERVAL = 20  # about things that whoever connects can cause at will
INTERVAL_GROWTH = 4.0
MAX_TEXT = 200  # characters of what an error says, where figures tell it
MAX_KINDS = 1000  # of errors told apart; beyond it the one seen longest ago is forgotten

_PACKAGE = os.path.join(os.path.dirname(__file__), "")
_COMPILED = os.path.join("glyph_fast", "")  # where a compiled module says that its source lies
_STANDARD_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")
_needs_quotes = re.compile(r'[ "=\\]').search  # of what is printable, which no other blank is


def log(
    logger: logging.Logger,
    level: int,
    event: str,
    /,
    *,
    exc_info: BaseException | None = None,
    **fields: object,
) -> None:
    """Log `event` with `fields`; next to nothing is done when the level is not enabled."""
    if SERVER.disabled:
        enable_loggers()
    if logger.isEnabledFor(level):
        parts = [_one_line(event)]
        for key, value in fields.items():  # a number needs no look at its text
            parts.append(f"{key}={value if value.__class__ is int else _quoted(value)}")
        extra = {"event": event, "fields": fields}
        logger.log(level, " ".join(parts), exc_info=exc_info, extra=extra, stacklevel=2)


def enable_loggers() -> None:
    """Undo what `dictConfig` does by default to the loggers that exist before it is called.

    One below `glyph_fast` that was disabled alone stays so: somebody meant it.
    """
    if SERVER.disabled:
        for logger in (SERVER, ACCESS, ERROR):
            logger.disabled = False


class _OwnHandler(logging.StreamHandler[TextIO]):
    """The handler of `configure_logging`, told from those of the application."""


def configure_logging(
    level: str = "info", format: str = "text", stream: TextIO | None = None
) -> None:
    """Write the records of `glyph_fast` and below to `stream` (stderr), as "text" or "json".

    Calling it again replaces the former setting. Handlers the application has put on these loggers
    stay; records no longer reach the root logger, so nothing is written twice.
    """
    handler = _OwnHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    for former in SERVER.handlers[:]:
        if isinstance(former, _OwnHandler):
            SERVER.removeHandler(former)
    SERVER.addHandler(handler)
    SERVER.setLevel(level.upper())
    SERVER.propagate = False
    enable_loggers()


def timestamp(seconds: float) -> str:
    """A point of time as RFC 3339 writes it, UTC, in milliseconds."""
    second, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_whole_second(second)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=4)  # many lines fall into one second
def _whole_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


class TextFormatter(logging.Formatter):
    """`2031-05-06T07:08:09.123Z info  listening url=http://127.0.0.1:8080`, then the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the values hold; those of a traceback are indented.

        So no text that a peer or an exception brings along can pass for a record.
        """
        level = record.levelname.lower()
        line = f"{timestamp(record.created)} {level:<8} {_one_line(record.getMessage())}"
        if not record.exc_info:
            return line
        trace = _traceback(record).splitlines()
        return "\n".join([line, *("  " + _one_line(each) for each in trace)])


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, event, the fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The object's text; a field named like a standard member gets a `_` after its name."""
        members: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": getattr(record, "event", None) or record.getMessage(),
        }
        if trace := _traceback(record):
            members["exception"] = trace
        for key, value in _fields(record).items():
            members[f"{key}_" if key in members else key] = value
        try:
            return json.dumps(members, default=str, allow_nan=False)
        except (TypeError, ValueError):  # a field holds a cycle, a NaN, keys that are not text
            return json.dumps({key: str(value) for key, value in members.items()})


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return fields


def _traceback(record: logging.LogRecord) -> str:
    exc = record.exc_info[1] if record.exc_info else None
    return "".join(traceback.format_exception(exc)).rstrip() if exc is not None else ""


def _one_line(text: str) -> str:
    return (
        text
        if text.isprintable()
        else "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
            for char in text
        )
    )


def visible(text: str, keep: str = "") -> str:
    """`text` of others for a terminal: what would command that is written as an escape.

    The characters of `keep` stay as they are: a line end, say.
    """
    if not keep:
        return _one_line(text)
    return "".join(char if char in keep else _one_line(char) for char in text)


def brief(value: Any) -> Any:
    """A field that others chose, of at most `MAX_TEXT` characters where it is text or several."""
    if isinstance(value, (str, list, dict)) and len(text := str(value)) > MAX_TEXT:
        return text[:MAX_TEXT] + "…"
    return value


def _quoted(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if text and text.isprintable() and not _needs_quotes(text):
        return text
    if not text:
        return '""'
    return json.dumps(text, ensure_ascii=not text.isprintable())


class Throttle:
    """Lets so many lines through in an interval, and counts the others. For one thread."""

    def __init__(
        self,
        limit: int = LINES_PER_INTERVAL,
        interval: float = FIRST_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._interval = interval
        self._clock = clock
        self._since = clock()
        self._said = 0
        self._unsaid = 0

    def admit(self) -> int | None:
        """None to say nothing; else how many were passed over since the last that was said."""
        now = self._clock()
        if now - self._since >= self._interval:
            self._since, self._said = now, 0
        if self._said >= self._limit:
            self._unsaid += 1
            return None
        self._said += 1
        unsaid, self._unsaid = self._unsaid, 0
        return unsaid


class AccessLog:
    """The log of the clients of one port; `port` is named in every line, unless it is "".

    A client can be refused at will, so of refusals only some are told, each with the number of
    `others_unsaid` before it; what must be exact is a counter's.
    """

    def __init__(self, port: str = "", refusals: Throttle | None = None) -> None:
        self._mark: dict[str, Any] = {"port": port} if port else {}
        self._refusals = refusals or Throttle()

    @property
    def is_on(self) -> bool:
        """Return whether lines are written at all, so that their fields need to be known."""
        if SERVER.disabled:
            enable_loggers()
        return ACCESS.isEnabledFor(logging.INFO)

    def say(self, event: str, **fields: Any) -> None:
        """A line about a client."""
        log(ACCESS, logging.INFO, event, **fields, **self._mark)

    def say_refused(self, event: str, **fields: Any) -> None:
        """A line about somebody refused, some of many."""
        if self.is_on and (unsaid := self._refusals.admit()) is not None:
            if unsaid:
                fields["others_unsaid"] = unsaid
            self.say(event, **fields)


class _Kind:
    """One kind of error: how often it came, and when that is said next."""

    __slots__ = ("due", "interval", "latest", "text", "total", "unsaid")

    def __init__(self, now: float) -> None:
        self.text = ""  # of the latest
        self.latest = time.time()  # seconds since the epoch
        self.total = 1
        self.unsaid = 0  # since the last line about it
        self.interval = FIRST_INTERVAL
        self.due = now + FIRST_INTERVAL


class ErrorLog:
    """Logs exceptions of handlers so that one that repeats cannot fill the disk.

    The first of a kind (handler, type of exception, line of the program) is logged with its
    traceback. Those that follow are counted, and summed up in one line at growing intervals; the
    line is written when the next one comes after the interval, or by `flush`. For one thread.
    """

    def __init__(
        self, logger: logging.Logger = ERROR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._clock = clock
        self.heard: Callable[[BaseException], object] | None = None  # told of each
        self._kinds: dict[tuple[str, str, str], _Kind] = {}  # seen longest ago first
        self.total = 0

    def record(self, handler: object, exc: BaseException, **fields: object) -> None:
        """Note that `handler` (a function or its name) raised `exc`."""
        self.total += 1
        if self.heard is not None:
            self.heard(exc)
        key = (qualified_name(handler), type(exc).__qualname__, origin(exc))
        kind = self._kinds.pop(key, None)
        if kind is None:
            kind = self._kinds[key] = _Kind(self._clock())
            kind.text = first_line(exc)
            if len(self._kinds) > MAX_KINDS:
                oldest = next(iter(self._kinds))
                self._sum_up(oldest, self._kinds.pop(oldest))
            fields["handler"] = key[0]
            if isinstance(exc, TypeError) and "SendResult" in str(exc) and "await" in str(exc):
                exc.add_note("a send never waits: call it without await; conn.drain() waits")
            log(self._logger, logging.ERROR, "handler failed", exc_info=exc, **fields)
            return
        self._kinds[key] = kind
        kind.total += 1
        kind.unsaid += 1
        kind.latest = time.time()
        kind.text = first_line(exc)
        now = self._clock()
        if now >= kind.due:
            kind.interval = min(kind.interval * INTERVAL_GROWTH, LONGEST_INTERVAL)
            kind.due = now + kind.interval
            self._sum_up(key, kind)

    def recent(self, limit: int = 20) -> list[dict[str, object]]:
        """The kinds of errors seen last, the latest first: what, where, how often, and when."""
        kinds = list(self._kinds.items())[-limit:]
        return [
            {
                "handler": handler,
                "exception": exception,
                "text": kind.text,
                "where": where,
                "count": kind.total,
                "latest": timestamp(kind.latest),
            }
            for (handler, exception, where), kind in reversed(kinds)
        ]

    def flush(self) -> None:
        """Write a summary of every kind that has errors not yet mentioned; at the end, say."""
        for key, kind in self._kinds.items():
            self._sum_up(key, kind)

    def _sum_up(self, key: tuple[str, str, str], kind: _Kind) -> None:
        if kind.unsaid:
            handler, exception, where = key
            log(
                self._logger, logging.ERROR, "handler still fails", handler=handler,
                exception=exception, where=where, times=kind.unsaid, total=kind.total,
            )  # fmt: skip
            kind.unsaid = 0


def qualified_name(handler: object) -> str:
    """`module:qualname` of a function, a method, a partial or a callable object; a str as it is."""
    if isinstance(handler, str):
        return handler
    function: Any = handler
    while hasattr(function, "func") and callable(function.func):  # functools.partial
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    return f"{function.__module__}:{function.__qualname__}"


def origin(exc: BaseException) -> str:
    """The innermost line of the program on the way to the error: one of ours, say, serves many."""
    frames = [*traceback.walk_tb(exc.__traceback__)]
    places = [(frame.f_code.co_filename, line) for frame, line in reversed(frames)]
    if not places:
        return ""
    theirs = [place for place in places if not is_of_a_library(place[0])]
    file, line = (theirs or [place for place in places if not _is_ours(place[0])] or places)[0]
    return f"{file}:{line}"


def first_line(exc: BaseException) -> str:
    """The first line of what an error says of itself, of at most `MAX_TEXT` characters."""
    try:
        return str(exc).partition("\n")[0][:MAX_TEXT]
    except Exception:  # an error may be unable even to say what it is
        return ""


def _is_ours(file: str) -> bool:
    """Return whether it is of this package; its programs in Glyph are not meant."""
    return file.startswith((_PACKAGE, _COMPILED)) and file.endswith((".py", ".pyx", ".pxi"))


def is_of_a_library(file: str) -> bool:
    """Return whether a source file is of a library, ours included, and not the program's."""
    installed = {"site-packages", "dist-packages"} & {*file.replace("\\", "/").split("/")}
    return bool(installed) or _is_ours(file) or file.startswith((_STANDARD_LIBRARY, "<frozen "))
