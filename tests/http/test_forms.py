"""Forms: fields and files as a page sends them, and bounds on all a client can send."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes, urlencode

import msgspec
import pytest

from glyph_fast import Config, FormData, Request, Response, Server, UploadFile
from glyph_fast.errors import Reject
from glyph_fast.http import forms
from glyph_fast.testing import TestClient

URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": 'multipart/form-data; boundary="x y"'}


def part(name: str, value: str | bytes, filename: str | None = None, kind: str = "") -> bytes:
    more = "" if filename is None else f'; filename="{filename}"'
    more += f"\r\nContent-Type: {kind}" if kind else ""
    data = value.encode() if isinstance(value, str) else value
    head = f'--x y\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join([*parts, b"--x y--\r\n"])


def told(form: FormData) -> list[Any]:
    return [
        [name, each if isinstance(each, str) else [each.filename, each.content_type, each.size]]
        for name in form
        for each in form.getlist(name)
    ]


async def ask(
    handler: Any, body: bytes, headers: dict[str, str], config: Config | None = None, **route: Any
) -> Any:
    server = Server(config)
    server.post("/", **route)(handler)
    async with TestClient(server) as client:
        answer = await client.post("/", body=body, headers=headers)
        if answer.status == 500:
            raise client.errors.pop()
        return answer


def asked(handler: Any, body: bytes, headers: dict[str, str], **options: Any) -> Any:
    return asyncio.run(ask(handler, body, headers, **options))


def posted(body: bytes, headers: dict[str, str], **bounds: int) -> Any:
    async def handler(request: Request) -> Any:
        return told(await request.form(**bounds))

    return asked(handler, body, headers)


def test_urlencoded_fields_are_read() -> None:
    pairs = [("a", "ü &="), ("b", ""), ("a", "two"), ("c d", "+")]
    answer = posted(urlencode(pairs).encode() + b"&&e", URLENCODED)
    assert answer.json() == [["a", "ü &="], ["a", "two"], ["b", ""], ["c d", "+"], ["e", ""]]


def test_multipart_fields_and_files_are_read() -> None:
    body = multipart(
        part("a", "hello"),
        part("f", b"\0\xff\r\n--x", "ü.png", "image/png"),
        part("a", "zwei ü"),
        part("none", b"", ""),
    )
    assert posted(body, MULTIPART).json() == [
        ["a", "hello"], ["a", "zwei ü"], ["f", ["ü.png", "image/png", 7]], ["none", ["", None, 0]],
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_file_is_read_whole_wherever_it_lies(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * (size // 256)

    async def handler(request: Request) -> Any:
        upload = (await request.form()).file("f")
        assert await upload.read() == data
        await upload.seek(5)
        assert await upload.read(3) == data[5:8]
        await upload.seek(0)
        assert b"".join([piece async for piece in upload]) == data
        await upload.save(tmp_path / "saved")
        await upload.close()
        return upload.size

    body = multipart(part("before", "text"), part("f", data, "data"))
    assert asked(handler, body, MULTIPART).json() == len(data)
    assert (tmp_path / "saved").read_bytes() == data


def test_large_files_are_on_disk_and_gone_when_nobody_holds_them() -> None:
    held: list[UploadFile] = []

    async def handler(request: Request) -> Any:
        form = await request.form()
        held.append(form.file("f"))
        return None

    body = multipart(part("f", bytes(forms.MAX_IN_MEMORY + 70_000), "data"))
    assert asked(handler, body, MULTIPART).status == 204
    assert held[0]._is_on_disk
    file = weakref.ref(held[0].file)
    held.clear()
    assert file() is None  # and not when the collector comes


LARGEST = 1_500_000  # bytes of a file, where a disk is "full"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file grows beyond `LARGEST`: a write fails as on a full disk, with another number."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, former)


def temporary_files() -> set[str]:
    """The open files that nobody else can open."""
    names = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            names.append(os.readlink(f"/proc/self/fd/{number}"))
    return {each for each in names if each.endswith("(deleted)")}


LARGE_FORM = multipart(part("f", b"x" * 3_000_000, "data"))


@pytest.mark.parametrize(
    ("body", "bounds", "error"),
    [
        (LARGE_FORM, {}, OSError),
        (LARGE_FORM[: LARGEST + 4000], {}, OSError),  # the rest is in a buffer
        (LARGE_FORM[: LARGEST - 100_000], {}, Reject),  # no whole form
        (multipart(part("f", b"x" * 1_400_000, "a"), part("g", "", "b")), {"max_files": 1}, Reject),
    ],
)
def test_what_fails_holds_no_file_and_no_space(
    full_disk: None, body: bytes, bounds: dict[str, int], error: type[Exception]
) -> None:
    before = temporary_files()
    failed: list[Exception] = []

    async def handler(request: Request) -> Any:
        gc.disable()
        try:
            await request.form(**bounds)
        except (OSError, Reject) as exc:
            failed.append(exc)  # and its frames, as a program's log may
        finally:
            gc.enable()
        return sorted(temporary_files() - before)

    assert asked(handler, body, MULTIPART).json() == []
    assert isinstance(failed[0], error)
    if error is OSError:
        assert "TMPDIR" in str(failed[0].__notes__)


@pytest.mark.parametrize("was_there", [False, True])
def test_a_file_is_saved_whole_or_not_at_all(
    full_disk: None, was_there: bool, tmp_path: Path
) -> None:
    path = tmp_path / "saved"
    if was_there:
        path.write_bytes(b"former")
        path.chmod(0o640)

    def upload(size: int) -> UploadFile:
        made = UploadFile("data", None)
        made.file.write(b"x" * size)  # in memory
        return made

    async def save() -> None:
        with pytest.raises(OSError, match="large") as failed:
            await upload(LARGEST + 1).save(path)
        assert failed.value.filename in (None, str(path))
        assert os.listdir(tmp_path) == (["saved"] if was_there else [])
        assert not was_there or path.read_bytes() == b"former"
        await upload(LARGEST).save(str(path))
        assert path.stat().st_size == LARGEST
        assert not was_there or path.stat().st_mode & 0o777 == 0o640

    asyncio.run(save())


def test_a_file_is_saved_where_a_link_leads_and_an_error_names_what_was_meant(
    tmp_path: Path,
) -> None:
    (tmp_path / "there").write_bytes(b"former")
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "folder").mkdir()
    made = UploadFile("data", None)
    made.file.write(b"new")

    async def save() -> None:
        await made.save(tmp_path / "link")
        assert (tmp_path / "there").read_bytes() == b"new"
        await made.save(os.devnull)
        for wrong in (tmp_path / "folder", tmp_path / "none" / "x"):
            with pytest.raises(OSError) as failed:
                await made.save(wrong)
            assert failed.value.filename == str(wrong)

    asyncio.run(save())
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "there"]


def test_form_is_read_once_and_kept() -> None:
    async def handler(request: Request) -> Any:
        return (await request.form()) is (await request.form())

    assert asked(handler, b"a=b", URLENCODED).json() is True


def test_body_may_be_looked_at_before() -> None:
    async def handler(request: Request) -> Any:
        return [len(await request.body()), (await request.form()).text("a")]

    assert asked(handler, b"a=" + b"b" * 90_000, URLENCODED).json() == [90_002, "b" * 90_000]


MISTAKES: dict[str, Callable[[FormData], object]] = {
    "missing form field 'nothing'": lambda form: form["nothing"],
    "expected a file, found a text in form field 'a'": lambda form: form.file("a"),
    "expected a text, found a file in form field 'f'": lambda form: form.text("f"),
}


@pytest.mark.parametrize("error", MISTAKES)
def test_what_a_client_left_out_is_its_mistake(error: str) -> None:
    async def handler(request: Request) -> Any:
        return MISTAKES[error](await request.form())

    answer = asked(handler, multipart(part("a", "b"), part("f", "b", "c")), MULTIPART)
    assert (answer.status, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        (b"{}", {"Content-Type": "application/json"}, 415, "found application/json"),
        (b"a", {}, 415, "found no Content-Type"),
        (b"", {"Content-Type": "multipart/form-data"}, 400, "has no boundary"),
        (b"", {"Content-Type": "multipart/form-data; boundary=" + "a" * 71}, 400, "no boundary"),
        (b"", MULTIPART, 400, "last boundary is missing"),
        (part("a", "b"), MULTIPART, 400, "last boundary is missing"),
        (b"hello", MULTIPART, 400, "malformed form"),
        (b"\r\n&--x y--\r\n", MULTIPART, 400, "malformed form"),
        (b"\r\n\r\n--x y--\r\n", MULTIPART, 204, ""),
        (b"--x y\r\n\r\nhello\r\n--x y--", MULTIPART, 400, "a part has no name"),
        (b"--x y\r\nContent-Disposition: form-data\r\n\r\n\r\n", MULTIPART, 400, "no name"),
        (b"--x y\r\nA b: c\r\n\r\n", MULTIPART, 400, "malformed form"),
        (b"--x y\r\nA: " + b"b" * 9000, MULTIPART, 400, "malformed form"),
        (b"--x y\r\n" + b"A: b\r\n" * 40, MULTIPART, 400, "malformed form"),
        (multipart(part("a", b"\xff")), MULTIPART, 400, "a field is not UTF-8"),
        (multipart(part("a", "", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"))),
         MULTIPART, 204, ""),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(
    body: bytes, headers: dict[str, str], status: int, error: str
) -> None:
    async def handler(request: Request) -> Any:
        await request.form()

    answer = asked(handler, body, headers)
    assert answer.status == status
    assert error in answer.text


@pytest.mark.parametrize("headers", [URLENCODED, MULTIPART], ids=["urlencoded", "multipart"])
@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ({"max_fields": 2}, "form has more than 2 fields"),
        ({"max_part_size": 4}, "form has more than 4 bytes in a field"),
    ],
)
def test_fields_are_bounded(headers: dict[str, str], bounds: dict[str, int], error: str) -> None:
    pairs = [("a", "12345"), ("b", "1"), ("c", "2")]
    body = urlencode(pairs).encode()
    if headers is MULTIPART:
        body = multipart(*(part(name, value) for name, value in pairs))
    answer = posted(body, headers, **bounds)
    assert (answer.status, answer.json()) == (413, {"error": error})
    assert posted(body, headers, max_fields=3, max_part_size=5).status == 200


def test_files_are_bounded_in_number() -> None:
    body = multipart(part("a", "", "x"), part("a", "", "y"))
    assert posted(body, MULTIPART, max_files=1).json() == {"error": "form has more than 1 files"}
    assert posted(body, MULTIPART, max_files=2).status == 200


@pytest.mark.parametrize("headers", [URLENCODED, MULTIPART], ids=["urlencoded", "multipart"])
def test_text_of_a_form_is_bounded_whatever_the_route_allows(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("forms", "multipart"):
        monkeypatch.setattr(sys.modules[f"glyph_fast.http.{module}"], "MAX_TEXT", 100_000)

    async def handler(request: Request) -> Any:
        await request.form()

    body = b"&".join([b"a=" + b"b" * 40_000] * 3)
    if headers is MULTIPART:
        body = multipart(*[part("a", "b" * 40_000)] * 3)
    answer = asked(handler, body, headers, max_body=None)
    assert (answer.status, answer.json()) == (
        413,
        {"error": "form has more than 100000 bytes of text"},
    )


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_form_keeps_to_the_size_of_bodies(is_chunked: bool) -> None:
    async def handler(request: Request) -> Any:
        return (await request.form()).file("f").size

    body = multipart(part("f", bytes(200_000), "x"))
    headers = dict(MULTIPART)
    if is_chunked:
        headers["Transfer-Encoding"] = "chunked"
    refused = asked(handler, body, headers, config=Config(max_body_size=100_000))
    assert refused.status == 413
    assert (
        asked(handler, body, headers, config=Config(max_body_size=10), max_body=None).status == 200
    )


def test_others_have_their_turn_while_a_form_is_read() -> None:
    turns = 0

    async def handler(request: Request) -> Any:
        nonlocal turns

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        body = await request.body()
        assert len(body) > 900_000
        other = asyncio.create_task(count())
        try:
            await request.form()
        finally:
            other.cancel()

    # What python-multipart reads byte by byte.
    body = part("a", "b") + b"--x y" + b" " * 900_000
    assert asked(handler, body, MULTIPART).status == 400
    assert turns > 20


@pytest.mark.parametrize(
    "value",
    ["%61" * 1400, "x" * 4095 + "%61", "x" * 4094 + "%61y", "x" * 4093 + "%61", "+" * 5000,
     "x" * 4095 + "%", "x" * 4094 + "%6", "%%61" * 1100, "%zz" * 1400, "%" * 5000,
     "x" * 8190 + "%E2%82%AC"],
)  # fmt: skip
def test_a_long_field_reads_as_a_short_one_does(value: str) -> None:
    answer = posted(b"a=1&b=" + value.encode() + b"&c=2", URLENCODED)
    assert answer.json() == [["a", "1"], ["b", unquote_plus(value)], ["c", "2"]]


def test_escapes_in_a_long_field_are_undone_a_slice_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each takes an object: of 10 MiB of them at once, a second and 400 MiB."""
    undone: list[int] = []

    def counting(data: bytes) -> bytes:
        undone.append(len(data))
        return unquote_to_bytes(data)

    monkeypatch.setattr(forms, "unquote_to_bytes", counting)
    assert posted(b"a=" + b"%61" * 300_000, URLENCODED).json() == [["a", "a" * 300_000]]
    assert max(undone) <= forms.SLICE and sum(undone) == 900_001
    undone.clear()
    answer = posted(b"%61" * 1_000_000, URLENCODED, max_part_size=1000)
    assert answer.json() == {"error": "form has more than 1000 bytes in a field"}
    assert not undone  # it was too long, whatever it said


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python_multipart", "python_multipart.exceptions", "python_multipart.multipart"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Exception, match=r"python-multipart: pip install 'glyph-fast\[forms\]'"):
        posted(multipart(part("a", "b")), MULTIPART)
    assert posted(b"a=b", URLENCODED).json() == [["a", "b"]]


