"""What comes over a link, cut into frames and into runs of them."""

from __future__ import annotations

import random

import pytest

from glyph_fast.broker.crossing import pack
from glyph_fast.broker.frames import HEAD, LARGEST, BadFrame, Kind, frame
from glyph_fast.broker.splitting import Splitter, count
from glyph_fast.dialects.publication import EVERYONE, ROOM, publication


def packed(room: str | None, message: str | bytes = "hi", exclude: str | None = None) -> bytes:
    found = pack(publication(EVERYONE if room is None else ROOM, room, message, exclude))
    assert found is not None
    return found


def test_frames_come_whole_however_the_stream_is_cut() -> None:
    draw = random.Random(1)
    frames = [frame(Kind.PUBLISH, draw.randbytes(draw.choice((0, 1, 9, 300)))) for _ in range(200)]
    stream = b"".join(frames)
    splitter, found, at = Splitter(), [], 0
    while at < len(stream):
        size = draw.choice((1, 2, 3, 4, 5, 7, 64, 1000))
        found += splitter.split(stream[at : at + size])
        at += size
    assert found == frames


def test_a_large_frame_is_joined_once() -> None:
    large = frame(Kind.PUBLISH, bytes(1_000_000))
    splitter = Splitter()
    pieces = [large[at : at + 1000] for at in range(0, len(large), 1000)]
    found = [each for piece in pieces for each in splitter.split(piece)]
    assert found == [large]


@pytest.mark.parametrize("length", [0, LARGEST + 1, 2**32 - 1])
def test_what_cannot_be_a_frame_is_refused_at_its_head(length: int) -> None:
    with pytest.raises(BadFrame, match=f"{length} bytes"):
        Splitter().split(HEAD.pack(length, Kind.PUBLISH))


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65_535, 65_536, 17_000_000])
def test_lengths_are_read_whatever_their_bytes(size: int) -> None:
    one = frame(Kind.PUBLISH, bytes(size))
    assert Splitter().split(one * 2) == [one, one]
    assert count(one * 2) == 2


def test_publications_for_one_room_that_follow_each_other_are_a_run() -> None:
    blue = packed("blue") + packed("blue", b"\xff" * 300) + packed("blue", "ho", "a" * 32)
    others = [
        packed("blau"), packed("bluebird"), packed("blu"), packed(None), packed(None),
        frame(Kind.SUBSCRIBE, b"red"), frame(Kind.SUBSCRIBE, b"red"), packed("red"),
    ]  # fmt: skip
    stream = b"".join([blue, *others, blue])
    assert Splitter(joins=True).split(stream) == [blue, *others, blue]
    assert count(blue) == 3
    assert Splitter().split(blue)[0] == packed("blue")


def test_runs_hold_whole_frames_however_the_stream_is_cut() -> None:
    draw = random.Random(2)
    frames = [packed(draw.choice(("a", "b")), draw.randbytes(draw.choice((0, 9, 300))))
              for _ in range(200)]  # fmt: skip
    stream = b"".join(frames)
    splitter, found, at = Splitter(joins=True), [], 0
    while at < len(stream):
        size = draw.choice((1, 2, 3, 5, 64, 1000))
        found += splitter.split(stream[at : at + size])
        at += size
    assert [each for run in found for each in Splitter().split(run)] == frames
    assert sum(map(count, found)) == len(frames) > len(found)


@pytest.mark.parametrize("body", [b"", b"\1", b"\1\1\xff\xff\0\0\0\0", b"\1\1\4\0\0\0\0\0blu"])
def test_what_is_cut_short_joins_no_run(body: bytes) -> None:
    short, blue = frame(Kind.PUBLISH, body), packed("blue")
    assert Splitter(joins=True).split(short * 2 + blue + short) == [short, short, blue, short]
