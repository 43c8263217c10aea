"""permessage-deflate: what is agreed on, and codecs that keep to it, limits included."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph_fast.core import Frame
from glyph_fast.errors import HandshakeError, ProtocolError
from glyph_fast.websocket.deflate import (
    CLIENT_OFFER,
    ClientCodec,
    Deflate,
    Parameters,
    accept,
    negotiate,
)
from glyph_fast.websocket.handshake import parse_extensions

TEXT = '{"type":"quote","symbol":"ABC","bid":10.25,"ask":10.5}' * 20


# One row an offer: what `shared` and what `dedicated` answer; None declines.
OFFERS = [
    (
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate",
    ),
    (
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=12",
    ),
    (
        "permessage-deflate; client_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "client_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=10",
    ),
    (
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "client_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=8",
    ),
    (
        "permessage-deflate; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=9",
    ),
    (
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover",
    ),
    (
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
    ),
    (
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=15",
        "permessage-deflate; server_max_window_bits=12",
    ),
    ("permessage-deflate; server_max_window_bits=8", None, None),
    ("permessage-deflate; server_max_window_bits", None, None),
    ("permessage-deflate; server_max_window_bits=7", None, None),
    ("permessage-deflate; server_max_window_bits=16", None, None),
    ("permessage-deflate; server_max_window_bits=010", None, None),
    ("permessage-deflate; client_max_window_bits=x", None, None),
    ("permessage-deflate; client_no_context_takeover=1", None, None),
    ("permessage-deflate; unknown", None, None),
    ("permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", None, None),
    ("x-webkit-deflate-frame", None, None),
    (
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate",
    ),
    (
        'permessage-deflate; server_max_window_bits="11"',
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=11",
    ),
]


@pytest.mark.parametrize(("offer", "shared", "dedicated"), OFFERS, ids=[row[0] for row in OFFERS])
def test_offer_is_answered_as_the_table_says(offer, shared, dedicated):
    for mode, expected in (("shared", shared), ("dedicated", dedicated)):
        agreed = negotiate([offer], mode)
        assert (agreed and agreed[0]) == expected


def test_broken_grammar_is_a_bad_request():
    with pytest.raises(HandshakeError) as caught:
        negotiate(["permessage-deflate; =1"], "shared")
    assert caught.value.status == 400


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="shared or dedicated, not 'off'"):
        Deflate("off")


def codec_for(mode: str, offer: str = "permessage-deflate; client_max_window_bits", size: int = 64):
    agreed = Deflate(mode, size).agree([offer])
    assert agreed is not None
    return agreed[1]


def leave(codec, frame: Frame) -> bytes:
    """The bytes of a frame as they leave, as the core asks for them."""
    data = codec.encode(frame)
    return codec.pack(data) if hasattr(codec, "pack") else data


class Client:
    """A plain zlib peer with windows of any size, keeping its contexts unless told otherwise."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.inflater = zlib.decompressobj(-parameters.server_max_window_bits)
        self.deflater = zlib.compressobj(6, zlib.DEFLATED, -parameters.client_max_window_bits)

    def read(self, frame: bytes) -> bytes:
        head = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
        if not frame[0] & 0x40:
            return frame[head:]
        data = self.inflater.decompress(frame[head:] + b"\0\0\xff\xff")
        if self.parameters.server_no_context_takeover:
            self.inflater = zlib.decompressobj(-self.parameters.server_max_window_bits)
        return data

    def write(self, payload: bytes) -> bytes:
        data = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        if self.parameters.client_no_context_takeover:
            self.deflater = zlib.compressobj(
                6, zlib.DEFLATED, -self.parameters.client_max_window_bits
            )
        return data[:-4]


MODES = pytest.mark.parametrize("mode", ["shared", "dedicated"])
BITS = pytest.mark.parametrize("bits", range(9, 16))


@MODES
@BITS
def test_peer_with_any_window_reads_and_is_read(mode, bits):
    offer = f"permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}"
    codec = codec_for(mode, offer)
    client = Client(codec.parameters)
    for i in range(20):
        payload = (TEXT * 3 + str(i)).encode() + os.urandom(5000)
        assert client.read(leave(codec, Frame(payload))) == payload
        assert codec.decode(client.write(payload), 1 << 20) == payload


