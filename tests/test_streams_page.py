"""The programs of docs/streams.md run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from glyph_fast.testing import SyncTestClient

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/streams.md").read_text()
BLOCKS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.M | re.S))


def test_the_page_closes_the_hole(tmp_path: Path) -> None:
    for name in ("lounge.py", "test_lounge.py"):
        (tmp_path / name).write_text(BLOCKS[name])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_lounge.py"],
        cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_program_publishes_and_reads() -> None:
    program: dict[str, Any] = {}
    exec(BLOCKS["announce.py"], program)
    with SyncTestClient(program["server"]) as client:
        first = client.post("/news", json={"n": 1}, headers={"Idempotency-Key": "k"}).json()
        again = client.post("/news", json={"n": 1}, headers={"Idempotency-Key": "k"}).json()
        assert first == again == {"epoch": first["epoch"], "offset": 1}
        with client.connect("/news") as reader:
            assert reader.receive_json() == {"before": [{"n": 1}]}
            client.post("/news", json={"n": 2})
            assert reader.receive_json() == {"n": 2}
        path = f"/news/{first['epoch']}/1"
        assert client.get(path).json() == [{"n": 2}]
        assert client.get("/news/other/1").json() == [{"n": 1}, {"n": 2}]
