"""Masking, encoding, and the numbers both cores share with `wire`."""

from __future__ import annotations

import pytest

from glyph_fast.wire import BINARY, PING, TEXT
from tests.vectors import FRAMES, KEY, MASKED_HELLO, FrameVector

frames = pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)


def test_vectors_agree_with_the_rfc():
    assert FRAMES[0].masked == MASKED_HELLO


@frames
def test_encoding_gives_the_bytes_of_the_table(core, frame: FrameVector):
    assert core.encode_frame(frame.opcode, frame.payload, fin=frame.fin) == frame.plain
    assert core.encode_frame(frame.opcode, frame.payload, fin=frame.fin, key=KEY) == frame.masked


def test_text_is_encoded_as_utf8(core):
    assert core.encode_frame(TEXT, "né") == b"\x81\x03n\xc3\xa9"


def test_rsv1_is_set_on_request(core):
    assert core.encode_frame(TEXT, b"", rsv1=True)[0] == 0xC1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((16, b""), "an opcode is between 0 and 15, not 16"),
        ((-1, b""), "an opcode is between 0 and 15, not -1"),
        ((PING, b"x" * 126), "a control frame has at most 125 bytes and is not fragmented"),
    ],
)
def test_impossible_frames_are_refused(core, arguments, text):
    with pytest.raises(ValueError, match=text):
        core.encode_frame(*arguments)


def test_fragmented_control_frame_is_refused(core):
    with pytest.raises(ValueError, match="not fragmented"):
        core.encode_frame(PING, b"", fin=False)


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_key_of_another_length_is_refused(core, key):
    text = f"a masking key has 4 bytes, not {len(key)}"
    with pytest.raises(ValueError, match=text):
        core.apply_mask(bytearray(8), key)
    with pytest.raises(ValueError, match=text):
        core.encode_frame(TEXT, b"x", key=key)


@pytest.mark.parametrize("phase", range(4))
@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("size", [0, 1, 3, 7, 8, 9, 31, 64, 1000])
def test_masking_any_alignment_and_phase(core, size, offset, phase):
    data = bytes(i * 7 & 0xFF for i in range(size))
    buffer = bytearray(b"\xaa" * offset + data + b"\xaa" * 5)
    core.apply_mask(memoryview(buffer)[offset : offset + size], KEY, phase)
    expected = bytes(byte ^ KEY[(i + phase) % 4] for i, byte in enumerate(data))
    assert bytes(buffer) == b"\xaa" * offset + expected + b"\xaa" * 5


class Json:
    def to_json(self) -> bytes:
        return b'{"a":1}'


@pytest.mark.parametrize(
    ("message", "opcode", "payload"),
    [
        ("hé", TEXT, b"h\xc3\xa9"),
        ("", TEXT, b""),
        (b"\0\xff", BINARY, b"\0\xff"),
        (bytearray(b"ab"), BINARY, b"ab"),
        (memoryview(b"ab"), BINARY, b"ab"),
        (Json(), TEXT, b'{"a":1}'),
        ("x" * 70000, TEXT, b"x" * 70000),
    ],
    ids=["str", "empty", "bytes", "bytearray", "memoryview", "to_json", "long"],
)
def test_frame_of_a_message(core, message, opcode, payload):
    frame = core.Frame(message)
    assert (frame.opcode, frame.payload) == (opcode, payload)
    assert frame.data == core.encode_frame(opcode, payload)
    assert frame.variants is None


@pytest.mark.parametrize("message", [None, 1, {"a": 1}, ["x"]])
def test_frame_of_anything_else_is_refused(core, message):
    with pytest.raises(TypeError, match="not .*: send_json and broadcast_json take values"):
        core.Frame(message)


def test_text_that_has_no_utf8_is_refused(core):
    with pytest.raises(UnicodeEncodeError):
        core.Frame("\ud800")