def test_broadcast_is_compressed_once_for_equal_parameters():
    deflate = Deflate("shared", 64)
    offers = ["permessage-deflate"] * 3 + ["permessage-deflate; server_max_window_bits=10"]
    codecs = [agreed[1] for offer in offers if (agreed := deflate.agree([offer]))]
    frame = Frame(TEXT)
    encoded = [codec.encode(frame) for codec in codecs]
    assert encoded[0] is encoded[1] is encoded[2]
    assert encoded[3] is not encoded[0]
    assert codecs[0] is codecs[1]


@MODES
def test_small_messages_go_uncompressed(mode):
    codec = codec_for(mode, size=512)
    for text in ("", "x" * 100):
        frame = Frame(text)
        assert leave(codec, frame) is frame.data


def test_message_that_would_grow_goes_uncompressed():
    codec = codec_for("shared")
    frame = Frame(os.urandom(1000))
    assert codec.encode(frame) is frame.data


def test_context_pays_for_messages_that_resemble_each_other():
    codec = codec_for("dedicated")
    first, second = (len(leave(codec, Frame(TEXT))) for _ in range(2))
    assert second < first / 2


@MODES
def test_bomb_is_cut_at_the_limit(mode):
    codec = codec_for(mode)
    bomb = Client(codec.parameters).write(bytes(50_000_000))
    assert len(bomb) < 60_000
    with pytest.raises(ProtocolError) as caught:
        codec.decode(bomb, 100_000)
    assert caught.value.code == 1009


@MODES
def test_message_of_exactly_the_limit_passes(mode):
    codec = codec_for(mode)
    payload = bytes(100_000)
    assert codec.decode(Client(codec.parameters).write(payload), 100_000) == payload


@MODES
@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff",
        b"\x07",
        b"garbage!",
        b"\x00\x0a\x00\xf5\xffonly",  # a stored block of ten bytes, six of which do not come
        bytes.fromhex("f248cdc9c907")[:5],  # "Hello", cut
    ],
    ids=repr,
)
def test_data_that_is_not_deflate_is_refused(mode, payload):
    with pytest.raises(ProtocolError) as caught:
        codec_for(mode).decode(payload, 1000)
    assert caught.value.code == 1007


@MODES
def test_final_block_ends_the_context_not_the_conversation(mode):
    codec = codec_for(mode)
    for _ in range(3):
        deflater = zlib.compressobj(6, zlib.DEFLATED, -codec.parameters.client_max_window_bits)
        final = deflater.compress(b"Hello") + deflater.flush(zlib.Z_FINISH)
        assert codec.decode(final + b"\x00", 1000) == b"Hello"  # RFC 7692 §7.2.3.4


@MODES
def test_compressed_message_of_no_bytes_is_empty_and_harms_no_context(mode):
    codec = codec_for(mode)
    hello = bytes.fromhex("f248cdc9c90700")
    assert [codec.decode(data, 100) for data in (hello, b"", hello)] == [b"Hello", b"", b"Hello"]


@MODES
def test_example_of_the_rfc_inflates(mode):
    codec = codec_for(mode)
    assert codec.decode(bytes.fromhex("f248cdc9c90700"), 100) == b"Hello"  # RFC 7692 §7.2.3.1
    assert codec.decode(bytes.fromhex("f248cdc9c90700"), 100) == b"Hello"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=8), st.sampled_from(["shared", "dedicated"]))
def test_any_messages_survive_the_round_trip(payloads, mode):
    codec = codec_for(mode, size=0)
    client = Client(codec.parameters)
    for payload in payloads:
        assert client.read(leave(codec, Frame(payload))) == payload
        assert codec.decode(client.write(payload), 10_000) == payload


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["shared", "dedicated"]))
def test_no_bytes_break_the_inflater(payload, mode):
    try:
        assert len(codec_for(mode).decode(payload, 1000)) <= 1000
    except ProtocolError as exc:
        assert exc.code in (1007, 1009)


# The client's role.

