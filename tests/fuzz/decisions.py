"""Where wsproto and websockets hear something else than the RFCs say: a row for each reason.

Every row holds an example, and the test that walks the table keeps it true. A disagreement in a
random conversation has to be one that a row speaks of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from glyph_fast.core import encode_frame
from tests.fuzz.conversations import deflated_by
from tests.fuzz.model import Judgement
from tests.fuzz.oracles import MAX_MESSAGE, Heard

KEY = b"\x01\x02\x03\x04"


class Decision(NamedTuple):
    """One kind of disagreement with one of the others, and why the RFCs are on our side."""

    oracle: str
    name: str
    deflate: bool
    example: bytes
    close: int | None  # that the other sends
    reason: str
    applies: Callable[[Judgement, Heard], bool]


def frame(opcode: int, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    return encode_frame(opcode, payload, fin=fin, rsv1=rsv1, key=KEY)


def heard_the_same(judgement: Judgement, theirs: Heard) -> bool:
    return judgement.heard[:2] == theirs[:2]


def is_late(judgement: Judgement, theirs: Heard) -> bool:
    return (
        heard_the_same(judgement, theirs)
        and theirs.close is None
        and judgement.rule not in ("", "size")
    )


def differs(*rules: str, code: int) -> Callable[[Judgement, Heard], bool]:
    """Another code for a breach of one of `rules`."""
    return lambda judgement, theirs: (
        judgement.rule in rules and theirs.close == code and heard_the_same(judgement, theirs)
    )


def is_early(judgement: Judgement, theirs: Heard) -> bool:
    messages, pongs = judgement.heard[:2]
    return (
        judgement.in_packed
        and theirs.close == 1002
        and theirs.messages == messages[: len(theirs.messages)]
        and theirs.pongs == pongs[: len(theirs.pongs)]
    )


def refuses_1014(judgement: Judgement, theirs: Heard) -> bool:
    asked = judgement.heard.close == 1014 or judgement.rule == "close reason"
    return asked and theirs.close == 1002 and heard_the_same(judgement, theirs)


DECISIONS = [
    Decision(
        "websockets",
        "judges a frame when all of it is there",
        False,
        b"\xb1",
        None,
        "RFC 6455 §5.2 has reserved bits fail the connection and does not say when. At the first "
        "byte nothing of the frame is kept, and Autobahn's cases 6.4.* ask for it.",
        is_late,
    ),
    Decision(
        "wsproto",
        "judges a header when all of it is there",
        False,
        b"\xb1",
        None,
        "As above.",
        is_late,
    ),
    Decision(
        "wsproto",
        "has no limit for messages",
        False,
        b"\x82\xff" + (MAX_MESSAGE + 1).to_bytes(8, "big"),
        None,
        "RFC 6455 §10.4 asks for limits; 1009 is §7.4.1's code for them.",
        lambda judgement, theirs: judgement.rule == "size" and heard_the_same(judgement, theirs),
    ),
    Decision(
        "wsproto",
        "does not know code 1014",
        False,
        frame(8, b"\x03\xf6"),
        1002,
        "1014 (bad gateway) is in the IANA registry that RFC 6455 §11.7 set up.",
        refuses_1014,
    ),
    Decision(
        "wsproto",
        "forgets that a message is compressed when a control frame comes in its middle",
        True,
        frame(1, deflated_by(b"hello")[:3], fin=False, rsv1=True)
        + frame(9, b"")
        + frame(0, deflated_by(b"hello")[3:]),
        1007,
        "Control frames may come between the fragments of a message (RFC 6455 §5.4), and RSV1 of "
        "the first speaks for all (RFC 7692 §6.1).",
        lambda judgement, theirs: judgement.is_interleaved,
    ),
    Decision(
        "wsproto",
        "inflates what has come, fragment by fragment",
        True,
        frame(2, b"\xff", fin=False, rsv1=True),
        1007,
        "Sooner than we do, which is as good: RFC 7692 §7.2.2 does not say when.",
        lambda judgement, theirs: judgement.in_packed and theirs.close == 1007,
    ),
    Decision(
        "wsproto",
        "takes the tail for content where a block is cut short",
        True,
        frame(2, b"\x00\x0a\x00\xf5\xffonly", rsv1=True),
        None,
        "The last thing in a compressed message is an empty block, whose end the sender took away "
        "(RFC 7692 §7.2.1); four bytes of it that become content are no end of a block.",
        lambda judgement, theirs: judgement.rule == "deflate" and theirs.close in (None, 1007),
    ),
    Decision(
        "websockets",
        "takes the tail for content where a block is cut short",
        True,
        frame(2, b"\x00\x0a\x00\xf5\xffonly", rsv1=True),
        None,
        "As above.",
        lambda judgement, theirs: (
            judgement.rule in ("deflate", "utf-8 in compressed text")
            and theirs.close in (None, 1007, 1009)
        ),
    ),
    Decision(
        "websockets",
        "inflates what has come, fragment by fragment",
        True,
        frame(2, b"\xff", fin=False, rsv1=True),
        1002,
        "Sooner than we do, which is as good: RFC 7692 §7.2.2 does not say when.",
        is_early,
    ),
    Decision(
        "websockets",
        "calls broken compressed data a protocol error",
        True,
        frame(2, b"\xff", rsv1=True),
        1002,
        "RFC 7692 names no code. RFC 6455 §7.4.1 has 1007 for data that is not of its type.",
        differs("deflate", code=1002),
    ),
    Decision(
        "websockets",
        "looks at the size before the sign of a length",
        False,
        b"\x82\xff" + b"\x80" + bytes(7) + KEY,
        1009,
        "RFC 6455 §5.2: the most significant bit MUST be 0; that is no size at all.",
        differs("length sign", code=1009),
    ),
    Decision(
        "websockets",
        "looks at the reason of a close before its code",
        False,
        frame(8, b"\x03\xec\xff"),
        1007,
        "Both are wrong, so either code will do (RFC 6455 §7.4.1); we go by what comes first.",
        differs("close code", code=1007),
    ),
    Decision(
        "websockets",
        "refuses a close within a fragmented message",
        False,
        frame(2, b"x", fin=False) + frame(8, b""),
        1002,
        "Control frames may come between the fragments of a message (RFC 6455 §5.4), and §5.5.1 "
        "makes no exception for Close: the peer gives the message up.",
        lambda judgement, theirs: (
            not judgement.rule
            and judgement.in_message
            and theirs.close == 1002
            and heard_the_same(judgement, theirs)
        ),
    ),
]
