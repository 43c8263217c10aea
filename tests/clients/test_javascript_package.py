"""The npm package: the same bytes each time, and once installed it works as its page says."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.nodejs import LIBRARY, program, run, runtime
from tests.serving import ROOT, serving

pytestmark = pytest.mark.slow

README = (LIBRARY / "README.md").read_text()
PAGE = (ROOT / "README.md").read_text()  # which shows the same three lines


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def pack(folder: Path) -> Path:
    folder.mkdir()
    said = run(program("npm"), "pack", "--json", "--silent", "--pack-destination", folder)
    (packed,) = folder.iterdir()
    assert packed.name in said
    return packed


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("pack") / "first")


@pytest.fixture(scope="module")
def project(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the package is installed from the file, and nothing else."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    quiet = ("--no-audit", "--no-fund", "--silent", "--offline")
    run(program("npm"), "install", *quiet, tarball, cwd=folder)
    assert [each.name for each in (folder / "node_modules").glob("[!.]*")] == ["glyph-fast"]
    return folder


def test_packing_it_twice_gives_the_same_file(tarball: Path, tmp_path: Path) -> None:
    again = pack(tmp_path / "second")
    assert (
        hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(tarball.read_bytes()).digest()
    )


def test_it_holds_what_is_needed_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = sorted(name.removeprefix("package/") for name in archive.getnames())
        types = archive.extractfile("package/dist/types.d.ts")
        assert types is not None
        assert "  _" not in types.read().decode()  # the inside is nobody's business
    assert names == [
        "LICENSE",
        "README.md",
        *(f"dist/{name}" for name in ("glyph-fast.js", "glyph-fast.mjs", "index.d.ts")),
        "dist/types.d.ts",
        "package.json",
    ]
    assert (LIBRARY / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("engine", ["node", "bun", "deno"])
def test_the_three_lines_of_its_page_hear_a_message(
    project: Path, tmp_path: Path, engine: str
) -> None:
    (tmp_path / "app.py").write_text(blocks(README, "python")[0])
    with serving("app:server", cwd=tmp_path) as server:
        lines = blocks(README, "js")[0]
        assert len(lines.splitlines()) == 3
        assert lines in blocks(PAGE, "js")
        assert "127.0.0.1:8080" in lines
        file = project / f"three-{engine}.js"
        file.write_text(lines.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}"))
        process = subprocess.Popen(
            [*runtime(engine), str(file)], cwd=project, stdout=subprocess.PIPE, text=True
        )
        timer = threading.Timer(60, process.kill)
        timer.start()
        try:
            with connect(server.ws("/ws")) as other:
                other.send(json.dumps({"type": "join_room", "room": "chat:1"}))
                message = {"type": "broadcast", "room": "chat:1", "data": "from another"}
                other.send(json.dumps(message))
                assert process.stdout is not None
                assert process.stdout.readline() == "from another\n"
        finally:
            timer.cancel()
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.mark.parametrize("module", ["nodenext", "preserve"])
def test_its_types_are_found(project: Path, module: str) -> None:
    (project / "use.ts").write_text(
        'import { GlyphError, connect, type Room } from "glyph-fast";\n'
        'const room: Room<{ text: string }> = connect("/ws").join("chat:1");\n'
        'room.on("message", ({ text }) => text.length);\n'
        "export const failed = (error: GlyphError): boolean => error.maybeSent;\n"
    )
    options: list[Any] = ["--strict", "--noEmit", "--types", "", "--target", "es2022"]
    run(program("tsc"), *options, "--module", module, "use.ts", cwd=project)
