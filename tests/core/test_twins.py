"""Both twins are fed the same random conversations, cut alike, and must agree in everything."""

from __future__ import annotations

from types import ModuleType

import glyph_fast._core as compiled
from hypothesis import given, settings
from hypothesis import strategies as st

import glyph_fast._fallback as python
from tests.core.peer import CLIENT, SERVER, Peer
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
    state = (peer.conn.phase, peer.conn.queued_messages, peer.conn.queued_bytes)
    peer.sink.takes.clear()
    peer.conn.flush()
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


def schedule(core: ModuleType, steps: list[tuple[str, int]], policy: int) -> object:
    peer = Peer(core, queue_messages=5, queue_bytes=120, queue_policy=policy, takes=[0] * 999)
    room = core.Room()
    room.add(peer.conn)
    seen: list[object] = []
    for step, number in steps:
        if step == "send" and peer.conn.is_open:
            seen.append(peer.conn.send("s" * number))
        elif step == "reply":
            peer.handler.on_message = lambda conn, _, payload: seen.extend(
                map(conn.send, (payload, payload.encode() * 3)[: 1 + len(payload) % 2])
            )
            peer.conn.feed(client(0x81, b"r" * number))
        elif step == "publish":
            seen.append(room.publish(core.Frame(b"p" * number)))
        elif step == "flush":
            peer.flush()
        elif step == "ping":
            peer.feed(client(0x89, str(number).encode()))
        elif step == "take":
            peer.sink.takes[0:0] = [number]
            peer.conn.flush()
        seen.append((peer.conn.queued_messages, peer.conn.queued_bytes, peer.conn.is_full))
    peer.flush()
    handler = peer.handler
    return seen, peer.sink.written, handler.full_calls, handler.drained, handler.closed
