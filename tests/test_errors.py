"""The errors: what they are, what they carry and how they read."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from glyph_fast import errors
from glyph_fast.client import ClientError
from glyph_fast.http.headers import MissingFromRequest
from glyph_fast.publisher import PublishError

PUBLIC = {
    "CallFailed",
    "CallTimeout",
    "BrokerUnavailable",
    "ConfigError",
    "ConnectionClosed",
    "ConnectionNotFound",
    "GlyphFastError",
    "GlyphSyntaxError",
    "HistoryLost",
    "InvalidMessage",
    "Reject",
    "RoomFull",
    "RoomNotFound",
}
INTERNAL = {"BrokerRefused", "HandshakeError", "ListenError", "ProtocolError"}

TEXTS = [
    (errors.ConnectionClosed(), "connection closed with code 1006"),
    (errors.ConnectionClosed(1000, "bye"), "connection closed with code 1000: bye"),
    (errors.RoomNotFound("a b"), "room not found: 'a b'"),
    (errors.ConnectionNotFound("x"), "connection not found: 'x'"),
    (errors.RoomFull("lobby", 2), "room is full"),
    (
        errors.HistoryLost("r", ("e", 5)),
        "the history of room 'r' does not reach back so far",
    ),
    (errors.BrokerUnavailable("try again"), "try again"),
    (errors.Reject(401, "no"), "rejected with status 401"),
    (errors.GlyphSyntaxError("unexpected '}'", 3, 7), "unexpected '}'"),
    (errors.ProtocolError(1002, "reserved bits set"), "reserved bits set"),
    (errors.HandshakeError(400, "bad request"), "bad request"),
]


def test_a_reject_that_begins_with_its_text_says_so() -> None:
    with pytest.raises(TypeError, match=r"as in Reject\(403, 'not yours'\)"):
        errors.Reject("not yours")  # type: ignore[arg-type]


CARRIED = [
    (errors.ConnectionClosed(1001, "bye"), {"code": 1001, "reason": "bye"}),
    (errors.RoomNotFound("r"), {"name": "r"}),
    (errors.ConnectionNotFound("x"), {"connection_id": "x"}),
    (errors.RoomFull("r", 2), {"name": "r", "limit": 2}),
    (errors.HistoryLost("r", ("e", 5)), {"name": "r", "position": ("e", 5)}),
    (errors.BrokerUnavailable(), {}),
    (errors.Reject(), {"status": 403, "body": "", "headers": {}}),
    (errors.Reject(401, b"x", {"A": "b"}), {"status": 401, "body": b"x", "headers": {"A": "b"}}),
    (errors.GlyphSyntaxError("m", 3, 7), {"line": 3, "column": 7}),
    (errors.ProtocolError(1002, "m"), {"code": 1002, "reason": "m"}),
    (errors.HandshakeError(400, "m"), {"status": 400, "reason": "m", "headers": {}}),
]


def test_an_application_can_catch_every_public_error_by_its_base() -> None:
    found = {name: cls for name, cls in inspect.getmembers(errors, inspect.isclass)}
    ours = {name for name, cls in found.items() if cls.__module__ == errors.__name__}
    assert ours == PUBLIC | INTERNAL
    assert {name for name in ours if issubclass(found[name], errors.GlyphFastError)} == PUBLIC


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_reads(error: Exception, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(("error", "values"), CARRIED, ids=lambda value: type(value).__name__)
def test_carries_what_its_handler_needs(error: Exception, values: dict[str, object]) -> None:
    assert {name: getattr(error, name) for name in values} == values


ELSEWHERE = [
    ClientError("not open", maybe_sent=True),
    MissingFromRequest("form field", "a"),
    PublishError("no such room", 404),
]


@pytest.mark.parametrize(
    "error",
    [*(error for error, _ in CARRIED if isinstance(error, errors.GlyphFastError)), *ELSEWHERE],
    ids=lambda error: type(error).__name__,
)
def test_can_leave_the_process_that_raised_it(error: errors.GlyphFastError) -> None:
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.args == error.args
        assert vars(again) == vars(error)


def test_an_error_of_another_process_is_raised_here() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(errors.Reject) as refused:
            pool.submit(_refuse).result(60)
    assert refused.value.status == 402


def _refuse() -> None:
    raise errors.Reject(402, {"error": "pay first"})


def test_a_rejection_keeps_its_own_headers() -> None:
    headers = {"A": "b"}
    error = errors.Reject(headers=headers)
    headers["A"] = "c"
    assert error.headers == {"A": "b"}
