"""Both twins are fed the same random conversations, cut alike, and must agree in everything."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import glyph_fast._core as compiled
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glyph_fast._pure as python
from glyph_fast.wire import SendResult
from tests.core.peer import CLIENT, SERVER, Peer
from tests.core.schedules import schedule
from tests.vectors import VIOLATIONS, client

sizes = st.sampled_from([0, 1, 7, 125, 126, 200, 65535, 65536])
payloads = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    sizes.map(lambda size: bytes(i & 0x7F for i in range(size))),
)
keys = st.binary(min_size=4, max_size=4)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message in one or several frames, perhaps with control frames between them."""
    opcode = draw(st.sampled_from([1, 2]))
    parts = draw(st.lists(payloads, min_size=1, max_size=4))
    out = b""
    for i, part in enumerate(parts):
        first = (opcode if i == 0 else 0) | (0x80 if i == len(parts) - 1 else 0)
        key = draw(keys)
        frame = python.encode_frame(first & 0x0F, part, fin=bool(first & 0x80), key=key)
        out += frame
        if draw(st.booleans()):
            out += client(draw(st.sampled_from([0x89, 0x8A])), draw(st.binary(max_size=8)))
    return out


pieces = st.one_of(
    messages(),
    st.binary(max_size=6),
    st.sampled_from([case.data for case in VIOLATIONS]),
    st.binary(max_size=20).map(lambda payload: client(0x88, payload)),
)
conversations = st.lists(pieces, max_size=6).map(b"".join)
cuts = st.lists(st.integers(min_value=1, max_value=70_000), max_size=12)


RATES = [
    {"message_rate": 0.5, "message_burst": 2},
    {"byte_rate": 100.0, "byte_burst": 200},
    {"message_rate": 1.0, "message_burst": 3, "byte_rate": 9.0, "byte_burst": 9},
    {"message_rate": 1.0, "message_burst": 1, "rate_disconnects": True},
]


def talk(
    core: ModuleType,
    data: bytes,
    cut: list[int],
    takes: list[int],
    role: int,
    **limits: float,
) -> object:
    """Feed a conversation to an echo server; everything observable about it."""
    peer = Peer(core, role=role, takes=takes, max_message_size=100_000, **limits)
    if role == SERVER:
        peer.handler.on_message = lambda conn, opcode, payload: conn.is_open and conn.send(payload)
    for size in cut:
        piece, data = data[:size], data[size:]
        peer.feed(piece)
        peer.now += 0.3
    peer.feed(data)
    state = (peer.conn._phase, peer.conn.queued_messages, peer.conn.queued_bytes)
    peer.sink.takes.clear()
    peer.conn._flush()
    peer.sweep(8)
    counters = {
        name: getattr(peer.turn.counters, name)
        for name in python.Counters.__slots__
        if not name.endswith("_seconds") and (role == SERVER or "bytes_sent" not in name)
    }
    masked = role == CLIENT  # with random keys
    return (
        peer.handler.messages,
        [(type(exc), str(exc)) for exc in peer.handler.failures],
        peer.handler.closed,
        len(peer.sink.written) if masked else peer.sink.written,
        peer.sink.events,
        (peer.conn.close_code, peer.conn.close_reason),
        state,
        counters,
    )


@settings(max_examples=300, deadline=None)
@given(conversations, cuts, st.lists(st.integers(0, 300), max_size=20))
def test_twins_agree_on_any_conversation(data, cut, takes):
    ours = talk(compiled, data, cut, list(takes), SERVER)
    assert ours == talk(python, data, cut, list(takes), SERVER)


@settings(max_examples=150, deadline=None)
@given(conversations, cuts, st.sampled_from(RATES))
def test_twins_agree_on_what_is_beyond_a_rate(data, cut, rates):
    ours = talk(compiled, data, cut, [], SERVER, **rates)
    assert ours == talk(python, data, cut, [], SERVER, **rates)


