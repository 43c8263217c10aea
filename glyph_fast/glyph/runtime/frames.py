"""A received frame as a program has it: the value of `input`, and the text it is sent on as.

A frame that is not JSON is a string. An object whose `type` is `json` or `text` is an envelope:
`input` is its `data`, or null where it has none and nothing else to say. All other JSON is `input`
as it is.

A handler that only passes `input` on never needs its value. For it, `relay` cuts the JSON of `data`
out of the frame: validated, but not decoded and written again, so that numbers keep their
digits and the work does not grow with what the message holds. The cutting is msgspec's where it is
installed; `set_slicer` takes another one.
"""

from __future__ import annotations

import json.decoder
from collections.abc import Callable
from typing import Any, Final, Literal

from ... import json as strict_json
from .jsontext import read, write_text
from .values import Value

_ENVELOPES = frozenset({"json", "text"})  # the types whose `data` is the message
_MEMBERS = frozenset("type event data room target connection_id timestamp metadata".split())
_BLANKS = " \t\n\r"  # RFC 8259 §2
_FIRST = frozenset('{["-0123456789tfn' + _BLANKS)  # of a JSON text

WHOLE: Final = "whole"
UNSURE: Final = "unsure"

# A slicer takes a text. It answers None when the text is not JSON, WHOLE when it is JSON to be sent
# on as it is, UNSURE when only decoding can tell, else the JSON of the envelope's `data`.
Sliced = bytes | Literal["whole", "unsure"] | None
Slicer = Callable[[str], Sliced]


def read_input(text: str, read: Callable[[str], Value] = read) -> Value:
    """The value of `input` for a frame, its JSON being read by `read`."""
    if text[:1] not in _FIRST:
        return text
    try:
        value = read(text)
    except ValueError:
        return text
    return _unwrap(value) if type(value) is dict else value


def relay(text: str) -> str:
    """Return the text by which a frame is sent on as `input`."""
    sliced = _slicer(text) if text[:1] in _FIRST else None
    if type(sliced) is bytes:
        return sliced.decode()
    if sliced is None:
        return write_text(text)
    if sliced is WHOLE:
        return text
    value = read(text)
    message = _unwrap(value)
    return text if message is value else write_text(message)


def _unwrap(value: dict[str, Value]) -> Value:
    """An envelope's `data`; any other object as it is."""
    kind = value["type"] if "type" in value else _member(value, "type")
    if type(kind) is not str or kind not in _ENVELOPES:
        return value
    data = _member(value, "data")
    if data is not None:
        return data
    return None if all(key.lower() in _MEMBERS for key in value) else value


def _member(value: dict[str, Value], name: str) -> Value:
    """A member by its name in any letter case; the exact name wins."""
    if name in value:
        return value[name]
    for key in value:
        if len(key) == len(name) and key.lower() == name:
            return value[key]
    return None


# --- slicers -------------------------------------------------------------------------------------


def msgspec_slicer() -> Slicer:
    """The slicer on msgspec; ModuleNotFoundError where it is not installed."""
    import msgspec

    member = msgspec.Raw | msgspec.UnsetType
    members = [(name, member, msgspec.UNSET) for name in ("type", "data")]
    envelope_type: Any = msgspec.defstruct("Envelope", members, gc=False)
    read_envelope = msgspec.json.Decoder(envelope_type).decode
    validate = msgspec.json.Decoder(msgspec.Raw).decode
    unset = msgspec.UNSET

    def cut(text: str) -> Sliced:
        try:
            envelope = read_envelope(text)
        except msgspec.ValidationError:
            try:
                validate(text)  # no object, but is it JSON to its end?
            except (msgspec.DecodeError, RecursionError):
                return None
            return WHOLE
        except (msgspec.DecodeError, RecursionError):
            return None
        kind, data = envelope.type, envelope.data
        if kind is unset:
            return UNSURE if '"type"' in text.lower() else WHOLE
        quoted = bytes(kind)
        if quoted not in (b'"json"', b'"text"'):
            return UNSURE if b"\\" in quoted else WHOLE
        if data is unset:
            return UNSURE
        sliced = bytes(data)
        return UNSURE if sliced == b"null" else sliced

    return cut


def stdlib_slicer() -> Slicer:
    """The slicer that needs nothing but the standard library."""
    decoder: Any = json.decoder  # typeshed knows only its public names
    scan, scan_string = decoder.JSONDecoder().scan_once, decoder.scanstring

    def cut(text: str) -> Sliced:
        try:
            value = strict_json.loads(text)
        except ValueError:
            return None
        if type(value) is not dict:
            return WHOLE
        if value.get("type") not in ("json", "text") or value.get("data") is None:
            return UNSURE if "type" in value or '"type"' in text.lower() else WHOLE
        first, end = _span(text, scan, scan_string)
        return text[first:end].encode()

    return cut


def _span(text: str, scan: Any, scan_string: Any) -> tuple[int, int]:
    """Find the value of the last member `data` in a valid object."""
    at = text.index("{") + 1
    span = (0, 0)
    while True:
        at = _skip(text, at)
        if text[at] == "}":
            return span
        if text[at] == ",":
            at = _skip(text, at + 1)
        name, at = scan_string(text, at + 1)
        at = _skip(text, text.index(":", at) + 1)
        _, end = scan(text, at)
        if name == "data":
            span = (at, end)
        at = end


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at


def _best_slicer() -> Slicer:
    try:
        return msgspec_slicer()
    except ModuleNotFoundError as error:  # absent: the standard library; broken: let it shout
        if error.name != "msgspec":
            raise
        return stdlib_slicer()


_slicer: Slicer = _best_slicer()


def set_slicer(slicer: Slicer) -> None:
    """Cut messages with `slicer` from now on, in all programs of the process."""
    global _slicer
    _slicer = slicer
