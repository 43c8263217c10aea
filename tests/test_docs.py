"""What the documentation shows is run: its Python, its commands, its links."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import websockets
from websockets.sync.client import connect

from tests.serving import serving

pytestmark = pytest.mark.application

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("examples/**/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    missing = [
        target
        for target in targets
        if not target.startswith(("http:", "https:")) and not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.one_process  # whose connections `/status` counts
@pytest.mark.parametrize("language", ["python", "glyph"])
def test_readme_servers_run_as_written_and_answer_alike(language, tmp_path):
    target = {"python": "app:server", "glyph": "chat.glyph"}[language]
    (tmp_path / target.replace(":server", ".py")).write_text(
        blocks(ROOT / "README.md", language)[0]
    )

    async def talk(url: str) -> None:
        address = url.replace("http:", "ws:") + "/chat/blue"
        async with websockets.connect(address) as one, websockets.connect(address) as two:
            welcome = json.loads(await one.recv())
            assert welcome == {"welcome": welcome["welcome"]} and len(welcome["welcome"]) == 32
            await two.recv()
            await one.send("hello")
            for each in (one, two):
                said = json.loads(await each.recv())
                assert said == {"says": welcome["welcome"], "text": "hello"}
            with await asyncio.to_thread(urllib.request.urlopen, url + "/status") as answer:
                assert json.load(answer) == {"connections": 2}

    with serving(target, cwd=tmp_path) as server:
        asyncio.run(asyncio.wait_for(talk(server.url), 20))


def test_readme_connect_joins_the_twenty_lines(tmp_path):
    (tmp_path / "app.py").write_text(blocks(ROOT / "README.md", "python")[0])
    (line,) = re.findall(r"^    (glyph-fast connect .*)", (ROOT / "README.md").read_text(), re.M)
    with serving("app:server", cwd=tmp_path) as server:
        arguments = line.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").split()[1:]
        with connect(server.ws("/chat/tea")) as listener:
            listener.recv(timeout=20)
            done = subprocess.run(
                [sys.executable, "-m", "glyph_fast", *arguments, "--wait", "0.1"],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                input="hello\n",
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert json.loads(listener.recv(timeout=20))["text"] == "hello"
    assert done.returncode == 0, done.stderr
    assert "welcome" in json.loads(done.stdout.splitlines()[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    sorted(  # Django has no types
        {
            *ROOT.glob("examples/*/*.py"),
            *ROOT.glob("examples/*/by_hand/*.py"),
            ROOT / "deploy/app.py",
        }
        - {*ROOT.glob("examples/django/*.py")}
    ),
    ids=lambda program: program.relative_to(ROOT).as_posix(),
)
def test_examples_pass_a_strict_type_checker(program):
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", program.name],
        cwd=program.parent,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_bench_measures_the_echo_example(tmp_path):
    (line,) = re.findall(r"^    (glyph-fast bench .*)", (ROOT / "README.md").read_text(), re.M)
    with serving("echo:server", cwd=ROOT / "examples/echo") as server:
        arguments = line.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").split()[1:]
        done = subprocess.run(
            [sys.executable, "-m", "glyph_fast", *arguments, "--duration", "0.3"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert "server CPU" in done.stdout
    assert "<svg" in (tmp_path / "report.html").read_text()


def test_readme_commands_are_what_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert "    ci/setup && ci/test\n" in readme
    assert "ci/setup && ci/test" in (ROOT / ".ci" / "run").read_text()


def test_workers_page_runs_as_written(tmp_path):
    (tmp_path / "app.py").write_text(blocks(ROOT / "docs/workers.md", "python")[0])
    with serving("app:server", "--workers", "2", cwd=tmp_path) as server, ExitStack() as stack:
        found = {}
        while len(found) < 2:
            client = stack.enter_context(connect(server.ws("/ws")))
            found[json.loads(client.recv(timeout=20))["worker"]] = client
        found[1].send(json.dumps({"event": "say", "data": "hello"}))
        assert json.loads(found[2].recv(timeout=20)) == "hello"
