"""The head of an application's answer."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from glyph_fast.asgi import head as module
from glyph_fast.asgi.head import Head, encode_hints, encode_trailers, status_line

PLAIN = {"version": "1.1", "is_head": False, "keep_alive": True}


def lines_of(head: Head, **options) -> list[bytes]:
    encoded = head.encode(**{**PLAIN, **options})
    assert encoded.endswith(b"\r\n\r\n")
    return [line for line in encoded[:-4].split(b"\r\n") if not line.lower().startswith(b"date")]


def test_the_framing_is_the_servers():
    fields = [(b"Transfer-Encoding", b"gzip"), (b"keep-alive", b"timeout=5"), (b"a", b"b")]
    assert lines_of(Head(200, fields)) == [
        b"HTTP/1.1 200 OK", b"a: b", b"transfer-encoding: chunked",
    ]  # fmt: skip


def test_a_date_of_the_applications_counts():
    encoded = Head(200, [(b"Date", b"never")]).encode(**PLAIN)
    assert encoded.lower().count(b"date:") == 1 and b"Date: never" in encoded


@pytest.mark.parametrize(
    ("version", "keep_alive", "field"),
    [
        ("1.1", True, None),
        ("1.1", False, b"connection: close"),
        ("1.0", True, b"connection: keep-alive"),
        ("1.0", False, b"connection: close"),
    ],
)
def test_what_becomes_of_the_connection(version, keep_alive, field):
    head = Head(200, [(b"content-length", b"3")])
    found = lines_of(head, version=version, keep_alive=keep_alive)
    assert [each for each in found if each.startswith(b"connection")] == [field] * bool(field)
    assert head.length == 3 and not head.is_chunked


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, 404, 799])
def test_statuses(status):
    assert status_line(int(status)).startswith(b"HTTP/1.1 %d " % int(status))
    assert Head(status, ()).status == int(status)


@pytest.mark.parametrize("status", [0, 100, 1000, -1])
def test_statuses_that_are_none(status):
    with pytest.raises(ValueError, match="from 200 to 999"):
        Head(status, ())


@pytest.mark.parametrize("status", [b"200", "200", None, True, 2.0])
def test_statuses_of_another_type(status):
    with pytest.raises(TypeError):
        Head(status, ())


@pytest.mark.parametrize("value", [b"-1", b"", b"1 ", b"x", b"9" * 19])
def test_lengths_that_are_none(value):
    with pytest.raises(ValueError, match="content-length"):
        Head(200, [(b"content-length", value)])


def test_two_lengths_that_differ():
    Head(200, [(b"content-length", b"1"), (b"Content-Length", b"1")])
    with pytest.raises(ValueError, match="differ"):
        Head(200, [(b"content-length", b"1"), (b"content-length", b"2")])


@pytest.mark.parametrize("value", [b"a\nb", b"a\rb", b"a\r\nb: c", b"a\0b"])
def test_a_field_stays_in_its_line(value):
    for fields in ([(b"a", value)], [(b"date", value)]):
        with pytest.raises(ValueError, match="breaks out"):
            Head(200, fields)


def test_the_fields_as_text():
    head = Head(200, [(b"a", b"b"), (b"date", b"now"), (b"content-length", b"3")])
    head.add([("c", "d: e")])
    assert head.fields == [("a", "b"), ("date", "now"), ("c", "d: e")]
    assert (
        b"".join(head.encode("1.1", False, True, b"xyz").partition(b"\r\n\r\n")[1:])
        == b"\r\n\r\nxyz"
    )


def test_names_are_remembered_within_a_bound(monkeypatch):
    monkeypatch.setattr(module, "MAX_NAMES", len(module._names))
    Head(200, [(b"x-never-seen-before", b"")])
    assert b"x-never-seen-before" not in module._names


def test_hints_and_trailers_stay_in_their_lines():
    assert encode_hints([b"</a>"]) == b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    assert encode_trailers([(b"a", b"b")]) == b"0\r\na: b\r\n\r\n"
    with pytest.raises(ValueError):
        encode_hints([b"a\r\nb"])
    for field in [(b"a", b"\n"), (b"content-length", b"1"), (b"a b", b"")]:
        with pytest.raises(ValueError):
            encode_trailers([field])
