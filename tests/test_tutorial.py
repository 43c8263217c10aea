"""docs/tutorial.md, step by step: its files written, its commands run, its pages opened."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import browser, complaints, open_page
from tests.serving import ROOT, ServeProcess, serving

__all__ = ["browser", "complaints", "open_page"]  # fixtures

pytestmark = pytest.mark.application

TEXT = (ROOT / "docs/tutorial.md").read_text()
STEPS = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
START_S = 30.0


def blocks(step: int, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", STEPS[step - 1], re.MULTILINE | re.DOTALL)


def write(folder: Path, *steps: int) -> None:
    """The files of these steps, the later ones over the earlier."""
    for step in steps:
        for language in ("python", "html", "ini"):
            for text in blocks(step, language):
                found = re.match(r"(?:#|<!--) (\S+)", text)
                if found is None:
                    continue  # a part of a file
                path = folder / found[1]
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)


@contextmanager
def step(folder: Path, number: int, *steps: int) -> Iterator[ServeProcess]:
    """The server of a step, started by the command that stands there."""
    write(folder, *steps, number)
    (line,) = re.findall(r"^    glyph-fast serve (.*)$", STEPS[number - 1], re.MULTILINE)
    with serving(*shlex.split(line), cwd=folder, env={"CHAT_SECRET": "s" * 32}) as server:
        yield server


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()


def shows(page: Page, *lines: str) -> None:
    expect(page.get_by_role("listitem")).to_have_text(list(lines))


def enter(page: Page, name: str) -> Page:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Sign in").click()
    return page


def close(*pages: Page) -> None:
    for page in pages:
        page.context.close()


def test_there_are_seven_steps() -> None:
    assert [step.split(".")[0] for step in STEPS[:7]] == list("1234567")
    assert STEPS[7].startswith("Where to go next")


def test_the_first_step_shows_the_page_of_development_mode(tmp_path: Path) -> None:
    with step(tmp_path, 1) as server, urllib.request.urlopen(server.url, timeout=20) as answer:
        assert b"<title>" in answer.read()


@pytest.mark.browser
def test_two_windows_talk_after_the_second(open_page: Any, tmp_path: Path) -> None:
    with step(tmp_path, 2) as server:
        ada, bob = open_page(server.url), open_page(server.url)
        bob.wait_for_function("room.isJoined")
        say(ada, "hello")
        for page in (ada, bob):
            shows(page, "hello")
        close(ada, bob)


@pytest.mark.browser
def test_a_new_window_shows_the_past_after_the_third(open_page: Any, tmp_path: Path) -> None:
    (changed,) = blocks(3, "js")
    with step(tmp_path, 3, 2) as server:
        change(tmp_path, '  const room = server.join("chat:tea");\n', changed)
        ada = open_page(server.url)
        say(ada, "hello")
        shows(ada, "hello")
        late = open_page(server.url)
        shows(late, "hello")
        close(ada, late)


def change(folder: Path, old: str, new: str) -> None:
    page = folder / "page/index.html"
    text = page.read_text()
    assert text.count(old) == 1
    page.write_text(text.replace(old, new))


def with_names(folder: Path) -> None:
    """The page of the fourth step as the fifth changes it."""
    (script,), (place,) = blocks(5, "js"), blocks(5, "html")
    change(folder, '    const room = server.join("chat:tea", { history: 50 });\n', script)
    change(folder, "<ol></ol>\n", place + "<ol></ol>\n")


@pytest.mark.browser
@pytest.mark.parametrize("number", [4, 5])
def test_people_sign_in_after_the_fourth_and_are_seen_after_the_fifth(
    open_page: Any, tmp_path: Path, number: int
) -> None:
    with step(tmp_path, number, 4) as server:
        if number == 5:
            with_names(tmp_path)
        ada, bob = (enter(open_page(server.url), name) for name in ("Ada", "Bob"))
        say(ada, "hello")
        shows(bob, "Ada: hello")
        if number == 5:
            for page in (ada, bob):
                expect(page.locator("output")).to_have_text("Ada, Bob")
        close(ada, bob)


def test_the_test_of_the_sixth_passes(tmp_path: Path) -> None:
    write(tmp_path, 4, 5, 6)
    (line,) = re.findall(r"^    python -m (pytest.*)$", STEPS[5], re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(line), "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.browser
def test_people_talk_through_the_proxy_of_the_seventh(open_page: Any, tmp_path: Path) -> None:
    write(tmp_path, 4)
    with_names(tmp_path)
    (caddyfile,) = blocks(7, "caddy")
    (options,) = re.findall(r"^ExecStart=\S+ serve (.*)$", STEPS[6], re.MULTILINE)
    secret = {"CHAT_SECRET": "s" * 32}
    with serving(*shlex.split(options), cwd=tmp_path, env=secret) as server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        site = f"http://127.0.0.1:{port}"
        settings = "{\n\tadmin off\n\tauto_https off\n}\n" + caddyfile
        settings = settings.replace("chat.example.com", site).replace(":8080", f":{server.port}")
        (tmp_path / "Caddyfile").write_text(settings)
        with proxy(tmp_path, port):
            ada, bob = (enter(open_page(site), name) for name in ("Ada", "Bob"))
            expect(ada.locator("output")).to_have_text("Ada, Bob")
            say(bob, "hello")
            shows(ada, "Bob: hello")
            close(ada, bob)


@contextmanager
def proxy(folder: Path, port: int) -> Iterator[None]:
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            ["caddy", "run", "--config", "Caddyfile"],
            cwd=folder,
            env={**os.environ, "HOME": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                told = (folder / "caddy.log").read_text()
                assert process.poll() is None and time.monotonic() < end, told
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(START_S)


def test_systemd_finds_nothing_wrong_with_the_unit_of_the_seventh(tmp_path: Path) -> None:
    write(tmp_path, 7)
    unit = tmp_path / "talk.service"
    text = unit.read_text().replace("/srv/talk/.venv/bin/glyph-fast", sys.executable)
    unit.write_text(text.replace("/srv/talk", str(tmp_path)))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=START_S
    )
    assert (done.returncode, done.stderr) == (0, "")
