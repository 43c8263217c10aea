"""What docs/centrifugo-api.md shows is run, and its tables are complete."""

from __future__ import annotations

import os
import re
import subprocess

from glyph_fast import json
from glyph_fast.admin.centrifugo import errors
from glyph_fast.admin.centrifugo.commands import ELSEWHERE
from glyph_fast.admin.centrifugo.fields import FIELDS, NOT_HERE
from tests.admin.operated import TOKEN
from tests.serving import ROOT, serving

PAGE = (ROOT / "docs/centrifugo-api.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_lines_publish(capsys) -> None:
    _, curl = blocks("sh")
    (python,) = blocks("python")
    with serving("--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        admin = server.process.stdout.readline().decode().split()[-1]
        environment = {**os.environ, "ADMIN": admin, "TOKEN": TOKEN}
        done = subprocess.run(
            ["sh", "-ec", curl], env=environment, capture_output=True, timeout=60, check=True
        )
        answer = json.loads(done.stdout)["result"]  # every room of the chat remembers
        assert answer["offset"] == 1 and answer["epoch"]
        exec(python.replace("http://127.0.0.1:9090", admin).replace("SECRET", TOKEN), {})
    assert capsys.readouterr().out == "{}\n"


def test_every_command_and_what_is_not_here_has_a_row() -> None:
    commands, elsewhere = PAGE.split("## What is not here")
    for method, fields in FIELDS.items():
        assert f"`{method}`" in commands
        for name in fields:
            assert f"`{name}`" in PAGE, f"{method}: {name}"
    for names in NOT_HERE.values():
        for name in names:
            assert f"`{name}`" in elsewhere
    assert "`rpc`" in elsewhere and "map_*" in elsewhere and ELSEWHERE


def test_every_code_has_a_row() -> None:
    codes = {n for name, n in vars(errors).items() if name.isupper() and isinstance(n, int)}
    rows = {
        int(code): int(status) for code, status in re.findall(r"^\| (\d+) \| (\d+) ", PAGE, re.M)
    }
    assert rows == {code: errors.ApiError(code, "").status for code in codes}