@settings(max_examples=100, deadline=None)
@given(conversations, cuts)
def test_twins_agree_as_clients(data, cut):
    assert talk(compiled, data, cut, [], CLIENT) == talk(python, data, cut, [], CLIENT)


@settings(max_examples=150, deadline=None)
@given(conversations, cuts)
def test_pieces_do_not_matter(core, data, cut):
    whole, cut_up = talk(core, data, [], [], SERVER), talk(core, data, cut, [], SERVER)
    assert whole[0] == cut_up[0]  # type: ignore[index]
    assert whole[2] == cut_up[2]  # type: ignore[index]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), keys, st.integers(0, 1000), st.integers(0, 9))
def test_twins_mask_alike(data, key, phase, skip):
    ours, theirs = bytearray(data), bytearray(data)
    compiled.apply_mask(memoryview(ours)[skip:], key, phase)
    python.apply_mask(memoryview(theirs)[skip:], key, phase)
    assert ours == theirs


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "reply", "reply", "publish", "flush", "ping", "take"]),
            st.integers(0, 60),
        ),
        max_size=60,
    ),
    st.sampled_from(range(4)),
)
def test_queues_agree_under_any_schedule(steps, policy):
    """Sends, replies, publishes, pings and a sink that takes what it likes: same results, bytes."""
    assert schedule(compiled, steps, policy) == schedule(python, steps, policy)


ends = st.sampled_from(
    ["returns", "raises", "replies", "value", "async", "async raises", "waits", "waits to be told"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(ends, max_size=4), max_size=6), st.lists(st.booleans(), max_size=6))
def test_twins_call_the_same_handlers(programs, opcodes):
    assert dispatch(compiled, programs, opcodes) == dispatch(python, programs, opcodes)


def dispatch(core: ModuleType, programs: list[list[str]], opcodes: list[bool]) -> object:
    """Give one message to each program of handlers; who was called, and what came of it."""
    log: list[object] = []

    def handler(name: str, end: str) -> Any:
        def call(ctx: Any) -> object:
            log.append((name, ctx.message.data, ctx.message.type))
            if "raises" in end and not end.startswith("async") or end == "waits to be told":
                raise KeyError(end)
            return {"replies": SendResult(1, 0, 0), "returns": None}.get(end, end)

        return call

    class Dispatch(core.Dispatch):  # type: ignore[name-defined,misc]
        def _unhandled(self) -> None:
            log.append("unhandled")

        def _go_on(self, conn: Any, ctx: Any, calls: Any, index: int, result: Any) -> bool:
            log.append(("goes on", index, result))
            if result == "async raises":
                raise ValueError(result)
            return result != "waits"

        def _fail(self, conn: Any, ctx: Any, call: Any, exc: BaseException) -> bool:
            log.append(("failed", type(exc), str(exc)))
            return "told" not in str(exc)

    peer = Peer(core)
    told = Dispatch(None, core.Message, core.Context, "text", "binary")
    for i, program in enumerate(programs):
        plan = peer.conn._plan = core.Plan()
        plan.text = plan.binary = tuple(handler(f"{i} {j}", e) for j, e in enumerate(program))
        is_text = i < len(opcodes) and opcodes[i]
        log.append(told.handle(peer.conn, 1 if is_text else 2, f"{i}" if is_text else b"%d" % i))
        for index in (0, len(program), len(program) + 3):
            ctx = core.Context(peer.conn, core.Message(), None)
            ctx.message.type, ctx.message.data = "text", index
            log.append(told.run(peer.conn, ctx, plan.text, index))
    return log


@pytest.mark.parametrize("index", [-1, -2, -(2**40)])
def test_handlers_before_the_first_are_refused(core, index):
    dispatch = core.Dispatch(None, core.Message, core.Context, "text", "binary")
    conn = Peer(core).conn
    with pytest.raises(ValueError, match=f"index is {index}, expected 0 or more"):
        dispatch.run(conn, core.Context(conn, core.Message(), None), (print,), index)
