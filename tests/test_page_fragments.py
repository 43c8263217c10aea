"""The pieces of programs on docs/python.md, which have no name of their own, run as one program."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.serving import ROOT, serving

pytestmark = pytest.mark.application

PAGE = (ROOT / "docs/python.md").read_text()
FRAGMENTS = re.findall(r"^```python\n(?!# \w+\.py\n)(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_they_do_what_the_page_says(tmp_path: Path) -> None:
    assert len(FRAGMENTS) >= 5
    imports = "from glyph_fast import Connection, Request\n"
    (tmp_path / "pieces.py").write_text(imports + "".join(FRAGMENTS))
    with serving("pieces:server", cwd=tmp_path) as server:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            assert client.get("/price").json() == {"price": "1.50"}
            assert client.post("/announce").json() == {"reached": 0, "lost": 0}
            answer = client.put("/files/photo", content=b"x" * 100_000)
            assert answer.json() == {"name": "photo", "size": 100_000}
            lines = client.get("/rows.csv").text.splitlines()
        assert (lines[0], lines[1001], len(lines)) == ("n,square", "1000,1000000", 100_001)
        with connect(server.ws("/numbers")) as numbers:
            assert [*islice(numbers, 3000)] == [str(number) for number in range(3000)]


def test_opentelemetry_s_two_lines_run(tmp_path: Path) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    (text,) = re.findall(r"^```python\n([^`]*instrument\(server\)\n)```", page, re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
