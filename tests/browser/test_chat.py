"""The chat as people use it: real pages in Chromium, a real server process."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, WebSocket, WebSocketRoute, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.browser.accessibility import violations
from tests.browser.chat_page import (
    Enter,
    bubbles,
    connected,
    leave_room,
    notices,
    open_room,
    people,
    say,
    screenshot,
    unread,
)
from tests.serving import ROOT, ServeProcess, serving
from tests.succession import succession

pytestmark = [pytest.mark.application, pytest.mark.browser]


def test_two_pages_chat_in_one_room(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    say(ada, "Good morning, Bob.")
    expect(bubbles(bob)).to_have_text(["Good morning, Bob."])
    say(bob, "Good morning, Ada!")
    for page in (ada, bob):
        expect(bubbles(page)).to_have_text(["Good morning, Bob.", "Good morning, Ada!"])
    expect(ada.locator(".entry.own .bubble")).to_have_text(["Good morning, Bob."])
    expect(ada.locator(".entry:not(.own) .who b")).to_have_text(["Bob"])
    expect(ada.locator(".entry.pending")).to_have_count(0)
    screenshot(ada, "chat-two-people")


def test_a_third_page_in_another_room_hears_nothing(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    frames: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: frames.append(str(payload)))

    eve = person("Eve", rooms=["attic"])
    eve.on("websocket", listen)
    eve.reload()  # now every frame of hers is recorded
    connected(eve)
    say(ada, "only for the lobby")
    expect(bubbles(bob)).to_have_text(["only for the lobby"])
    open_room(ada, "attic")
    connected(ada)
    say(ada, "for the attic")
    expect(bubbles(eve)).to_have_text(["for the attic"])
    assert any("for the attic" in frame for frame in frames)
    assert not any("only for the lobby" in frame for frame in frames)


def test_everybody_sees_who_is_here(person: Enter) -> None:
    ada = person("Ada")
    expect(people(ada)).to_have_text(["Ada"])
    bob, cleo = person("Bob"), person("Cleo")
    for page, names in (
        (ada, ["Ada", "Bob", "Cleo"]),
        (bob, ["Bob", "Ada", "Cleo"]),
        (cleo, ["Cleo", "Ada", "Bob"]),
    ):
        expect(people(page)).to_have_text(names)  # oneself first
        expect(page.locator("#RoomState")).to_have_text("3 people here")
    cleo.close()
    expect(people(ada)).to_have_text(["Ada", "Bob"])
    expect(notices(ada)).to_have_text(["Bob and Cleo joined", "Cleo left"])


def test_equal_names_are_two_people(person: Enter) -> None:
    one, two = person("Ada"), person("Ada")
    expect(people(one)).to_have_text(["Ada", "Ada"])
    say(one, "which of us?")
    expect(two.locator(".entry:not(.own) .bubble")).to_have_text(["which of us?"])


def test_others_see_that_somebody_is_typing(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    field = ada.get_by_role("textbox", name="Message", exact=True)
    field.press_sequentially("I am thin")
    expect(bob.locator("#Typing")).to_have_text("Ada is typing")
    expect(ada.locator("#Typing")).to_have_text("")
    screenshot(bob, "chat-typing")
    field.press("Enter")
    expect(bubbles(bob)).to_have_text(["I am thin"])
    expect(bob.locator("#Typing")).to_have_text("")
    field.press_sequentially("again")
    expect(bob.locator("#Typing")).to_have_text("Ada is typing")
    expect(bob.locator("#Typing")).to_have_text("")  # forgotten after a while of silence


def test_messages_in_rooms_not_in_view_are_counted(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    open_room(bob, "random")
    connected(bob)
    say(bob, "one")
    say(bob, "two")
    expect(unread(ada, "random")).to_have_text("2")
    expect(unread(ada, "lobby")).to_be_hidden()
    expect(ada).to_have_title("(2) #lobby · glyph-fast chat")
    screenshot(ada, "chat-unread")
    open_room(ada, "random")
    expect(bubbles(ada)).to_have_text(["one", "two"])
    expect(ada.locator(".rule.fresh")).to_have_text(["New"])
    expect(unread(ada, "random")).to_be_hidden()
    expect(ada).to_have_title("#random · glyph-fast chat")


def test_a_link_opens_its_room(person: Enter) -> None:
    ada, bob = person("Ada", room="Café%20Noir"), person("Bob", room="caf%C3%A9-noir")
    for page in (ada, bob):
        expect(page.get_by_role("heading", level=1)).to_have_text("café-noir")
    say(ada, "found it")
    expect(bubbles(bob)).to_have_text(["found it"])


def test_another_room_is_joined_and_left(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob", room="garden")
    ada.get_by_role("textbox", name="Join another room").fill("#Garden")
    ada.keyboard.press("Enter")
    connected(ada)
    assert ada.url.endswith("/#garden")
    expect(people(ada)).to_have_text(["Ada", "Bob"])
    leave_room(ada, "garden")
    expect(people(bob)).to_have_text(["Bob"])
    expect(ada.get_by_role("heading", level=1)).to_have_text("help")
    ada.reload()
    connected(ada)
    expect(ada.locator(".room .title")).to_have_text(["lobby", "random", "help"])


def test_a_reload_keeps_working(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob", rooms=["lobby", "attic"])
    expect(people(ada)).to_have_text(["Ada", "Bob"])
    bob.reload()
    connected(bob)  # without being asked for the name again
    for page, names in ((ada, ["Ada", "Bob"]), (bob, ["Bob", "Ada"])):
        expect(people(page)).to_have_text(names)
    say(bob, "back")
    expect(bubbles(ada)).to_have_text(["back"])
    say(ada, "welcome back")
    expect(bubbles(bob)).to_have_text(["back", "welcome back"])
    expect(notices(ada)).to_have_text(["Bob joined"])  # the reload was no news


def test_a_new_tab_is_a_new_person_with_the_last_name_offered(person: Enter) -> None:
    ada = person("Ada")
    tab = ada.context.new_page()
    tab.goto(ada.url)
    expect(tab.get_by_role("textbox", name="Your name")).to_have_value("Ada")
    tab.get_by_role("textbox", name="Your name").fill("Bob")
    tab.keyboard.press("Enter")
    connected(tab)
    expect(people(ada)).to_have_text(["Ada", "Bob"])


def test_a_changed_name_is_seen_by_the_others(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    expect(people(bob)).to_have_text(["Bob", "Ada"])
    ada.get_by_role("button", name="Change your name").click()
    ada.get_by_role("textbox", name="Your name").fill("Countess")
    ada.get_by_role("button", name="Save").click()
    expect(people(bob)).to_have_text(["Bob", "Countess"])
    news = bob.locator(".scroller:not([hidden]) .notice")
    expect(news).to_have_text(["Ada is now called Countess"])
    say(ada, "me again")
    expect(bob.locator(".who b")).to_have_text(["Countess"])
    ada.context.close()
    expect(news.last).to_have_text("Countess left")


def test_who_enters_sees_the_latest_fifty_messages(chat: ServeProcess, person: Enter) -> None:
    lines = [f"line {number}" for number in range(60)]
    with connect(chat.ws("/rooms/lobby/Bot"), proxy=None) as bot:
        for line in lines:
            bot.send(json.dumps({"type": "say", "text": line}))
            bot.recv()
    ada = person("Ada")
    expect(bubbles(ada)).to_have_text(lines[10:])
    expect(bubbles(ada).last).to_be_in_viewport()
    expect(ada.locator(".scroller:not([hidden]) .who b")).to_have_text(["Bot"])
    expect(ada.locator(".rule")).to_have_count(0)
    expect(ada).to_have_title("#lobby · glyph-fast chat")  # what was said before is not unread
    say(ada, "and mine")
    expect(ada.locator(".entry.pending")).to_have_count(0)
    ada.reload()
    connected(ada)
    expect(bubbles(ada)).to_have_text([*lines[11:], "and mine"])
    expect(ada.locator(".entry.own .bubble")).to_have_text(["and mine"])


def cuttable(page: Page) -> tuple[Callable[[], None], Callable[[], None]]:
    """Put something between the page and the room: what cuts it off, and what lets it back."""
    sockets: list[WebSocketRoute] = []
    is_cut = False

    def pass_on(socket: WebSocketRoute) -> None:
        if is_cut:
            socket.close(code=1001)
            return
        sockets.append(socket)
        socket.connect_to_server()

    def cut() -> None:
        nonlocal is_cut
        is_cut = True
        sockets.pop().close(code=1001)

    def mend() -> None:
        nonlocal is_cut
        is_cut = False

    page.route_web_socket(re.compile("/rooms/lobby/"), pass_on)
    return cut, mend


def test_a_lost_connection_leaves_no_hole(open_page: Any) -> None:
    """Each time more is said than a newcomer would be shown."""
    with serving("--rate-limit", "off") as server:
        page = open_page("about:blank")
        cut, mend = cuttable(page)
        page.goto(f"{server.url}/#lobby")
        page.get_by_role("textbox", name="Your name").fill("Ada")
        page.keyboard.press("Enter")
        connected(page)
        lines = [f"line {number}" for number in range(195)]
        with connect(server.ws("/rooms/lobby/Bot"), proxy=None) as bot:

            def speak(some: list[str]) -> None:
                for line in some:
                    bot.send(json.dumps({"type": "say", "text": line}))

            for start in range(0, len(lines), 65):
                speak(lines[start : start + 5])
                cut()
                speak(lines[start + 5 : start + 60])
                for _ in range(60):
                    bot.recv()
                expect(page.locator("#RoomState")).to_have_attribute("data-state", "waiting")
                mend()
                speak(lines[start + 60 : start + 65])
                connected(page)
                expect(bubbles(page)).to_have_text(lines[: start + 65])
                for _ in range(5):
                    bot.recv()
        expect(page.locator(".rule.gap")).to_have_count(0)
        page.context.close()


def speak_without_end(url: str, is_over: Callable[[], bool]) -> list[str]:
    """Say one line after the other, each until it has come back, however often one must connect."""
    said: list[str] = []
    while not is_over() or len(said) % 20:
        with suppress(ConnectionClosed, OSError), connect(url, proxy=None) as bot:
            while not is_over() or len(said) % 20:
                line = f"line {len(said)}"
                bot.send(json.dumps({"type": "say", "text": line, "key": line}))
                while json.loads(bot.recv(timeout=20)).get("key") != line:
                    pass
                said.append(line)
                time.sleep(0.05)  # less than a room keeps while the page comes back
    return said


def test_a_new_process_leaves_no_hole(open_page: Any) -> None:
    """On SIGHUP another process takes over, with what rooms remember."""
    with succession("--rate-limit", "off") as service:
        page = open_page(f"{service.url}/#lobby")
        page.get_by_role("textbox", name="Your name").fill("Ada")
        page.keyboard.press("Enter")
        connected(page)
        restarting = Thread(target=service.restart)
        restarting.start()
        said = speak_without_end(service.ws("/rooms/lobby/Bot"), lambda: not restarting.is_alive())
        restarting.join()
        page.get_by_text(said[-1], exact=True).wait_for()
        connected(page)
        texts = bubbles(page).all_text_contents()
        assert texts == said[-len(texts) :] and len(texts) >= min(len(said), 490)
        assert len(said) >= 20
        expect(page.locator(".rule.gap")).to_have_count(0)
        page.context.close()


def test_after_a_restart_the_page_marks_what_may_be_missing(
    chat: ServeProcess, person: Enter
) -> None:
    ada = person("Ada")
    say(ada, "before")
    expect(ada.locator(".entry.pending")).to_have_count(0)
    chat.kill()
    expect(ada.locator("#RoomState")).to_have_attribute("data-state", "waiting")
    with serving(port=chat.port) as server:
        with connect(server.ws("/rooms/lobby/Bot"), proxy=None) as bot:
            bot.send(json.dumps({"type": "say", "text": "meanwhile"}))
            bot.recv()
            connected(ada)
        say(ada, "after")
        entries = ada.locator(".scroller:not([hidden]) :is(.bubble, .rule)")
        marked = ["before", "Messages may be missing here", "meanwhile", "after"]
        expect(entries).to_have_text(marked)
        screenshot(ada, "chat-restarted")
        ada.get_by_role("button", name="Change your name").click()
        ada.get_by_role("textbox", name="Your name").fill("Countess")
        ada.get_by_role("button", name="Save").click()
        connected(ada)
        say(ada, "as somebody else")
        expect(entries).to_have_text([*marked, "as somebody else"])  # and nothing twice
        ada.context.close()


def test_a_message_that_arrived_after_all_is_delivered(chat: ServeProcess, open_page: Any) -> None:
    """The connection is lost with the receipt: it comes with what was missed."""
    page = open_page("about:blank")
    is_deaf = False

    def pass_on(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def hear(message: str | bytes) -> None:
            if is_deaf and '"say"' in str(message):
                socket.close(code=1001)
            else:
                socket.send(message)

        server.on_message(hear)

    page.route_web_socket(re.compile("/rooms/lobby/"), pass_on)
    page.goto(f"{chat.url}/#lobby")
    page.get_by_role("textbox", name="Your name").fill("Ada")
    page.keyboard.press("Enter")
    connected(page)
    page.clock.install()
    page.clock.pause_at(datetime.now() + timedelta(seconds=2))  # it does not come back by itself
    is_deaf = True
    say(page, "heard by others")
    expect(page.locator(".entry.failed .bubble")).to_have_text(["heard by others"])
    is_deaf = False
    page.get_by_role("button", name="Retry now").click()  # which is there while the clock stands
    page.clock.resume()
    connected(page)
    expect(page.locator(".entry.failed, .entry.pending, .fault")).to_have_count(0)
    expect(bubbles(page)).to_have_text(["heard by others"])


def test_killing_and_restarting_the_server_reconnects_both_pages(
    chat: ServeProcess, person: Enter
) -> None:
    ada, bob = person("Ada"), person("Bob")
    expect(people(ada)).to_have_text(["Ada", "Bob"])
    chat.kill()
    for page in (ada, bob):
        expect(page.locator("#RoomState")).to_have_attribute("data-state", "waiting")
        expect(page.locator("#Banner")).to_contain_text("Connection lost")
    say(ada, "typed while nobody listened")
    screenshot(ada, "chat-server-away")
    with serving(port=chat.port):
        for page, names in ((ada, ["Ada", "Bob"]), (bob, ["Bob", "Ada"])):
            connected(page)
            expect(page.locator("#Banner")).to_be_hidden()
            expect(people(page)).to_have_text(names)
        ada.keyboard.press("Enter")  # the text is still where it was
        expect(bubbles(bob)).to_have_text(["typed while nobody listened"])
        say(bob, "heard")
        expect(bubbles(ada)).to_have_text(["typed while nobody listened", "heard"])
        expect(notices(ada)).to_have_text(["Bob joined"])  # once, not again
        for page in (ada, bob):
            page.context.close()


def test_a_message_that_may_be_lost_can_be_sent_again(chat: ServeProcess, person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    os.kill(chat.process.pid, signal.SIGSTOP)  # it accepts bytes and does nothing with them
    say(ada, "did you get this?")
    expect(ada.locator(".entry.pending .bubble")).to_have_text(["did you get this?"])
    chat.kill()
    expect(ada.locator(".entry.failed .bubble")).to_have_text(["did you get this?"])
    screenshot(ada, "chat-perhaps-lost")
    with serving(port=chat.port):
        connected(ada)
        connected(bob)
        ada.get_by_role("button", name="Send again").click()
        expect(bubbles(bob)).to_have_text(["did you get this?"])
        expect(bubbles(ada)).to_have_text(["did you get this?"])
        expect(ada.locator(".entry.failed, .entry.pending")).to_have_count(0)
        for page in (ada, bob):
            page.context.close()


def test_retry_now_does_not_wait_for_the_next_attempt(chat: ServeProcess, person: Enter) -> None:
    ada = person("Ada")
    ada.clock.install()
    ada.clock.pause_at(datetime.now() + timedelta(seconds=2))  # no timer fires any more
    assert chat.stop() == 0
    expect(ada.locator("#RoomState")).to_have_attribute("data-state", "waiting")
    with serving(port=chat.port):
        ada.get_by_role("button", name="Retry now").click()
        connected(ada)
        ada.context.close()


@pytest.mark.one_process  # by which a room is full for a program
def test_a_full_room_says_so_and_is_not_asked_again(open_page: Any) -> None:
    with serving("--max-room-members", "1") as server:
        pages = []
        for name in ("Ada", "Bob"):
            page = open_page(server.url)
            page.get_by_role("textbox", name="Your name").fill(name)
            page.keyboard.press("Enter")
            pages.append(page)
            state = "open" if name == "Ada" else "refused"
            expect(page.locator("#RoomState")).to_have_attribute("data-state", state)
        expect(pages[1].locator("#Banner")).to_contain_text("room is full")
        screenshot(pages[1], "chat-room-full")
        for page in pages:
            page.context.close()


def test_the_example_in_glyph_is_the_same_chat(open_page: Any) -> None:
    folder = ROOT / "examples" / "websocket-chat"
    with serving("main.glyph", "--serve-client", cwd=folder) as server:
        pages = []
        for name in ("Ada", "Bob"):
            page = open_page(server.url)  # which leads to /chat/
            page.get_by_role("textbox", name="Your name").fill(name)
            page.keyboard.press("Enter")
            connected(page)
            pages.append(page)
        ada, bob = pages
        expect(people(ada)).to_have_text(["Ada", "Bob"])
        expect(people(bob)).to_have_text(["Bob", "Ada"])
        say(ada, "hello from Glyph")
        expect(bubbles(bob)).to_have_text(["hello from Glyph"])
        expect(ada.locator(".entry.pending")).to_have_count(0)
        bob.context.close()
        expect(people(ada)).to_have_text(["Ada"])
        ada.context.close()


def test_what_users_write_stays_text(person: Enter) -> None:
    ada, bob = person("<i>Ada</i>"), person("Bob")
    markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    say(ada, markup)
    expect(bubbles(bob)).to_have_text([markup])
    expect(bob.locator(".scroller img, .scroller script, .scroller i, #People i")).to_have_count(0)
    expect(people(bob)).to_have_text(["Bob", "<i>Ada</i>"])
    say(ada, "see https://example.com/a?b=c. And javascript:alert(1)")
    link = bob.locator(".bubble a")
    expect(link).to_have_text(["https://example.com/a?b=c"])
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


def test_code_is_shown_as_code(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    say(
        ada, "look:\n```python\nif a < b:\n    <b>`x`</b> https://example.com\n```\nor `a * b`, `c`"
    )
    bubble = bubbles(bob)
    expect(bubble).to_have_count(1)
    assert (
        bubble.locator("pre code").inner_text() == "if a < b:\n    <b>`x`</b> https://example.com"
    )
    assert bubble.locator(":scope > code").all_inner_texts() == ["a * b", "c"]
    expect(bubble.locator("a, b")).to_have_count(0)
    texts = "e => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data)"
    assert [text for text in bubble.evaluate(texts) if text] == ["look:", "or ", ", "]
    assert violations(bob) == []
    say(ada, "``` `unfinished ``")
    expect(bubbles(bob).last).to_have_text("``` `unfinished ``")
    screenshot(bob, "chat-code")


def test_a_few_emoji_alone_are_larger(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    sent = ["👍", "🎉 👩‍👩‍👧 🇩🇪 ❤️ 👍🏽", "👍 ok", "12", "😀" * 7, "a", "1️⃣"]
    for text in sent:
        say(ada, text)
    expect(bubbles(bob)).to_have_count(len(sent))
    is_large = [each.evaluate("e => e.classList.contains('large')") for each in bubbles(bob).all()]
    assert is_large == [True, True, False, False, False, False, True]
    assert violations(bob) == []


def test_no_text_holds_up_the_page(person: Enter) -> None:
    ada = person("Ada")
    read = "(text) => { isEmojiOnly(text); return rendered(text).length; }"
    for text in (
        "`" * 2000,
        "``` " * 500,
        "😀" * 1000,
        "https://" * 250,
        "`a" * 1000,
        "\u200d" * 80,
    ):
        assert ada.evaluate(read, text) > 0  # what is tried in every way would take for ever


def test_a_phone_on_its_side_has_room_for_what_is_said(person: Enter) -> None:
    side = {"viewport": {"width": 844, "height": 390}, "has_touch": True}
    ada, bob = person("Ada", **side), person("Bob")
    for number in range(12):
        say(bob, f"line {number}")
    expect(bubbles(ada)).to_have_count(12)
    expect(ada.locator("#Rail")).not_to_be_in_viewport()
    height = "e => e.getBoundingClientRect().height"
    assert ada.locator(".scroller:not([hidden])").evaluate(height) > 390 * 0.6
    assert ada.evaluate("document.scrollingElement.scrollWidth") == 844
    expect(bubbles(ada).last).to_be_in_viewport()
    assert violations(ada) == []
    screenshot(ada, "chat-landscape")
    ada.get_by_role("button", name="Rooms", exact=True).click()
    expect(ada.get_by_role("link", name="random")).to_be_in_viewport()
    ada.get_by_role("button", name="Change your name").click()
    for name in ("Cancel", "Save"):
        expect(ada.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)


def test_several_lines_are_one_message(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    field = ada.get_by_role("textbox", name="Message", exact=True)
    field.press_sequentially("first")
    field.press("Shift+Enter")
    field.press_sequentially("second")
    field.press("Enter")
    expect(bubbles(bob)).to_have_count(1)
    assert bubbles(bob).inner_text() == "first\nsecond"


def test_a_message_is_at_most_2000_characters(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    ada.get_by_role("textbox", name="Message", exact=True).fill("x" * 1990)
    expect(ada.locator("#Count")).to_have_text("10")
    ada.keyboard.type("y" * 20)  # the field takes ten of them
    expect(ada.locator("#Count")).to_have_text("0")
    ada.keyboard.press("Enter")
    expect(bubbles(bob)).to_have_text(["x" * 1990 + "y" * 10])


def test_new_messages_do_not_pull_a_reader_away(person: Enter) -> None:
    ada, bob = person("Ada"), person("Bob")
    for n in range(40):
        say(ada, f"line {n}")
    expect(bubbles(bob)).to_have_count(40)
    log = bob.locator(".scroller:not([hidden])")
    expect(bubbles(bob).last).to_be_in_viewport()  # who is at the end follows
    log.evaluate("node => node.scrollTop = 0")
    newer = bob.get_by_role("button", name="Latest messages")
    expect(newer).to_be_visible()
    say(ada, "news")
    say(ada, "more news")
    expect(bob.locator("#Newer")).to_have_text("2 new messages")
    expect(bubbles(bob).first).to_be_in_viewport()
    screenshot(bob, "chat-new-messages")
    bob.locator("#Newer").click()
    expect(bubbles(bob).last).to_be_in_viewport()
    expect(bob.locator("#Newer")).to_be_hidden()


def test_a_draft_stays_in_its_room(person: Enter) -> None:
    ada = person("Ada")
    field = ada.get_by_role("textbox", name="Message", exact=True)
    field.fill("for the lobby")
    open_room(ada, "random")
    expect(field).to_have_value("")
    open_room(ada, "lobby")
    expect(field).to_have_value("for the lobby")


COUNT_LAYOUTS = """window.layouts = 0;
for (const name of ["scrollHeight", "clientHeight", "scrollTop"]) {
  const { get, ...rest } = Object.getOwnPropertyDescriptor(Element.prototype, name);
  Object.defineProperty(Element.prototype, name, { ...rest, get() {
    window.layouts += 1;
    return get.call(this);
  } });
}"""


@pytest.mark.parametrize("room", ["lobby", "random"], ids=["in view", "elsewhere"])
def test_a_burst_of_messages_is_laid_out_by_frames(open_page: Any, room: str) -> None:
    with serving("--rate-limit", "off", "--queue-messages", "4096") as server:
        page = open_page("about:blank")
        page.add_init_script(COUNT_LAYOUTS)
        page.goto(server.url)
        page.get_by_role("textbox", name="Your name").fill("Ada")
        page.get_by_role("button", name="Start chatting").click()
        connected(page)
        before = page.evaluate("layouts")
        with connect(server.ws(f"/rooms/{room}/Bot"), proxy=None) as bot:
            for number in range(1000):
                bot.send(json.dumps({"type": "say", "text": f"number {number}"}))
            if room == "random":
                expect(unread(page, room)).to_have_text("99+")
                open_room(page, room)
            expect(page.get_by_text("number 999", exact=True)).to_be_visible()
        # A frame reads a handful of sizes; each message read three when it was drawn by itself.
        assert page.evaluate("layouts") - before < 1000
        texts = bubbles(page).all_text_contents()
        assert texts == [f"number {number}" for number in range(1000)][-len(texts) :]
        assert len(texts) >= 490  # of 500 that are kept; the rest is who came and went
        assert page.locator(".rule.gap").count() == 0
        page.context.close()


def test_what_is_perhaps_not_delivered_is_in_view(chat: ServeProcess, person: Enter) -> None:
    ada = person("Ada", viewport={"width": 390, "height": 500})
    for number in range(12):
        say(ada, f"number {number}")
    expect(ada.locator(".entry.pending")).to_have_count(0)
    os.kill(chat.process.pid, signal.SIGSTOP)
    say(ada, "and this?")
    expect(ada.locator(".entry.pending")).to_have_count(1)
    chat.kill()
    expect(ada.locator("#Banner")).to_be_visible()
    expect(ada.get_by_text("Perhaps not delivered.")).to_be_in_viewport(ratio=1)
    expect(ada.get_by_role("button", name="Send again")).to_be_in_viewport(ratio=1)


def test_operators_are_heard(open_page: Any) -> None:
    with serving("--admin", "127.0.0.1:0", "--admin-token", "let-me-in") as server:
        assert server.process.stdout is not None
        admin = server.process.stdout.readline().decode().split()[-1]

        def call(name: str, **body: object) -> None:
            request = Request(f"{admin}/api/{name}", json.dumps(body).encode())
            request.add_header("Authorization", "Bearer let-me-in")
            with urlopen(request) as answer:
                told = json.load(answer)
            assert told["sent"] + told["queued"] > 0 or told["pending"]

        page = open_page(server.url)
        page.get_by_role("textbox", name="Your name").fill("Ada")
        page.get_by_role("button", name="Start chatting").click()
        connected(page)
        call("publish", room="lobby", data={"type": "notice", "text": "We restart at <b>noon</b>"})
        notice = page.locator(".scroller:not([hidden]) .operator")
        expect(notice.locator("p")).to_have_text(["We restart at <b>noon</b>"])
        expect(notice.locator("b")).to_have_text(["Notice from the operator"])
        call("broadcast", data="hello, all")
        expect(notice.locator("p")).to_have_text(["We restart at <b>noon</b>", "hello, all"])
        expect(notice.last).to_be_in_viewport()
        expect(unread(page, "random")).to_have_text("1")
        screenshot(page, "chat-notice")
        page.context.close()


def crowded(page: Page, clients: int) -> None:
    """Stand in for a server with a room in which there are too many for a list."""

    def serve(socket: WebSocketRoute) -> None:
        def hear(message: str | bytes) -> None:
            asked = json.loads(message)
            answer = {"type": "join_room_success", "room": "lobby", "epoch": "e", "offset": 0}
            answer["presence"] = {"version": 1, "clients": clients, "users": clients}
            if asked["type"] == "join_room":
                told = {"type": "json", "data": answer, "target": "a" * 32, "id": asked["id"]}
                socket.send(json.dumps(told))

        socket.on_message(hear)

    page.route_web_socket(re.compile("/rooms/lobby/"), serve)


def test_a_large_room_says_how_many_there_are(open_page: Any, chat: ServeProcess) -> None:
    page = open_page("about:blank")
    crowded(page, 1_000_000)
    page.goto(chat.url)
    page.get_by_role("textbox", name="Your name").fill("Ada")
    page.get_by_role("button", name="Start chatting").click()
    connected(page)
    expect(page.locator("#PeopleCount")).to_have_text("1000000")
    expect(people(page)).to_have_text(["Ada"])
    expect(page.locator("#PeopleList .more")).to_have_text("and 999999 more")


def test_it_is_usable_with_the_keyboard_alone(open_page: Any, chat: ServeProcess) -> None:
    page: Page = open_page(chat.url)
    page.keyboard.press("Escape")  # there is no chat without a name
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    connected(page)
    page.keyboard.type("hello")  # the message box has the focus
    page.keyboard.press("Enter")
    expect(bubbles(page)).to_have_text(["hello"])
    page.locator('.room[data-room="random"] a').focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("random")


def test_every_control_has_a_name(person: Enter) -> None:
    page = person("Ada")
    nameless = page.locator("button, input, textarea, a").evaluate_all(
        """nodes => nodes.filter(node => !(node.ariaLabel || node.textContent.trim()
             || node.labels?.[0]?.textContent.trim())).map(node => node.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_small_phone(person: Enter, scheme: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "color_scheme": scheme}
    ada, bob = person("Ada", **phone), person("Bob with a really long name ok", room="lobby")
    say(bob, "Donaudampfschifffahrtsgesellschaft" * 10)
    say(ada, "https://example.com/" + "a" * 200)
    say(bob, "short")
    expect(bubbles(ada)).to_have_count(3)
    screenshot(ada, f"chat-phone-{scheme}")
    assert ada.evaluate("document.scrollingElement.scrollWidth") == 360
    overflow = "nodes => nodes.filter(n => n.scrollWidth > n.clientWidth).length"
    assert ada.locator(".scroller, .bubble, .top, .foot").evaluate_all(overflow) == 0
    ada.get_by_role("button", name="Rooms", exact=True).click()
    expect(ada.get_by_role("link", name="random")).to_be_in_viewport()
    screenshot(ada, f"chat-phone-rooms-{scheme}")
    ada.get_by_role("link", name="random").click()
    expect(ada.get_by_role("heading", level=1)).to_have_text("random")
    expect(ada.get_by_role("link", name="random")).to_be_hidden()
    ada.get_by_role("button", name="People here").click()
    expect(people(ada).first).to_be_in_viewport()
    screenshot(ada, f"chat-phone-people-{scheme}")
    ada.keyboard.press("Escape")
    expect(people(ada).first).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_system_s_colours(person: Enter, scheme: str) -> None:
    ada = person("Ada", color_scheme=scheme)
    screenshot(ada, f"chat-empty-{scheme}")
    background = ada.locator(".talk").evaluate("node => getComputedStyle(node).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 28, 34)"}[scheme]


def test_the_picture_of_the_readme(person: Enter) -> None:
    """docs/images/chat.png is a copy of artifacts/chat.png, made with the font Inter installed."""
    window = {"viewport": {"width": 1120, "height": 660}, "device_scale_factor": 2}
    alice, bob = person("Alice", **window), person("Bob")
    person("Carol")
    expect(people(alice)).to_have_text(["Alice", "Bob", "Carol"])
    talk = [
        (bob, "Hello! The new build is on the test server."),
        (bob, "Three rooms, two phones and an old laptop, and everybody sees everybody."),
        (alice, "Hi Bob! What happens when the server restarts?"),
        (bob, "It is up again, and this page found its way back."),
        (alice, "Then let's ship it today 🎉"),
        (alice, "I'll write the notes: https://example.com/notes"),
    ]
    for count, (speaker, text) in enumerate(talk, 1):
        say(speaker, text)
        expect(bubbles(alice)).to_have_count(count)
    open_room(bob, "random")
    connected(bob)
    say(bob, "Cake in the kitchen")
    say(bob, "It is chocolate")
    expect(unread(alice, "random")).to_have_text("2")
    open_room(bob, "lobby")
    bob.get_by_role("textbox", name="Message", exact=True).press_sequentially("Great")
    expect(alice.locator("#Typing")).to_have_text("Bob is typing")
    expect(alice.locator(".entry.pending")).to_have_count(0)
    screenshot(alice, "chat")
