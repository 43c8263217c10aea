"""Fields of commands: what may stand in them, and what is said of anything else."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.admin.centrifugo.errors import BAD_REQUEST, NOT_AVAILABLE, ApiError
from glyph_fast.admin.centrifugo.fields import FIELDS, NOT_HERE, Field, read

# Of each kind of value, one: whatever a field does not accept of these is refused.
VALUES: list[Any] = [
    True, -2, 1.5, 2**70, "text", "=", ["a"], [1], {"a": "b"}, {"a": 1}, {"offset": -1},
    {"offset": 1, "epoch": 2}, {"offset": 1, "more": 1}, {"code": 1}, {"code": 3000, "reason": 1},
    {"code": 3000, "reason": "x" * 124}, {"value": "x"}, ["a"] * 1001, "x" * 2000,
]  # fmt: skip
EVERY = [(method, name) for method, fields in FIELDS.items() for name in fields]


def refused(method: str, body: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(method, body)
    return caught.value


def wrong_for(field: Field) -> list[Any]:
    return [value for value in VALUES if not field.accepts(value)]


@pytest.mark.parametrize(("method", "name"), EVERY)
def test_a_value_of_another_kind_is_refused_by_its_name(method: str, name: str) -> None:
    field = FIELDS[method][name]
    wrong = wrong_for(field)
    assert wrong or field.expected == "any JSON value"
    for value in wrong:
        error = refused(method, {"channel": "c", name: value})
        assert error.code == BAD_REQUEST
        if "channel" in FIELDS[method]:
            assert error.message == f"{name}: expected {field.expected}"


@pytest.mark.parametrize("method", FIELDS)
def test_a_body_is_an_object_of_fields_that_are_known(method: str) -> None:
    for body in ([], "text", 1, None):
        assert refused(method, body).message == "expected a JSON object"
    assert refused(method, {"other": 1}).message == "unknown field 'other'"


def test_what_is_null_is_absent() -> None:
    assert read("publish", {"channel": "c", "data": None, "tags": None}) == {
        "channel": "c", "data": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "name"), [(method, name) for method, names in NOT_HERE.items() for name in names]
)
def test_what_is_not_here_may_only_have_its_zero_value(method: str, name: str) -> None:
    field = FIELDS[method][name]
    zeros = [each for each in ("", 0, {}, False) if field.accepts(each)]
    full = [each for each in (1, "YQ==", {"epoch": "e"}, True, {"a": {"value": True}})
            if field.accepts(each)]  # fmt: skip
    assert zeros and full
    for value in zeros:
        read(method, {"channel": "c", name: value} if "channel" in FIELDS[method] else {})
    body = {name: full[0]} | ({"channel": "c"} if "channel" in FIELDS[method] else {})
    error = refused(method, body)
    assert (error.code, error.message) == (NOT_AVAILABLE, f"{name} is not available")


def test_a_channel_is_needed_where_there_is_one() -> None:
    for method in ("publish", "subscribe", "presence", "presence_stats", "history"):
        for body in ({}, {"channel": ""}, {"channel": None}):
            assert refused(method, body).message == "channel is missing"
    assert read("unsubscribe", {}) == {}
