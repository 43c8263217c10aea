"""Values of running programs."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.runtime.values import (
    ABSENT,
    Failure,
    FunctionValue,
    Future,
    Headers,
    Reply,
    Result,
    Stop,
    kind,
    unknown_function,
    wrong_arity,
)


def test_every_value_has_a_name_for_messages() -> None:
    function = FunctionValue("f", lambda *_: None, 0, 0)
    named = [None, True, 1, 1.0, 1.5, "", [], {}, Headers(), Result(True, 1), function, Reply(200)]
    assert [kind(value) for value in named] == [
        "null",
        "a boolean",
        "an integer",
        "an integer",
        "a float",
        "a string",
        "an array",
        "an object",
        "an object",
        "a Result",
        "a function",
        "a response",
    ]
    assert kind(ABSENT) == "a value" and repr(ABSENT) == "ABSENT"


def test_headers_keep_the_first_of_a_name_and_leave_host_out() -> None:
    headers = Headers.of([("x-test", "1"), ("X-TEST", "2"), ("HOST", "h"), ("content-type", "t")])
    assert headers == {"X-Test": "1", "Content-Type": "t"}
    assert headers.get("X-TEST") == "1"
    assert headers.get("nope") is None


def test_a_future_fails_each_time_it_is_asked() -> None:
    def fails() -> None:
        raise Failure("x")

    def stops() -> None:
        raise Stop(404, "y")

    for block, error in ((fails, Failure), (stops, Stop)):
        future = Future(block)
        for _ in range(2):
            with pytest.raises(error):
                future.result()
    assert Future(lambda: 5).result() == 5


def test_a_defect_of_ours_is_not_kept_for_later() -> None:
    def broken() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        Future(broken)


def test_functions_check_how_many_arguments_they_get() -> None:
    function = FunctionValue("f", lambda event, steps, depth, *args: args, 1, 2)
    assert function.call(None, None, 0, 1, 2) == (1, 2)
    with pytest.raises(Failure, match="`f` cannot take 3 arguments"):
        function.call(None, None, 0, 1, 2, 3)


def test_calls_that_cannot_succeed_fail() -> None:
    with pytest.raises(Failure, match="unknown function `f`"):
        unknown_function("f", 1, 2)
    with pytest.raises(Failure, match="`f` cannot take 1 argument$"):
        wrong_arity("f", 1, "x")
