"""The dashboard of the operators' port."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.browser.accessibility import violations
from tests.browser.chat_page import screenshot
from tests.serving import ROOT, ServeProcess, serving

pytestmark = pytest.mark.browser
TOKEN = "let-me-in"
FAILING = """from glyph_fast import MessageContext, MessageType, Server

server = Server()

@server.on_message(MessageType.TEXT)
def fail(ctx: MessageContext) -> None:
    raise LookupError(f"no <b>piece</b> {ctx.message.data}\\nnor more")
"""


class Operated(NamedTuple):
    server: ServeProcess
    url: str


@pytest.fixture
def operated() -> Iterator[Operated]:
    with serving("--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        yield Operated(server, server.process.stdout.readline().decode().split()[-1])
        print(server.log())


def test_each_worker_has_a_line(open_page: Any) -> None:
    options = ("--workers", "2", "--admin", "127.0.0.1:0", "--admin-token", TOKEN)
    with serving(*options) as server:
        assert server.process.stdout is not None
        page = open_page(f"{server.process.stdout.readline().decode().split()[-1]}/dashboard")
        unlock(page)
        expect(page.locator("#workers tbody tr")).to_have_count(2)
        expect(page.locator("#workers tbody tr").first).to_contain_text("MiB")


def unlock(page: Page) -> None:
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("status")).to_have_text("live")
    unfold(page)


def unfold(page: Page) -> None:
    """Open every section, as one does by a tap on each."""
    for each in page.locator("summary:visible").all():
        if each.locator("..").get_attribute("open") is None:
            each.click()


def test_what_was_before_is_there_after_a_reload(operated, open_page: Any) -> None:
    page = open_page(f"{operated.url}/dashboard")
    unlock(page)
    points = "charts[0].data[0].length"
    deadline = time.monotonic() + 30
    while page.evaluate(points) < 2:
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)
    page.reload()
    expect(page.get_by_role("status")).to_have_text("live")
    assert page.evaluate(points) >= 2  # with the first message
    expect(page.locator("#chart-cpu canvas")).to_be_visible()


def test_processor_memory_files_and_loop_are_shown(operated, open_page: Any) -> None:
    page = open_page(f"{operated.url}/dashboard")
    unlock(page)
    expect(page.locator("#cpu")).to_contain_text("%")
    expect(page.locator("#memory")).to_contain_text("MiB")
    expect(page.locator("#files-more")).to_contain_text("of ")
    expect(page.locator("#lag")).not_to_have_text("–")


def test_on_a_phone_sections_are_folded_until_somebody_opens_them(operated, open_page: Any) -> None:
    page = open_page(f"{operated.url}/dashboard", viewport={"width": 390, "height": 844})
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#connections")).to_be_visible()
    expect(page.locator("#chart-messages")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()
    page.get_by_role("heading", name="Ten minutes").click()
    expect(page.locator("#chart-messages canvas")).to_be_visible()
    page.reload()
    expect(page.locator("#chart-messages canvas")).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.parametrize(("workers", "width"), [("1", 1280), ("2", 390)], ids=["desk", "phone"])
def test_connections_are_found_and_closed(open_page: Any, workers: str, width: int) -> None:
    options = ("--workers", workers, "--admin", "127.0.0.1:0", "--admin-token", TOKEN)
    with serving(*options) as server, ExitStack() as stack:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        page = open_page(f"{url}/dashboard", viewport={"width": width, "height": 844})
        stack.callback(page.context.close)
        unlock(page)
        ids = []
        for name in ("ada", "bob"):
            client = stack.enter_context(connect(server.ws(f"/rooms/lobby/{name}"), proxy=None))
            client.send('{"type": "ping"}')
            ids.append(json.loads(client.recv(timeout=10))["target"])
        rows = page.locator("#found tbody tr")
        page.get_by_role("button", name="Find").click()
        expect(rows).to_have_count(2)
        expect(page.locator("#found-more")).to_have_text("2 found")
        page.get_by_label("Find by").fill(ids[0][:20])
        page.keyboard.press("Enter")
        expect(rows).to_have_count(1)
        expect(rows.first).to_contain_text(ids[0][:12])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []
        page.on("dialog", lambda dialog: dialog.accept())
        rows.first.get_by_role("button", name="Close").click()
        expect(page.get_by_text("closed with 1000")).to_be_visible()
        page.get_by_label("Find by").fill("nobody at all")
        page.keyboard.press("Enter")
        expect(page.locator("#found-more")).to_have_text("Nobody is like that.")


def test_an_error_is_told_by_its_text_and_its_line(open_page: Any, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FAILING)
    with serving(
        "app:server", "--admin", "127.0.0.1:0", "--admin-token", TOKEN, cwd=tmp_path
    ) as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        page = open_page(f"{url}/dashboard")
        unlock(page)
        with connect(server.ws("/ws"), proxy=None) as ada:
            ada.send("x")
            expect(page.locator("#failures tbody tr")).to_contain_text(
                "LookupError: no <b>piece</b> x"
            )
        expect(page.locator("#failures .where")).to_contain_text("app.py:7")
        page.context.close()


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 390)], ids=["desk", "phone"]
)
def test_it_shows_who_is_connected(operated, open_page: Any, scheme: str, width: int) -> None:
    page = open_page(
        f"{operated.url}/dashboard",
        color_scheme=scheme,
        viewport={"width": width, "height": 844},
    )
    unlock(page)
    expect(page.locator("#connections")).to_have_text("0")
    expect(page.get_by_text("There is no room.")).to_be_visible()
    chat = open_page(operated.server.url)
    chat.get_by_role("textbox", name="Your name").fill("Ada")
    chat.get_by_role("button", name="Start chatting").click()
    expect(page.locator("#connections")).not_to_have_text("0")
    expect(page.locator("#rooms tbody tr").first).to_be_visible()
    expect(page.locator("#chart-messages canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, f"operators-{scheme}")
    chat.context.close()
    expect(page.locator("#connections")).to_have_text("0")
    expect(page.get_by_text("closed with 1001")).to_be_visible()


def test_a_wrong_token_is_said_and_may_be_mended(operated, open_page: Any) -> None:
    page = open_page(f"{operated.url}/dashboard")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    unlock(page)


def test_a_room_is_closed_by_its_button(operated, open_page: Any) -> None:
    chat = open_page(operated.server.url)
    chat.get_by_role("textbox", name="Your name").fill("Ada")
    chat.get_by_role("button", name="Start chatting").click()
    page = open_page(f"{operated.url}/dashboard")
    unlock(page)
    asked: list[str] = []

    def accept(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    page.locator("#rooms").get_by_role("button", name="Close").first.click()
    expect(page.get_by_text("closed with 1000")).to_be_visible()
    assert asked[0].startswith("Close the connections of all in room")
    assert asked[1] == "closed: 1"
    assert "call=close-room" in operated.server.log()


def test_a_notice_reaches_everybody_and_a_connection_is_closed_by_its_id(
    operated, open_page: Any
) -> None:
    page = open_page(f"{operated.url}/dashboard")
    unlock(page)
    with connect(operated.server.ws("/rooms/lobby/Ada"), proxy=None) as ada:
        ada.send('{"type": "ping"}')
        id = json.loads(ada.recv(timeout=10))["target"]
        page.get_by_label("Send a notice").fill('{"notice": "at noon"}')
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#said")).to_have_text("sent: 1, queued: 0, dropped: 0")
        assert json.loads(ada.recv(timeout=10)) == {"notice": "at noon"}
        page.get_by_label("Close the connections of").fill("nobody")
        page.get_by_role("button", name="Close them").click()
        expect(page.locator("#ended")).to_have_text("closed: 0")
        page.get_by_label("Close the connections of").fill(id)
        page.get_by_role("button", name="Close them").click()
        expect(page.locator("#ended")).to_have_text("closed: 1")
        with pytest.raises(ConnectionClosed):
            ada.recv(timeout=10)
    expect(page.get_by_text("closed with 1000, normal")).to_be_visible()
    log = operated.server.log()
    assert "call=broadcast" in log and "call=disconnect" in log
    assert "at noon" not in log


@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_it_shows_what_rooms_remember(operated, open_page: Any, width: int) -> None:
    page = open_page(f"{operated.url}/dashboard", viewport={"width": width, "height": 844})
    unlock(page)
    expect(page.locator("#remembered-more")).to_have_text("0 messages")
    with connect(operated.server.ws("/rooms/lobby/Ada"), proxy=None) as ada:

        def join(**asked: object) -> Any:
            ada.send(json.dumps({"type": "join_room", "room": "lobby", "id": "1", **asked}))
            return json.loads(ada.recv(timeout=10))["data"]

        joined = join()
        for number in range(12):
            ada.send(json.dumps({"type": "say", "text": f"number {number}"}))
            ada.recv(timeout=10)
        since = {"epoch": joined["epoch"], "offset": joined["offset"]}
        for each in (since, since, {**since, "epoch": "another"}):
            join(since=each)
        expect(page.locator("#remembered")).to_contain_text("KiB")
        expect(page.locator("#remembered-more")).to_have_text("12 messages")
        expect(page.locator("#resumed")).to_have_text("2")
        expect(page.locator("#resumed-more")).to_have_text("1 refused")
        expect(page.locator("#present")).to_have_text("1")
        expect(page.locator("#chart-resumes canvas")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        screenshot(page, f"operators-streams-{width}")
    expect(page.locator("#present")).to_have_text("0")


def one_who_never_reads(server: ServeProcess) -> socket.socket:
    """A client of an echo that sends more than there is room for on the way back."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    client.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    size = 60_000
    frame = b"\x81\xfe" + size.to_bytes(2, "big") + bytes(4) + b"x" * size  # masked with zeros
    for _ in range(200):
        client.sendall(frame)
    return client


