"""The request heads that the core reads itself, and those it leaves to others."""

from __future__ import annotations

import pytest

from glyph_fast.wire import MAX_HEAD, MAX_REQUEST_LINE

LINE = b"GET /a?b=c HTTP/1.1\r\n"
HOST = b"Host: a:80\r\n"
END = b"\r\n"
UPGRADE = LINE + HOST + b"Upgrade:websocket\r\nX-Empty:\r\nCookie:   a=b; c  \r\n" + END


def test_a_plain_head_is_taken_apart(core):
    target, fields, values = core.read_plain_head(UPGRADE)
    assert target == "/a?b=c"
    assert fields == [
        (b"Host", b"a:80"), (b"Upgrade", b"websocket"), (b"X-Empty", b""), (b"Cookie", b"a=b; c"),
    ]  # fmt: skip
    assert list(values.items()) == [(name.lower(), value) for name, value in fields]


def test_a_head_without_fields_is_plain(core):
    assert core.read_plain_head(LINE + END) == ("/a?b=c", [], {})


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_counts_where_the_rfc_has_it(core, byte):
    """RFC 9110 §5.6.2: tokens; RFC 3986 §3.3: targets, here without escapes; values in ASCII."""
    it = bytes([byte])
    is_visible = 0x21 <= byte <= 0x7E
    is_token = is_visible and it not in b'"(),/:;<=>?@[\\]{}'
    name = core.read_plain_head(LINE + b"X" + it + b"Y: b\r\n" + END)
    if it == b":":  # the end of a name
        assert name[1] == [(b"X", b"Y: b")]
    else:
        assert (name is not None) == is_token
    if is_token:
        assert name[2] == {b"x" + it.lower() + b"y": b"b"}
    value = core.read_plain_head(LINE + b"X: a" + it + b"b\r\n" + END)
    assert (value is not None) == (is_visible or it == b" ")
    target = core.read_plain_head(b"GET /a" + it + b"b HTTP/1.1\r\n" + END)
    assert (target is not None) == (is_visible and it not in b"#%")


@pytest.mark.parametrize("size", range(len(UPGRADE)))
def test_a_part_of_a_head_is_not_plain(core, size):
    assert core.read_plain_head(UPGRADE[:size]) is None


@pytest.mark.parametrize(
    "head",
    [
        UPGRADE + b"x",
        UPGRADE + UPGRADE,
        END + UPGRADE,
        UPGRADE.replace(b"GET", b"POST"),
        UPGRADE.replace(b"GET", b"get"),
        UPGRADE.replace(b"1.1", b"1.0"),
        UPGRADE.replace(b" /a", b" http://a/a"),
        UPGRADE.replace(b" /a", b" *"),
        UPGRADE.replace(b" /a", b"  /a"),
        UPGRADE.replace(b"\r\n", b"\n"),
        UPGRADE.replace(b"Host:", b"Host :"),
        UPGRADE.replace(b"Host:", b" Host:"),
        UPGRADE.replace(b"Host:", b":"),
        UPGRADE.replace(b"Host: a:80", b"Host"),
        UPGRADE.replace(b"Upgrade", b"HOST"),
        UPGRADE.replace(b"a=b", b"a=b\r\n "),
    ],
)
def test_others_are_left_alone(core, head):
    assert core.read_plain_head(head) is None


@pytest.mark.parametrize("more", [0, 1])
def test_no_more_than_the_limits_is_read(core, more):
    target = b"/" + b"x" * (MAX_REQUEST_LINE - len(b"GET / HTTP/1.1") + more)
    assert (core.read_plain_head(b"GET " + target + b" HTTP/1.1\r\n" + END) is None) == bool(more)
    rest = MAX_HEAD - len(LINE + b"X: \r\n" + END)
    head = LINE + b"X: " + b"x" * (rest + more) + b"\r\n" + END
    assert (core.read_plain_head(head) is None) == bool(more)


@pytest.mark.parametrize("head", ["GET / HTTP/1.1", None])
def test_only_bytes_are_a_head(core, head):
    with pytest.raises(TypeError):
        core.read_plain_head(head)
