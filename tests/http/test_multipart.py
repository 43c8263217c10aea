"""Multipart bodies: the library's findings, held to our bounds and to what httpx and curl send."""

from __future__ import annotations

import logging
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from glyph_fast.errors import Reject
from glyph_fast.http.forms import SLICE, Bounds, UploadFile
from glyph_fast.http.multipart import Parts
from tests.serving import serving

BOUNDARY = b"b" * 70
FILE = b"--%b\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n" % BOUNDARY
LINE = b"\r\n--" + BOUNDARY
MANY = 300_000

PROGRAM = """
from glyph_fast import FormData, Server

server = Server()

@server.post("/")
async def take(form: FormData):
    return [
        [name, value if isinstance(value, str) else [value.filename, value.size]]
        for name in form for value in form.getlist(name)
    ]
"""


@pytest.mark.parametrize(
    "body",
    [
        FILE + bytes(MANY),
        FILE + b"\r" * MANY,
        FILE + b"\r\n" * (MANY // 2),
        FILE + (LINE[:-1] + b"x") * (MANY // 74),
        FILE + (LINE + b"x") * (MANY // 75),
        FILE + (LINE + b"-x") * (MANY // 76),
        FILE + (LINE + b"\rx") * (MANY // 76),
        FILE + LINE + b" " * MANY,
        (FILE + b"\r\n") * (MANY // 130),
        b"\r\n" * MANY,
    ],
    ids="zeros cr crlf near line hyphen return padding files preamble".split(),
)
def test_hostile_bodies_cost_little_for_each_slice(body: bytes) -> None:
    parts = Parts(BOUNDARY, Bounds(100, 100, 1000))
    costs = []
    try:
        for at in range(0, len(body), SLICE):
            began = time.thread_time()
            parts.feed(body[at : at + SLICE])
            costs.append(time.thread_time() - began)
            parts.write()
    except Reject as exc:
        assert exc.status in (400, 413)
    # The medians: a slice costs what its bytes cost, not what came before.
    first, last = costs[: len(costs) // 4], costs[-(len(costs) // 4) :]
    if len(costs) >= 16:
        assert sorted(last)[len(last) // 2] < 20 * sorted(first)[len(first) // 2] + 0.001


def test_what_clients_do_wrong_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Reject):
        Parts(b"x", Bounds(1, 1, 1)).feed(b"--y")
    assert caplog.records == []


def test_files_share_what_may_be_in_memory() -> None:
    parts = Parts(BOUNDARY, Bounds(100, 100, 1000))
    body = (FILE + bytes(400_000) + b"\r\n") * 4 + b"--" + BOUNDARY + b"--"
    for at in range(0, len(body), SLICE):
        parts.feed(body[at : at + SLICE])
        parts.write()
    found = [value for _, value in parts.end() if isinstance(value, UploadFile)]
    assert [each._is_on_disk for each in found] == [False, False, True, True]
    assert [each.file.read() for each in found] == [bytes(400_000)] * 4


def test_forms_of_httpx_and_curl_are_read(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "photo.bin").write_bytes(bytes(2_000_000))
    with serving("app:server", cwd=tmp_path) as server:
        files: Any = [("photo", ('ü "1".bin', bytes(2_000_000))), ("photo", ("b", b""))]
        answer = httpx.post(server.url, data={"a": ["1", "zwei ü"]}, files=files, timeout=20)
        assert answer.json() == [
            ["a", "1"], ["a", "zwei ü"],
            ["photo", ["ü %221%22.bin", 2_000_000]], ["photo", ["b", 0]],
        ]  # fmt: skip
        answer = httpx.post(server.url, data={"a": "1 &", "b": ""}, timeout=20)
        assert answer.json() == [["a", "1 &"], ["b", ""]]
        done = subprocess.run(
            ["curl", "-s", "-F", "a=1", "-F", "photo=@photo.bin", server.url],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.stdout == '[["a","1"],["photo",["photo.bin",2000000]]]'
