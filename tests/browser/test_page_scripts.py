"""The JavaScript of the pages, run in a browser against the program that stands beside it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page

from tests.auth.signing import SECRET, signed
from tests.serving import ROOT, serving

pytestmark = [pytest.mark.application, pytest.mark.browser]

LIBRARY = ROOT / "glyph_fast/javascript/glyph-fast.js"
WITHIN_S = 30.0


class Case(NamedTuple):
    """A script, what a person does afterwards, and what the script then shows."""

    page: str
    program: str
    first: str  # the first line of the script
    shown: list[object]
    then: str = ""
    cookie: str = ""
    one_process: bool = False  # the program counts on it


def posts(path: str, json: str = "null") -> str:
    return (
        f'await fetch("{path}", {{ method: "POST", body: JSON.stringify({json}), '
        'headers: { "Content-Type": "application/json" } });'
    )


OPEN = "while (server.state != 'open') await new Promise((done) => setTimeout(done, 5));"
JOINED = "while (!room.isJoined) await new Promise((done) => setTimeout(done, 5));"

CASES = [
    Case("calls", "calls", 'const server = glyphFast.connect("/ws");', ["cake is coming"]),
    Case("calls", "checked", 'const server = glyphFast.connect("/ws");', [1]),
    Case(
        "coming-from-socketio", "cafe",
        'const server = glyphFast.connect("/cafe/garden?name=Ada");', ["cake for Ada"],
    ),
    Case(
        "coming-from-channels", "talk", 'const server = glyphFast.connect("/chat/tea");',
        ["ada: hello"], then=OPEN + 'say("hello");', cookie="sessionid=c29tZXRoaW5n",
    ),
    Case(
        "streams", "lounge", "const room =", ["hello"],
        then=JOINED + 'await glyphFast.connect("/ws").join("chat:1").publish("hello");',
    ),
    Case("presence", "lobby", "const room =", [["Ada"]]),
    Case(
        "authentication", "cookies", 'const server = glyphFast.connect("/ws");', ["Ada"],
        cookie="session=c29tZXRoaW5n",
    ),
    Case("authentication", "tokens", 'const server = glyphFast.connect("/ws", {', ["ada"]),
    Case(
        "authentication", "users", 'const server = glyphFast.connect("/ws?name=ada");',
        ["your order is on its way"], then=OPEN + posts("/orders/ada/shipped"),
    ),
    Case(
        "events", "board", "const events =", [{"hot": True}],
        then='await new Promise((done) => events.addEventListener("open", done));'
        + posts("/news/tea", "{ hot: true }"),
    ),
    Case(
        "python", "game", "const socket =", [{"you": 1}, "drawn"],
        then="socket.onopen = () => steer(1, 0);", one_process=True,  # its loop runs in one worker
    ),
    Case(
        "python", "feed", 'const server = glyphFast.connect("/live");', ["closing soon"],
        then=OPEN + posts("/notices", '"closing soon"'),
    ),
    Case(
        "python", "count", 'const server = glyphFast.connect("/count"',
        ["count with me", "1: 3"],
    ),
    Case(
        "python", "shop", 'const server = glyphFast.connect("/ws");',
        [3, "we have no such thing"],
    ),
    Case("python", "till", 'const server = glyphFast.connect("/ws");', ["bought"]),
    Case("python", "halls", 'const server = glyphFast.connect("/ws");', ["you are in the hall"]),
    Case(
        "workers", "app", 'const server = glyphFast.connect("/ws");', ["hello"],
        then=OPEN + 'say("hello");',
    ),
]  # fmt: skip


def pieces(case: Case) -> tuple[str, str]:
    """The program, and the first script behind it that begins so."""
    text = (ROOT / f"docs/{case.page}.md").read_text()
    begin = f"```python\n# {case.program}.py\n"
    if case.page == "workers":
        begin = "```python\n"  # its only program has no name
    at = text.index(begin) + len("```python\n")
    program, rest = text[at:].split("\n```\n", 1)
    scripts = re.findall(r"^```js\n(.*?)^```", rest, re.MULTILINE | re.DOTALL)
    return program, next(each for each in scripts if each.startswith(case.first))


def run(page: Page, script: str, then: str) -> None:
    page.add_script_tag(path=LIBRARY)
    page.evaluate(
        """() => {
          window.shown = [];
          window.show = (value) => shown.push(value);
          window.draw = (number, x) => x > 0 && !shown.includes("drawn") && show("drawn");
        }"""
    )
    page.evaluate(f"(token) => {{ window.fetchToken = async () => {signed(sub='ada')!r}; }}")
    page.evaluate(f"async () => {{ {script}\n{then} }}")


def parameter(case: Case) -> Any:
    marks = [pytest.mark.one_process] if case.one_process else []
    return pytest.param(case, id=f"{case.page}-{case.program}", marks=marks)


@pytest.mark.parametrize("case", [parameter(each) for each in CASES])
def test_a_script_shows_what_it_should(open_page: Any, tmp_path: Path, case: Case) -> None:
    program, script = pieces(case)
    (tmp_path / f"{case.program}.py").write_text(program)
    (tmp_path / "page").mkdir()
    (tmp_path / "page/index.html").write_text("<!doctype html><link rel=icon href=data:,>")
    served = f"from {case.program} import server\nserver.static('/page', 'page')\n"
    (tmp_path / "served.py").write_text(served)
    with serving("served:server", cwd=tmp_path, env={"CHAT_SECRET": SECRET}) as server:
        page = open_page(f"{server.url}/page/index.html")
        if case.cookie:
            page.evaluate("(cookie) => { document.cookie = `${cookie}; path=/` }", case.cookie)
        run(page, script, case.then)
        end = time.monotonic() + WITHIN_S
        while not all(each in (shown := page.evaluate("shown")) for each in case.shown):
            assert time.monotonic() < end, shown
            page.wait_for_timeout(10)
        page.context.close()


def test_every_script_of_the_pages_is_run() -> None:
    """But those of other tests: of the tutorial, and of the pages of client libraries."""
    others = {"tutorial", "clients", "centrifuge", "centrifuge-streams"}
    ours = {case.page for case in CASES}
    for page in (ROOT / "docs").glob("*.md"):
        scripts = re.findall(r"^```js\n", page.read_text(), re.MULTILINE)
        if page.stem not in others:
            assert len(scripts) == sum(case.page == page.stem for case in CASES), page
    assert ours
