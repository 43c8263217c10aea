"""The numbers of the wire: which close codes may be sent, and tables that index one another."""

from __future__ import annotations

import base64
import hashlib

import pytest

from glyph_fast import wire


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 4008, 4999])
def test_may_be_sent(code: int) -> None:
    assert wire.is_sendable_code(code)


# RFC 6455 §7.4.1 reserves 1004, 1005, 1006 and 1015; §7.4.2 leaves the ranges around them unused.
@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_must_not_be_sent(code: int) -> None:
    assert not wire.is_sendable_code(code)


def test_every_close_code_of_ours_may_be_sent_but_the_two_that_mean_no_code() -> None:
    codes = {wire.NORMAL, wire.PROTOCOL_ERROR, wire.UNSUPPORTED_DATA, wire.INVALID_DATA}
    codes |= {wire.POLICY_VIOLATION, wire.TOO_BIG, wire.INTERNAL_ERROR, *wire.CLOSE_REASONS}
    assert all(map(wire.is_sendable_code, codes))
    assert not wire.is_sendable_code(wire.NO_STATUS)
    assert not wire.is_sendable_code(wire.ABNORMAL)


def test_every_close_reason_fits_a_control_frame() -> None:
    assert all(len(text.encode()) <= wire.MAX_CLOSE_REASON for text in wire.CLOSE_REASONS.values())


def test_policies_are_indexed_by_their_numbers() -> None:
    numbers = (wire.DROP_OLDEST, wire.DROP_NEWEST, wire.BLOCK, wire.DISCONNECT)
    assert [wire.POLICIES[number] for number in numbers] == [
        "drop_oldest",
        "drop_newest",
        "block",
        "disconnect",
    ]


def test_the_guid_gives_the_accept_key_of_the_rfc_s_example() -> None:
    digest = hashlib.sha1(b"dGhlIHNhbXBsZSBub25jZQ==" + wire.ACCEPT_GUID).digest()
    assert base64.b64encode(digest) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3


def test_each_single_result_counts_one_receiver() -> None:
    assert [sum(result) for result in (wire.SENT, wire.QUEUED, wire.DROPPED)] == [1, 1, 1]
    assert wire.NOBODY == (0, 0, 0)
