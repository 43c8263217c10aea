"""Static files: what is served, and what does not exist for the outside."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from glyph_fast.http import static
from glyph_fast.http.head import parse_head
from glyph_fast.http.pieces import PIECE
from glyph_fast.http.response import Response
from glyph_fast.http.static import StaticFiles, content_type

MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"


@pytest.fixture
def files(tmp_path: Path) -> StaticFiles:
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / ".hidden").mkdir()
    contents = {
        "index.html": "<p>home",
        "digits.txt": "0123456789",
        "empty.bin": "",
        "a b é.txt": "spaced",
        "sub/index.html": "<p>sub",
        "sub/app.js": "1",
        ".secret": "no",
        ".hidden/file.txt": "no",
        "../outside.txt": "no",
        "../root-beside.txt": "no",
    }
    for name, text in contents.items():
        (root / name).write_text(text, encoding="utf-8")
        os.utime(root / name, (MODIFIED, MODIFIED))
    (root / "inside.txt").symlink_to("digits.txt")
    (root / "outside.txt").symlink_to("../outside.txt")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    return StaticFiles("/static", root)


def ask(files: StaticFiles, path: str, *fields: str, method: str = "GET") -> Response | None:
    lines = [f"{method} {path} HTTP/1.1", "Host: a", *fields, "", ""]
    return files.respond(parse_head("\r\n".join(lines).encode()))


def answer(files: StaticFiles, path: str, *fields: str, method: str = "GET") -> Response:
    response = ask(files, path, *fields, method=method)
    assert response is not None
    return response


SERVED = [
    ("/static/digits.txt", b"0123456789", "text/plain; charset=utf-8"),
    ("/static/digits.txt?v=1", b"0123456789", "text/plain; charset=utf-8"),
    ("/static/inside.txt", b"0123456789", "text/plain; charset=utf-8"),
    ("/static/a%20b%20%C3%A9.txt", b"spaced", "text/plain; charset=utf-8"),
    ("/static/empty.bin", b"", "application/octet-stream"),
    ("/static/", b"<p>home", "text/html; charset=utf-8"),
    ("/static/index.html", b"<p>home", "text/html; charset=utf-8"),
    ("/static/sub/", b"<p>sub", "text/html; charset=utf-8"),
    ("/static/sub/app.js", b"1", "text/javascript; charset=utf-8"),
]


@pytest.mark.parametrize(("path", "content", "kind"), SERVED)
def test_a_file_is_served_with_its_type(
    files: StaticFiles, path: str, content: bytes, kind: str
) -> None:
    response = answer(files, path)
    assert (response.status, response.content) == (200, content)
    assert response.header("content-type") == kind
    assert response.header("last-modified") == DATE
    assert response.header("etag")
    assert response.header("x-content-type-options") == "nosniff"


ABSENT = [
    "/static/absent.txt",
    "/static/../outside.txt",
    "/static/sub/../../outside.txt",
    "/static/%2e%2e/outside.txt",
    "/static/..%2foutside.txt",
    "/static/..%5coutside.txt",
    "/static/sub%2f..%2f..%2foutside.txt",
    "/static/%2fetc/passwd",
    "/static//etc/passwd",
    "/static//digits.txt",
    "/static/" + "%73ub/" * 300 + "app.js",
    "//static/digits.txt",
    "/static//",
    "/static//sub/",
    "/static/sub//",
    "/static/sub//app.js",
    "/static/.well-known/security.txt",
    "/static/./digits.txt",
    "/static/.secret",
    "/static/%2esecret",
    "/static/.hidden/file.txt",
    "/static/outside.txt",
    "/static/up/",
    "/static/up/outside.txt",
    "/static/loop",
    "/static/pipe",
    "/static/digits.txt/",
    "/static/digits.txt/x",
    "/static/digits.txt%00",
    "/static/digits.txt%0a",
    "/static/sub/deep/",
    "/static/" + "x" * 300,
    "/static-beside.txt",
    "/staticdigits.txt",
    "/digits.txt",
    "/",
    "/static/%252e%252e/outside.txt",
]


@pytest.mark.parametrize("path", ABSENT)
def test_nothing_else_exists(files: StaticFiles, path: str) -> None:
    assert ask(files, path) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_files_are_only_read(files: StaticFiles, method: str) -> None:
    assert ask(files, "/static/digits.txt", method=method) is None


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/static", "./static/"),
        ("/static?a=b", "./static/?a=b"),
        ("/static/sub", "./sub/"),
    ],
)
def test_a_directory_is_asked_for_with_its_slash(
    files: StaticFiles, path: str, location: str
) -> None:
    response = answer(files, path)
    assert (response.status, response.header("location")) == (308, location)


def test_at_the_root_a_slash_too_many_is_no_file(files: StaticFiles) -> None:
    at_root = StaticFiles("/", files.directory)
    for path in ("//sub", "//sub/", "//", "//digits.txt", "/sub//app.js"):
        assert ask(at_root, path) is None, path
        assert not at_root.has(path)
    assert answer(at_root, "/sub").header("location") == "./sub/"


def test_what_is_well_known_is_served_from_the_root_of_a_site(files: StaticFiles) -> None:
    well_known = files.directory / ".well-known"
    (well_known / ".hidden").mkdir(parents=True)
    (well_known / "security.txt").write_text("Contact: mailto:a@example.com")
    (well_known / ".hidden" / "x.txt").write_text("no")
    (files.directory / "sub" / ".well-known").mkdir()
    (files.directory / "sub" / ".well-known" / "x.txt").write_text("no")
    at_root = StaticFiles("/", files.directory)
    assert answer(at_root, "/.well-known/security.txt").content.startswith(b"Contact:")
    assert ask(at_root, "/.well-known/.hidden/x.txt") is None
    assert ask(at_root, "/sub/.well-known/x.txt") is None
    assert ask(at_root, "/.secret") is None
    assert ask(files, "/static/.well-known/security.txt") is None  # not the root of a site
    alone = StaticFiles("/.well-known", well_known)
    assert answer(alone, "/.well-known/security.txt").status == 200


def test_the_prefix_may_be_the_root(files: StaticFiles) -> None:
    at_root = StaticFiles("", files.directory)
    assert answer(at_root, "/").content == b"<p>home"
    assert answer(at_root, "/digits.txt").content == b"0123456789"


def test_a_head_request_is_answered_like_a_get(files: StaticFiles) -> None:
    assert answer(files, "/static/digits.txt", method="HEAD").content == b"0123456789"


UNCHANGED = [
    ("If-None-Match: {etag}", 304),
    ("If-None-Match: W/{etag}", 304),
    ('If-None-Match: "x", {etag}', 304),
    ("If-None-Match: *", 304),
    ('If-None-Match: "x"', 200),
    (f"If-Modified-Since: {DATE}", 304),
    (f"If-Modified-Since: {LATER}", 304),
    (f"If-Modified-Since: {EARLIER}", 200),
    ("If-Modified-Since: yesterday", 200),
    (f'If-None-Match: "x"\r\nIf-Modified-Since: {DATE}', 200),
]


@pytest.mark.parametrize(("field", "status"), UNCHANGED)
def test_a_copy_that_is_still_good_is_not_sent_again(
    files: StaticFiles, field: str, status: int
) -> None:
    etag = answer(files, "/static/digits.txt").header("etag")
    response = answer(files, "/static/digits.txt", field.format(etag=etag))
    assert response.status == status
    assert response.content == (b"" if status == 304 else b"0123456789")
    assert response.header("etag") == etag


WANTED = [
    ("If-Match: {etag}", 200),
    ('If-Match: "x", {etag}', 200),
    ('If-Match: "x"\r\nIf-Match: {etag}', 200),
    ("If-Match: *", 200),
    ('If-Match: "x"', 412),
    ("If-Match: W/{etag}", 412),
    ("If-Match: nonsense", 412),
    (f"If-Unmodified-Since: {DATE}", 200),
    (f"If-Unmodified-Since: {LATER}", 200),
    (f"If-Unmodified-Since: {EARLIER}", 412),
    ("If-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT", 200),
    ("If-Unmodified-Since: Sunday, 06-Nov-94 08:49:36 GMT", 412),
    ("If-Unmodified-Since: Sun Nov  6 08:49:37 1994", 200),
    ("If-Unmodified-Since: Sun Nov  6 08:49:36 1994", 412),
    ("If-Unmodified-Since: yesterday", 200),
    (f"If-Match: {{etag}}\r\nIf-Unmodified-Since: {EARLIER}", 200),
    (f'If-Match: "x"\r\nIf-Unmodified-Since: {LATER}', 412),
    ("If-Match: {etag}\r\nIf-None-Match: {etag}", 304),
    ('If-Match: "x"\r\nIf-None-Match: {etag}', 412),
]


@pytest.mark.parametrize(("field", "status"), WANTED)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_that_is_not_the_version_asked_for_is_not_sent(
    files: StaticFiles, field: str, status: int, method: str
) -> None:
    etag = answer(files, "/static/digits.txt").header("etag")
    response = answer(files, "/static/digits.txt", field.format(etag=etag), method=method)
    assert response.status == status
    assert response.header("etag") == etag


@pytest.mark.parametrize(("field", "status"), WANTED)
def test_nor_is_a_range_of_it(files: StaticFiles, field: str, status: int) -> None:
    etag = answer(files, "/static/digits.txt").header("etag")
    fields = ("Range: bytes=0-3", field.format(etag=etag))
    response = answer(files, "/static/digits.txt", *fields)
    assert response.status == (206 if status == 200 else status)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_dates_without_a_zone_are_not_local(
    files: StaticFiles, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        field = "If-Modified-Since: Sun Nov  6 08:49:{}7 1994"
        assert answer(files, "/static/digits.txt", field.format(3)).status == 304
        assert answer(files, "/static/digits.txt", field.format(2)).status == 200
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_changed_file_has_another_tag(files: StaticFiles) -> None:
    before = answer(files, "/static/digits.txt").header("etag")
    (files.directory / "digits.txt").write_text("changed")
    assert answer(files, "/static/digits.txt").header("etag") != before


RANGES = [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
    ("bytes=9-9", 206, b"9", "bytes 9-9/10"),
    ("Bytes=0-0", 206, b"0", "bytes 0-0/10"),
    ("bytes=10-", 416, None, "bytes */10"),
    ("bytes=99-100", 416, None, "bytes */10"),
    ("bytes=-0", 416, None, "bytes */10"),
    ("bytes=3-2", 200, b"0123456789", None),
    ("bytes=0-1,3-4", 200, b"0123456789", None),
    ("bytes=-", 200, b"0123456789", None),
    ("bytes=a-b", 200, b"0123456789", None),
    ("lines=0-1", 200, b"0123456789", None),
]


@pytest.mark.parametrize(("value", "status", "content", "content_range"), RANGES)
def test_a_single_range_is_served(
    files: StaticFiles, value: str, status: int, content: bytes | None, content_range: str | None
) -> None:
    response = answer(files, "/static/digits.txt", f"Range: {value}")
    assert (response.status, response.header("content-range")) == (status, content_range)
    assert content is None or response.content == content


def test_a_range_of_an_empty_file_cannot_be_served(files: StaticFiles) -> None:
    assert answer(files, "/static/empty.bin", "Range: bytes=0-").status == 416


@pytest.mark.parametrize(("condition", "status"), [(DATE, 206), (EARLIER, 200), ('"x"', 200)])
def test_a_range_of_another_version_is_the_whole_file(
    files: StaticFiles, condition: str, status: int
) -> None:
    fields = ("Range: bytes=0-3", f"If-Range: {condition}")
    assert answer(files, "/static/digits.txt", *fields).status == status


def test_a_range_is_ignored_in_a_head_request(files: StaticFiles) -> None:
    assert answer(files, "/static/digits.txt", "Range: bytes=0-3", method="HEAD").status == 200


def read_all(response: Response) -> bytes:
    async def read() -> bytes:
        assert response._pieces is not None
        found = []
        while piece := await response._pieces.read():
            assert len(piece) <= PIECE
            found.append(piece)
        await response._pieces.close()
        return b"".join(found)

    return asyncio.run(read())


BIG = bytes(range(251)) * 2000


@pytest.mark.parametrize(
    ("value", "start", "end", "status"),
    [
        (None, 0, len(BIG), 200),
        ("bytes=0-", 0, len(BIG), 206),
        ("bytes=100000-400000", 100_000, 400_001, 206),
        ("bytes=-70000", len(BIG) - 70_000, len(BIG), 206),
    ],
)
def test_a_large_file_is_read_in_pieces(
    files: StaticFiles, value: str | None, start: int, end: int, status: int
) -> None:
    (files.directory / "big.bin").write_bytes(BIG)
    response = answer(files, "/static/big.bin", *([f"Range: {value}"] if value else []))
    assert (response.status, response.content) == (status, b"")
    assert response._pieces is not None and response._pieces.size == end - start
    assert read_all(response) == BIG[start:end]


def test_a_small_range_of_a_large_file_is_one_piece(files: StaticFiles) -> None:
    (files.directory / "big.bin").write_bytes(BIG)
    response = answer(files, "/static/big.bin", "Range: bytes=300000-300009")
    assert (response._pieces, response.content) == (None, BIG[300_000:300_010])


def test_a_file_is_as_large_as_it_likes(files: StaticFiles) -> None:
    with open(files.directory / "huge.bin", "wb") as file:
        file.truncate(5 << 40)  # a hole
    response = answer(files, "/static/huge.bin", "Range: bytes=4398046511104-")
    assert response.status == 206
    assert response.header("content-range") == f"bytes {4 << 40}-{(5 << 40) - 1}/{5 << 40}"
    assert response._pieces is not None and response._pieces.size == 1 << 40
    asyncio.run(response._pieces.close())


def test_a_file_that_cannot_be_opened_does_not_exist(
    files: StaticFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(path)

    monkeypatch.setattr(static, "_open", refuse)
    assert ask(files, "/static/digits.txt") is None


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        StaticFiles("/static", tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.css", "text/css; charset=utf-8"),
        ("x.SVG", "image/svg+xml; charset=utf-8"),
        ("x.json", "application/json; charset=utf-8"),
        ("x.png", "image/png"),
        ("x.woff2", "font/woff2"),
        ("x.wasm", "application/wasm"),
        ("x", "application/octet-stream"),
    ],
)
def test_the_type_of_a_file_follows_from_its_name(name: str, kind: str) -> None:
    assert content_type(Path(name)) == kind


UTF8 = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("x.html", b"<p>gr\xc3\xbc\xc3\x9fe", UTF8),
        ("x.html", b'<meta charset="iso-8859-1"><p>gr\xfc\xdfe', "text/html"),
        ("x.html", b"<!doctype html><META  CHARSET = windows-1252>", "text/html"),
        (
            "x.htm",
            b'<meta http-equiv=Content-Type content="text/html; charset=Shift_JIS">',
            "text/html",
        ),
        ("x.html", b'<meta charset="UTF-8">', UTF8),
        ("x.html", b"<!-- <meta charset=latin1> --><p>", UTF8),
        ("x.html", b"<meta name=description content=charset>", UTF8),
        ("x.html", b"<p>charset=latin1", UTF8),
        ("x.html", b"\xff\xfe<\0p\0>\0", "text/html"),
        ("x.svg", b'<?xml version="1.0" encoding="ISO-8859-1"?><svg/>', "image/svg+xml"),
        ("x.svg", b'<?xml version="1.0" encoding="utf-8"?>', "image/svg+xml; charset=utf-8"),
        ("x.css", b'@charset "koi8-r"; a{}', "text/css"),
        ("x.css", b'a{} @charset "koi8-r";', "text/css; charset=utf-8"),
        ("x.txt", b"\xfe\xff\0a", "text/plain"),
        ("x.png", b"<meta charset=latin1>", "image/png"),
    ],
)
def test_what_a_file_says_of_its_encoding_stands(name: str, head: bytes, kind: str) -> None:
    assert content_type(Path(name), head) == kind


def test_a_page_in_latin_1_is_not_called_utf_8(files: StaticFiles) -> None:
    page = b"<html><head><meta charset=iso-8859-1></head>gr\xfc\xdfe"
    (files.directory / "old.html").write_bytes(page)
    for fields in ((), ("Range: bytes=40-",)):
        response = answer(files, "/static/old.html", *fields)
        assert response.header("content-type") == "text/html"
        assert page.endswith(response.content)


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/static/digits.txt", True),
        ("/static/digits.txt/", False),
        ("/static/sub", True),
        ("/static/sub/deep/", False),
        ("/static/none", False),
        ("/static/.secret", False),
        ("/static/pipe", False),
        ("/elsewhere", False),
    ],
)
def test_a_path_has_a_file_or_none(files: StaticFiles, path: str, there: bool) -> None:
    assert files.has(path) is there