def test_who_is_slow_is_named_and_rooms_come_by_size(open_page: Any) -> None:
    options = ("--queue-messages", "4", "--admin", "127.0.0.1:0", "--admin-token", TOKEN)
    options += ("--client-commands", "join_room")
    with serving("echo:server", *options, cwd=ROOT / "examples/echo") as server, ExitStack() as all:
        assert server.process.stdout is not None
        page = open_page(server.process.stdout.readline().decode().split()[-1] + "/dashboard")
        all.callback(page.context.close)
        unlock(page)
        for number in range(3):
            ada = all.enter_context(connect(server.ws("/ws"), proxy=None))
            for name in ("zoo", "12")[: number + 1]:
                ada.send(json.dumps({"type": "join_room", "room": name}))
        expect(page.locator("#rooms tbody tr")).to_have_text(["zoo3Close", "122Close"])
        with one_who_never_reads(server):
            expect(page.locator("#slow tbody tr")).to_have_count(1)
            expect(page.locator("#dropped")).to_have_class("bad")
            expect(page.locator("#dropped-more")).to_contain_text("oldest")
            screenshot(page, "operators-slow")


def test_without_a_token_figures_are_shown_and_no_actions(open_page: Any) -> None:
    with serving("--admin", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        page = open_page(f"{url}/dashboard")
        expect(page.get_by_role("status")).to_have_text("live")
        expect(page.get_by_role("button", name="Send")).to_be_hidden()
        page.context.close()