PLAIN = "permessage-deflate"
# One row an answer: what was offered, what the server says, and what is agreed on; None refuses.
ANSWERS: list[tuple[str, str, Parameters | None]] = [
    (CLIENT_OFFER, PLAIN, Parameters(False, False, 15, 15)),
    (CLIENT_OFFER, f"{PLAIN}; client_max_window_bits=10", Parameters(False, False, 15, 10)),
    (CLIENT_OFFER, f"{PLAIN}; client_max_window_bits=8", Parameters(False, False, 15, 8)),
    (CLIENT_OFFER, f"{PLAIN}; server_max_window_bits=9", Parameters(False, False, 9, 15)),
    (CLIENT_OFFER, f"{PLAIN}; server_no_context_takeover", Parameters(True, False, 15, 15)),
    (CLIENT_OFFER, f"{PLAIN}; client_no_context_takeover", Parameters(False, True, 15, 15)),
    (f"{PLAIN}; client_no_context_takeover", PLAIN, Parameters(False, True, 15, 15)),
    (
        f"{PLAIN}; server_no_context_takeover; server_max_window_bits=12",
        f"{PLAIN}; server_max_window_bits=11; server_no_context_takeover",
        Parameters(True, False, 11, 15),
    ),
    # What was not offered, or not so.
    (PLAIN, f"{PLAIN}; client_max_window_bits=15", None),
    (f"{PLAIN}; client_max_window_bits=10", f"{PLAIN}; client_max_window_bits=11", None),
    (f"{PLAIN}; server_max_window_bits=10", PLAIN, None),
    (f"{PLAIN}; server_max_window_bits=10", f"{PLAIN}; server_max_window_bits=11", None),
    (f"{PLAIN}; server_no_context_takeover", PLAIN, None),
    (CLIENT_OFFER, "x-webkit-deflate-frame", None),
    (CLIENT_OFFER, f"{PLAIN}, {PLAIN}", None),
    # What makes no sense.
    (CLIENT_OFFER, f"{PLAIN}; client_max_window_bits", None),
    (CLIENT_OFFER, f"{PLAIN}; server_max_window_bits", None),
    (CLIENT_OFFER, f"{PLAIN}; server_max_window_bits=16", None),
    (CLIENT_OFFER, f"{PLAIN}; server_no_context_takeover=1", None),
    (CLIENT_OFFER, f"{PLAIN}; unknown", None),
    (CLIENT_OFFER, f"{PLAIN}; client_max_window_bits=9; client_max_window_bits=9", None),
]


@pytest.mark.parametrize(("offer", "answer", "agreed"), ANSWERS)
def test_an_answer_is_judged_as_the_table_says(offer, answer, agreed):
    if agreed is not None:
        assert accept(parse_extensions([answer]), offer) == agreed
    else:
        with pytest.raises(HandshakeError) as caught:
            accept(parse_extensions([answer]), offer)
        assert caught.value.status == 400


def test_an_answer_without_extensions_means_none():
    assert accept([]) is None


def unmasked(frame: bytes) -> tuple[bool, bytes]:
    """Whether RSV1 is set in a masked frame, and its payload."""
    assert frame[1] & 0x80
    head = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
    key, data = frame[head : head + 4], frame[head + 4 :]
    return bool(frame[0] & 0x40), bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


@MODES
@pytest.mark.parametrize(
    "extra", ["", "; client_no_context_takeover", "; server_no_context_takeover"]
)
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_both_roles_understand_each_other(mode, bits, extra):
    offer = f"{CLIENT_OFFER}={bits}; server_max_window_bits={bits}{extra}"
    agreement = Deflate(mode, 64).agree([offer])
    parameters = accept(parse_extensions([agreement.header]), offer)
    server, client = agreement.codec, ClientCodec(parameters, 64)
    for i in range(10):
        payload = (TEXT + str(i)).encode() + os.urandom(300)
        is_packed, data = unmasked(client.pack(client.encode(Frame(payload))))
        assert is_packed
        assert server.decode(data, 1 << 20) == payload
        frame = leave(server, Frame(payload))
        assert frame[0] & 0x40
        assert client.decode(frame[4:], 1 << 20) == payload
    assert unmasked(client.pack(client.encode(Frame(b"short")))) == (False, b"short")


def test_a_client_that_may_only_use_a_window_of_8_bits_does_not_compress():
    parameters = accept(parse_extensions([f"{PLAIN}; client_max_window_bits=8"]))
    client = ClientCodec(parameters)
    payload = b"x" * 1000
    assert unmasked(client.pack(client.encode(Frame(payload)))) == (False, payload)
