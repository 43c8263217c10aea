"""What is published by a command, and how what a room keeps is written."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from glyph_fast.admin.centrifugo.errors import ApiError
from glyph_fast.admin.centrifugo.publications import asked, outgoing
from glyph_fast.broker.history import Ask, Histories
from glyph_fast.options.rooms import RoomDeclaration


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def kept(*bodies: dict[str, Any]) -> Any:
    """The page of a room in which these were published."""
    histories = Histories()
    histories.terms_of = lambda name: RoomDeclaration(pattern="r", history_size=100)
    for body in bodies:
        histories.take(outgoing(body).publication("r"), None)
    return histories.read("r", Ask())


def history(page: Any, most: int = 100, **params: Any) -> list[Any]:
    return [each["offset"] for each in asked(page, params, most)]


@pytest.mark.parametrize(
    ("body", "is_json", "payload"),
    [
        ({"data": {"a": [1, None]}}, True, b'{"a":[1,null]}'),
        ({"data": None}, True, b"null"),
        ({"b64data": base64(b'{\n"a": 1}')}, True, b'{"a":1}'),
        ({"b64data": base64(b'{"a": 1}')}, True, b'{"a": 1}'),
        ({"b64data": base64(b"\xff\x00")}, False, b"\xff\x00"),
        ({"data": 1, "b64data": base64(b"\xff")}, False, b"\xff"),
        ({"data": 1, "b64data": ""}, True, b"1"),
    ],
)
def test_data_is_json_or_bytes(body: dict[str, Any], is_json: bool, payload: bytes) -> None:
    what = outgoing(body)
    assert (what.is_json, what.payload) == (is_json, payload)
    assert what.publication("r").payload == payload  # bare


def test_there_is_data() -> None:
    with pytest.raises(ApiError, match="data is missing"):
        outgoing({"channel": "c"})


def test_tags_make_an_envelope_with_event_and_metadata() -> None:
    tags = {"event": "move", "lang": "de"}
    json, binary, plain = asked(
        kept(
            {"data": {"x": 1}, "tags": tags},
            {"b64data": base64(b"\xff"), "tags": {"lang": "de"}},
            {"b64data": base64(b"\xff")},
        ),
        {"limit": -1},
        100,
    )
    assert json == {"data": {"x": 1}, "offset": 1, "tags": tags}
    assert binary == {"data": base64(b"\xff"), "offset": 2, "tags": {"lang": "de"}}
    assert plain == {"data": base64(b"\xff"), "offset": 3}


def test_history_is_read_from_either_end_and_position() -> None:
    page = kept(*({"data": n} for n in range(5)))
    epoch = page.position.epoch
    assert history(page) == []
    assert history(page, limit=2) == [1, 2]
    assert history(page, limit=-1) == [1, 2, 3, 4, 5]
    assert history(page, most=3, limit=-1) == history(page, most=3, limit=9) == [1, 2, 3]
    assert history(page, limit=2, reverse=True) == [5, 4]
    since = {"offset": 3, "epoch": epoch}
    assert history(page, limit=-1, since=since) == [4, 5]
    assert history(page, limit=1, since=since) == [4]
    assert history(page, limit=-1, since=since, reverse=True) == [2, 1]
    assert history(page, limit=-1, since={"offset": 4}) == [5]
    assert history(page, limit=-1, since={}) == [1, 2, 3, 4, 5]
    with pytest.raises(ApiError, match="unrecoverable") as caught:
        history(page, limit=1, since={"offset": 3, "epoch": "other"})
    assert caught.value.code == 112
    with pytest.raises(ApiError, match="since"):
        history(page, limit=1, since={"epoch": epoch}, reverse=True)
