"""JSON the core reads and answers itself: as the dialect would, which remains the reference."""

from __future__ import annotations

import json
import random
import re
from datetime import datetime
from typing import Any

import pytest

from glyph_fast import MessageContext
from glyph_fast.dialects import envelope
from glyph_fast.dialects.base import Dialect
from glyph_fast.options.config import Config
from glyph_fast.wire import TEXT, MessageType
from tests.wired import Site

pytestmark = pytest.mark.both_cores

MEMBERS = ("type", "event", "data", "room", "target", "connection_id", "timestamp", "metadata")
VALUES = ('"json"', '"text"', '"move"', '"jump"', '"join_room"', '""', "null", "7", "[1]", "{}")
NAMES = ("type", "event", "data", "room", "target", "timestamp", "metadata", "id", "more")
OTHERS = (
    "[]", "[1,2]", "{}", " \n{}", '{"a":NaN}', '{"a":1', "[1]]", "{a}", '{"event":"move"}',
    '{"\\u0065vent":"move","data":1}', '{"event":"move","event":"jump","data":1}',
    '{"event":"move","data":null}', '{"type":null,"event":"move","data":1}',
    '{"type":"json","data":123456789012345678901234567890}', '{"event":"move","data":"\\ud800"}',
)  # fmt: skip
PLAIN = (
    '{"type":"json","event":"move","data":{"a":1}}', '{"event":"move","data":[1,{"b":[]}]}',
    ' { "event" : "move" ,\t"type": "json",\n"data" : { "a" : "\u00e4" } } \r\n',
    '{"event":"move","data":{"ä":"€😀"}}', '{"event":"mové","data":{}}', '{"event":"","data":{}}',
    '{"type":"text","event":"move","data":{}}', '{"type":"json","data":{}}',
)  # fmt: skip
ODD = (
    '{"event":"move","data":{},"id":{}}', '{"event":"move","data":{},"data":[]}',
    '{"event":"move","data":{}}}', '{"event":"move","data":{}', '{"event":"move","data":{]}}',
    '{"event":"move","data":}', '{"event":"move","data":{},}', '{"event":"move","data":{"a":01}}',
    '{"event":"move","event":"move","data":{}}', '{"type":"json","type":"json","data":{}}',
    '{"event":"mo\\u0076e","data":{}}', '{"event":"move\\"","data":{}}',
    '{"event":"mo\nve","data":{}}', '{"event":"move","data":{"a":"\\ud800"}}',
    '{"event":"move","data":[123456789012345678901234567890]}', '{"event":"move"',
    '{"event":"move","data":{"a":NaN}}', '{"event":"move","data":[1e999]}', '{"event":"move",',
    '{"event":"move","data":{"a":1}}\x00', '{"event":"move" "data":{}}', '{"event"', '{"event":7}',
    '{"event":"move","data":' + "[" * 480 + "]" * 480 + "}",
    '{"event":"move","data":' + "[" * 2000 + "]" * 2000 + "}",
)  # fmt: skip
TIME = re.compile(r'"timestamp":"[^"]*"')


def texts() -> list[str]:
    """Objects of some members each, in any order."""
    draw = random.Random(5)
    found = [*OTHERS, *PLAIN, *ODD]
    for text in PLAIN:  # cut and changed anywhere
        found += [text[:at] + text[at + 1 :] for at in range(len(text))]
        found += [text[:at] + draw.choice('{}[]",: \\7') + text[at:] for at in range(len(text))]
    for _ in range(1500):
        names = draw.sample(NAMES, draw.randint(0, 4))
        members = ",".join(f'"{name}": {draw.choice(VALUES)}' for name in names)
        found.append("{" + members + "}")
    return found


def told(message: Any) -> list[Any]:
    """What handlers can see, but for a time that nobody has set."""
    has_time = message._has_timestamp
    members = [getattr(message, name) for name in MEMBERS if name != "timestamp" or has_time]
    return [*members, message.id, message.raw, message.is_envelope]


@pytest.mark.parametrize("kind", ["json", "event", None])
def test_a_handler_gets_the_message_that_the_dialect_reads(kind: str | None) -> None:
    site = Site(Config(client_commands=[]))
    seen: list[Any] = []
    register = site.dispatcher.on_event if kind == "event" else site.dispatcher.on_message
    register("move" if kind == "event" else kind)(lambda ctx: seen.append(told(ctx.message)))  # type: ignore[arg-type]
    ada = site.connect()
    dialect = Dialect()
    for text in texts():
        expected = dialect.read(text, ada.id)
        is_refused = expected.type == "text" and not isinstance(expected.data, str)
        takes = {
            "event": expected.event == "move" and not is_refused,
            "json": expected.type == "json",
            None: not is_refused,
        }
        seen.clear()
        ada.send(text)
        assert seen == [told(expected)] * takes[kind], text


def test_half_a_pair_of_surrogates_is_no_json() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_event("move")(lambda ctx: seen.append("event"))
    site.dispatcher.on_message(MessageType.TEXT)(lambda ctx: seen.append(ctx.message.data))
    text = '{"event":"move","data":["\ud800"]}'
    site.dispatcher.message(site.connect().conn, TEXT, text)
    assert seen == [text]


@pytest.mark.parametrize(
    "data",
    [
        None, 0, "ä\u2028", [1, {"a": None}], {"b": 1.5}, b"\x00\xff", bytearray(b"x"), True,
        "x" * 70000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("id", [None, "own", 'a"b', "ünlaut"])
def test_an_answer_is_what_the_dialect_writes(data: Any, id: str | None) -> None:
    site = Site()

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> None:
        ctx.reply_json(data)

    ada = site.connect()
    if id is not None:
        ada.conn.id = id
    ada.send({"event": "ask", "data": 1})
    (answer,) = ada.received()
    expected = envelope.reply(MessageType.JSON, data, ada.id, None)
    assert TIME.sub("", answer) == TIME.sub("", expected)
    assert abs(seconds_of(answer) - seconds_of(expected)) < 60


def seconds_of(text: str) -> float:
    """The time of an envelope."""
    return datetime.fromisoformat(json.loads(text)["timestamp"]).timestamp()


def test_a_bare_message_has_a_bare_answer() -> None:
    site = Site()
    site.dispatcher.on_message("json")(lambda ctx: ctx.reply_json(ctx.message.data))
    ada = site.connect()
    ada.send('{"a": [1, null]}', "[]")
    assert ada.received() == ['{"a":[1,null]}', "[]"]


def test_data_that_json_cannot_hold_is_the_handlers_error() -> None:
    site = Site()
    errors: list[str] = []

    @site.dispatcher.on_event("ask")
    def ask(ctx: MessageContext) -> None:
        try:
            ctx.reply_json({"a": float("nan")})
        except ValueError as exc:
            errors.append(str(exc))

    ada = site.connect()
    ada.send({"event": "ask", "data": 1})
    assert len(errors) == 1 and "a" in errors[0]
    assert ada.received() == []