# Declared forms.


class Sign(msgspec.Struct):
    name: str
    age: int
    news: bool = False
    tag: list[str] = []


async def sign(request: Request, form: Sign) -> Any:
    return [request.method, form.name, form.age, form.tag]


async def sign_alone(form: Sign) -> Any:
    return ["POST", form.name, form.age, form.tag]


async def sign_by_hand(form: FormData, request: Request) -> Any:
    return [request.method, form.text("name"), int(form.text("age")), form.getlist("tag")]


@pytest.mark.parametrize("handler", [sign, sign_alone, sign_by_hand])
@pytest.mark.parametrize("is_multipart", [False, True])
def test_a_form_is_given_to_the_handler_that_declares_it(handler: Any, is_multipart: bool) -> None:
    pairs = [("name", "Ann"), ("age", "7"), ("tag", "a"), ("tag", "b")]
    if is_multipart:
        answer = asked(handler, multipart(*(part(*pair) for pair in pairs)), MULTIPART)
    else:
        answer = asked(handler, urlencode(pairs).encode(), URLENCODED)
    assert answer.json() == ["POST", "Ann", 7, ["a", "b"]]


def test_a_form_that_does_not_fit_is_refused_with_its_places() -> None:
    answer = asked(sign, b"name=Ann&age=many", URLENCODED)
    assert answer.status == 422
    assert answer.json() == {
        "error": "form.age: expected int, got str",
        "detail": [{"loc": ["form", "age"], "msg": "expected int, got str", "type": "type"}],
    }


def test_a_generator_may_declare_a_form() -> None:
    async def pieces(form: Sign) -> Any:
        yield form.name
        yield "!"

    assert asked(pieces, b"name=Ann&age=1", URLENCODED).text == "Ann!"


def test_a_form_needs_a_handler_that_waits_and_no_body() -> None:
    def at_once(form: Sign) -> None: ...

    async def both(form: Sign, body: Sign) -> None: ...

    for handler in (at_once, both):
        with pytest.raises(TypeError, match="a form needs an async def"):
            Server().post("/")(handler)


def test_a_form_is_answered_by_a_redirect_and_a_cookie() -> None:
    async def log_in(form: FormData) -> Response:
        response = Response.redirect("/welcome", 303)
        response.set_cookie("name", form.text("name"), httponly=True)
        return response

    answer = asked(log_in, b"name=ann", URLENCODED)
    assert (answer.status, answer.headers["location"]) == (303, "/welcome")
    assert answer.headers["set-cookie"] == "name=ann; Path=/; SameSite=Lax; HttpOnly"
