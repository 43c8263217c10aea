"""The fields of each command of Centrifugo's HTTP API, and what may stand in them.

A field that is null counts as absent, but for one of any value. One of `NOT_HERE` is read and may
have its zero value, since libraries send those; anything else asks for what this server has not,
and is answered so.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...wire import is_sendable_code
from ..calls import MAX_BATCH, MAX_REASON
from .errors import BAD_REQUEST, NOT_AVAILABLE, ApiError

MAX_KEY = 255  # characters of an idempotency key
MAX_PATTERN = 1024  # characters
_INT64 = 1 << 63


class Field(NamedTuple):
    """The type of a field, in words, and the test of a value for it."""

    expected: str
    accepts: Callable[[Any], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return type(value) is int and -_INT64 <= value < _INT64


def _is_names(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_BATCH and all(map(_is_text, value))


def _is_tags(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        b64decode(value, validate=True)
    except ValueError:
        return False
    return True


def _is_position(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"offset", "epoch"}
        and _is_whole(value.get("offset", 0))
        and value.get("offset", 0) >= 0
        and _is_text(value.get("epoch", ""))
    )


def _is_disconnect(value: object) -> bool:
    if not isinstance(value, dict) or not value.keys() <= {"code", "reason"}:
        return False
    code, reason = value.get("code"), value.get("reason", "")
    return (
        type(code) is int
        and is_sendable_code(code)
        and _is_text(reason)
        and len(reason) <= MAX_REASON
    )


def _is_override(value: object) -> bool:
    return isinstance(value, dict) and all(
        each is None or (isinstance(each, dict) and isinstance(each.get("value", False), bool))
        for each in value.values()
    )


TEXT = Field("text", _is_text)
CHANNEL = Field("the name of a channel", _is_text)
KEY = Field(
    f"text of at most {MAX_KEY} characters", lambda value: _is_text(value) and len(value) <= MAX_KEY
)
PATTERN = Field(
    f"text of at most {MAX_PATTERN} characters",
    lambda value: _is_text(value) and len(value) <= MAX_PATTERN,
)
NAMES = Field(f"a list of at most {MAX_BATCH} texts", _is_names)
TAGS = Field("an object of texts", _is_tags)
BOOL = Field("true or false", lambda value: isinstance(value, bool))
COUNT = Field("a whole number of at least 0", lambda value: _is_whole(value) and value >= 0)
WHOLE = Field("a whole number", _is_whole)
LIMIT = Field("a whole number of at least -1", lambda value: _is_whole(value) and value >= -1)
VALUE = Field("any JSON value", lambda value: True)
BASE64 = Field("base64", _is_base64)
POSITION = Field('a position, {"offset": number, "epoch": text}', _is_position)
DISCONNECT = Field(
    'an object, {"code": a close code that may be sent, "reason": text of at most'
    f" {MAX_REASON} characters}}",
    _is_disconnect,
)
OVERRIDE = Field('an object of {"value": true or false}', _is_override)
LIST = Field(f"a list of at most {MAX_BATCH} commands", lambda value: isinstance(value, list))

_WHO = {"user": TEXT, "client": TEXT, "session": TEXT}
_PRO = {"label_filter": VALUE, "all_users": BOOL}
_MESSAGE = {
    "data": VALUE, "b64data": BASE64, "tags": TAGS, "idempotency_key": KEY, "skip_history": BOOL,
    "delta": BOOL, "version": COUNT, "version_epoch": TEXT,
}  # fmt: skip

FIELDS: Mapping[str, Mapping[str, Field]] = {
    "publish": {"channel": CHANNEL, **_MESSAGE},
    "broadcast": {"channels": NAMES, **_MESSAGE},
    "subscribe": {
        "channel": CHANNEL, **_WHO, **_PRO, "info": VALUE, "b64info": BASE64, "data": VALUE,
        "b64data": BASE64, "recover_since": POSITION, "expire_at": COUNT, "override": OVERRIDE,
    },
    "unsubscribe": {"channel": TEXT, **_WHO, **_PRO},
    "disconnect": {**_WHO, **_PRO, "whitelist": NAMES, "disconnect": DISCONNECT},
    "refresh": {**_WHO, **_PRO, "expired": BOOL, "expire_at": COUNT, "info": VALUE},
    "presence": {"channel": CHANNEL},
    "presence_stats": {"channel": CHANNEL},
    "history": {"channel": CHANNEL, "limit": LIMIT, "since": POSITION, "reverse": BOOL},
    "history_remove": {"channel": CHANNEL},
    "channels": {"pattern": PATTERN},
    "info": {},
    "batch": {"commands": LIST, "parallel": BOOL},
}  # fmt: skip

# Of each command, what must not say anything; why not stands in docs/centrifuge.md.
NOT_HERE: Mapping[str, tuple[str, ...]] = {
    "publish": ("version", "version_epoch"),
    "broadcast": ("version", "version_epoch"),
    "subscribe": (
        "info", "b64info", "data", "b64data", "recover_since", "expire_at", "override", *_PRO,
    ),
    "unsubscribe": tuple(_PRO),
    "disconnect": tuple(_PRO),
    "refresh": tuple(_PRO),
}  # fmt: skip

Params = Mapping[str, Any]


def read(method: str, body: object) -> Params:
    """The fields of a command that say something. Raises ApiError, 107 or 108."""
    if not isinstance(body, dict):
        raise ApiError(BAD_REQUEST, "expected a JSON object")
    fields, params = FIELDS[method], {}
    for name, value in body.items():
        field = fields.get(name)
        if field is None:
            raise ApiError(BAD_REQUEST, f"unknown field {name!r}")
        if value is None and field is not VALUE:
            continue
        if not field.accepts(value):
            raise ApiError(BAD_REQUEST, f"{name}: expected {field.expected}")
        params[name] = value
    for name in NOT_HERE.get(method, ()):
        if params.get(name):
            raise ApiError(NOT_AVAILABLE, f"{name} is not available")
    if fields.get("channel") is CHANNEL and not params.get("channel"):
        raise ApiError(BAD_REQUEST, "channel is missing")
    return params
