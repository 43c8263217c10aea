"""Forms that a test posts, as a server reads them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast import FormData, Server
from glyph_fast.testing import SyncTestClient, TestClient
from glyph_fast.testing.forms import FormFields, encode_form

server = Server()


@server.post("/")
async def take(form: FormData) -> Any:
    return [
        [name, each if isinstance(each, str) else [each.filename, each.content_type, each.size]]
        for name in form
        for each in form.getlist(name)
    ]


FORMS: list[tuple[FormFields, list[Any]]] = [
    ({"a": "ü &="}, [["a", "ü &="]]),
    ({"a": ["1", "2"], "b": ""}, [["a", "1"], ["a", "2"], ["b", ""]]),
    (
        {"a": "ü\r\n", "f": ('x"y.png', b"\0\r\n--", "image/png")},
        [["a", "ü\r\n"], ["f", ["x%22y.png", "image/png", 5]]],
    ),
    (
        {"f": [("1", b""), ("2", b"22")]},
        [["f", ["1", "application/octet-stream", 0]], ["f", ["2", "application/octet-stream", 2]]],
    ),
]


@pytest.mark.parametrize(("fields", "read"), FORMS)
def test_what_is_posted_is_read(fields: FormFields, read: list[Any]) -> None:
    async def main() -> None:
        async with TestClient(server) as client:
            assert (await client.post("/", form=fields)).json() == read

    asyncio.run(main())


def test_a_sync_client_posts_forms_too() -> None:
    with SyncTestClient(server) as client:
        assert client.post("/", form={"a": "b"}).json() == [["a", "b"]]


def test_only_files_make_it_multipart() -> None:
    assert encode_form({"a": "b c"}) == (b"a=b+c", "application/x-www-form-urlencoded")
    body, kind = encode_form({"a": "b", "f": ("x", b"y")})
    assert kind.startswith("multipart/form-data; boundary=")
    assert body.count(kind.rpartition("=")[2].encode()) == 3
