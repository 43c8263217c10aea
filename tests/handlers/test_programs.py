"""Random programs of handlers: which of them are called is what a plain model of the rule says.

Several handlers of one key run in order of registration, and the first that raises stops the rest,
however it raises: at once or after a wait, in a `def` or an `async def`, as a refused word does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glyph_fast.errors import Reject
from tests.wired import Site, settled

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


class Panic(BaseException):
    """As a panic of a Rust extension is one."""


# What a handler does: whether it is an `async def`, whether it waits before, and what it ends in.
ENDS: dict[str, Callable[[], BaseException] | None] = {
    "returns": None,
    "raises": lambda: KeyError("handler"),
    "is cancelled": asyncio.CancelledError,
    "panics": Panic,
    "exits": lambda: SystemExit(3),
}
steps = st.tuples(
    st.sampled_from(["def", "async", "waits", "returns it"]), st.sampled_from([*ENDS])
)
chains = st.lists(steps, min_size=0, max_size=4)

# What a client sends, the handlers that are for it, and whether the built-in word refuses.
MESSAGES: dict[str, tuple[Any, str, bool]] = {
    "text": ("hello", "text", False),
    "envelope": ({"type": "text", "data": "hello"}, "text", False),
    "binary": (b"hello", "binary", False),
    "event": ({"event": "move"}, "event", False),
    "ping": ({"type": "ping"}, "ping", False),
    "join": ({"type": "join_room", "room": "blue"}, "join_room", False),
    "join without a room": ({"type": "join_room"}, "join_room", True),
    "join refused": ({"type": "join_room", "room": "no"}, "join_room", True),
    "join refused later": ({"type": "join_room", "room": "later no"}, "join_room", True),
    "broadcast refused": ({"type": "broadcast", "room": "x", "data": 1}, "broadcast", True),
}
KEYS = ("text", "binary", "event", "ping", "join_room", "broadcast")


def handler(name: str, kind: str, end: str, log: list[str]) -> Callable[..., Any]:
    """A handler that says its name and does what is asked."""

    def finish() -> None:
        log.append(name)
        if (make := ENDS[end]) is not None:
            raise make()

    async def at_once(ctx: Any) -> None:
        finish()

    async def later(ctx: Any) -> None:
        await asyncio.sleep(0)
        finish()

    return {
        "def": lambda ctx: finish(),
        "async": at_once,
        "waits": later,
        "returns it": lambda ctx: at_once(ctx),
    }[kind]


def expected(
    program: dict[str, list[tuple[str, str]]], messages: list[str]
) -> tuple[list[str], int, int]:
    """The handlers called, the failures and the refusals, as the rule has it."""
    log, failures, refusals = [], 0, 0
    for message in messages:
        _, key, is_refused = MESSAGES[message]
        if key == "event" and not program[key]:
            key = "text"  # for want of handlers of the event and of json
        refusals += is_refused
        for i, (_, end) in enumerate([] if is_refused else program[key]):
            log.append(f"{key} {i}")
            if ENDS[end] is not None:
                failures += 1
                break
    return log, failures, refusals


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    program=st.fixed_dictionaries({key: chains for key in KEYS}),
    messages=st.lists(st.sampled_from([*MESSAGES]), max_size=8),
    told=st.sampled_from(["def", "async", "waits"]),
    at_a_time=st.booleans(),
)
def test_the_first_that_fails_stops_those_behind_it(
    run: Run,
    program: dict[str, list[tuple[str, str]]],
    messages: list[str],
    told: str,
    at_a_time: bool,
) -> None:
    async def main() -> tuple[list[str], int, int]:
        site = Site().on_loop()
        log: list[str] = []
        errors: list[str] = []
        for key, chain in program.items():
            register = (
                site.dispatcher.on_event("move")
                if key == "event"
                else site.dispatcher.on_message(key)
            )
            for i, (kind, end) in enumerate(chain):
                register(handler(f"{key} {i}", kind, end, log))

        @site.dispatcher.on_join
        async def judge(conn: Any, room: str) -> bool:
            if room == "no":
                raise Reject(403, "no")
            if room.startswith("later"):
                await asyncio.sleep(0)
            return not room.endswith("no")

        site.dispatcher.on_error(handler("told", told, "returns", errors))
        ada = site.connect()
        if at_a_time:
            for message in messages:
                ada.send(MESSAGES[message][0])
                await settled(ada)
        else:
            ada.send(*(MESSAGES[message][0] for message in messages))
            await settled(ada)
        assert ada.conn.is_open
        metrics = site.hub.metrics
        assert len(errors) == metrics.handler_errors
        return log, metrics.handler_errors, metrics.commands_refused

    assert run(main()) == expected(program, messages)
