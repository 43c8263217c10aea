"""The messages of a run."""

from __future__ import annotations

import json
import zlib

import pytest

from glyph_fast.load.payloads import make_events, make_script, tag_of


@pytest.mark.parametrize("size", [10, 64, 128, 16384, 1 << 20])
def test_payloads_have_the_size_asked_for_and_all_differ(size: int) -> None:
    script = make_script(size, 8, binary=True, tag=3)
    assert {len(payload) for payload in script} == {size}
    assert len(set(script)) == len(script)


@pytest.mark.parametrize("in_flight", [1, 3, 16, 1000])
def test_there_are_more_payloads_than_messages_in_flight(in_flight: int) -> None:
    count = len(make_script(64, in_flight, binary=False))
    assert count > 2 * in_flight
    assert count & (count - 1) == 0


def test_a_payload_carries_its_tag() -> None:
    assert tag_of(make_script(64, 1, binary=False, tag=0xAB)[0]) == 0xAB
    assert tag_of(make_script(64, 1, binary=True, tag=7)[1]) == 7


def test_text_does_not_look_like_json() -> None:
    assert str(make_script(64, 1, binary=False)[0])[0] not in '{["'


def test_json_payloads_are_objects_of_the_size_asked_for() -> None:
    for binary in (False, True):
        script = make_script(64, 8, binary=binary, tag=5, as_json=True)
        assert {len(payload) for payload in script} == {64}
        assert len({json.loads(payload)["id"] for payload in script}) == len(script)
        assert tag_of(script[3]) == 5


def test_events_are_envelopes_of_the_size_asked_for_and_their_answers_are_known() -> None:
    script, answers = make_events("move", 200, 16)
    assert {len(payload) for payload in script} == {200}
    assert len(set(answers)) == len(script) > 32
    for payload, answer in zip(script, answers, strict=True):
        event = json.loads(payload)
        assert (event["type"], event["event"]) == ("json", "move")
        assert json.loads(answer.rstrip(",") + "}") == {"type": "json", "data": event["data"]}


def test_the_smallest_payload_is_one_byte() -> None:
    assert set(map(len, make_script(1, 1, binary=False))) == {1}


def test_words_compress_like_prose() -> None:
    script = make_script(2048, 1, binary=True, words=True)
    assert set(map(len, script)) == {2048}
    assert len({*script}) == len(script)
    assert 1.5 < 2048 / len(zlib.compress(bytes(script[0]))) < 4
