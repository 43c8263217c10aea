"""The chat in pages of a browser that are connected to different workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat_page import Enter, bubbles, connected, notices, people, say
from tests.serving import ServeProcess, serving

TOKEN = "a-secret-of-operators"
TRIES = 40  # the kernel chooses the worker; 1 in 2^40 never gets another

pytestmark = pytest.mark.browser


class Workers:
    """Asks the operators' port who is connected to which worker."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self._connections = Request(f"{url}/api/connections", headers=headers)

    def used(self) -> list[int]:
        """The number of the worker of each connection."""
        with urlopen(self._connections, timeout=10) as answer:
            return sorted(each["worker"] for each in json.load(answer)["connections"])


@pytest.fixture
def workers() -> Iterator[tuple[ServeProcess, Workers]]:
    with serving("--workers", "2", "--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        yield server, Workers(server.process.stdout.readline().decode().split()[-1])
        print(server.log())


@pytest.fixture
def chat(workers: tuple[ServeProcess, Workers]) -> ServeProcess:
    """The bundled chat, which `person` enters, with two workers."""
    return workers[0]


@pytest.fixture
def apart(workers: tuple[ServeProcess, Workers], person: Enter) -> tuple[Page, Page]:
    """Ada and Bob in one room, each with its only connection to a worker of its own."""
    ada, bob = person("Ada", rooms=["lobby"]), person("Bob", rooms=["lobby"])
    for _ in range(TRIES):
        expect(people(ada)).to_have_text(["Ada", "Bob"])
        if workers[1].used() == [1, 2]:  # and none that goes is left
            return ada, bob
        bob.reload()
        connected(bob)
    pytest.fail("both are on one worker all the time")


def test_two_pages_of_different_workers_chat_and_see_each_other_type(
    apart: tuple[Page, Page],
) -> None:
    ada, bob = apart
    for page, names in ((ada, ["Ada", "Bob"]), (bob, ["Bob", "Ada"])):
        expect(people(page)).to_have_text(names)
    field = ada.get_by_role("textbox", name="Message", exact=True)
    field.press_sequentially("over th")
    expect(bob.locator("#Typing")).to_have_text("Ada is typing")
    field.press_sequentially("ere?")
    ada.keyboard.press("Enter")
    expect(bubbles(bob)).to_have_text(["over there?"])
    expect(bob.locator("#Typing")).to_have_text("")
    say(bob, "over here!")
    for page in apart:
        expect(bubbles(page)).to_have_text(["over there?", "over here!"])
        expect(page.locator(".entry.pending")).to_have_count(0)


def test_who_enters_on_another_worker_sees_what_was_said(apart: tuple[Page, Page]) -> None:
    ada, bob = apart
    lines = [f"line {number}" for number in range(6)]
    for number, line in enumerate(lines):  # from both workers, in one order
        say(apart[number % 2], line)
        expect(bubbles(ada)).to_have_text(lines[: number + 1])
    for _ in range(3):  # on whichever worker
        bob.reload()
        connected(bob)
        expect(bubbles(bob)).to_have_text(lines)
        expect(bob.locator(".entry.own .bubble")).to_have_text(lines[1::2])


def test_who_leaves_on_another_worker_is_seen_to_leave(
    apart: tuple[Page, Page], person: Enter
) -> None:
    ada, bob = apart
    bob.context.close()
    expect(people(ada)).to_have_text(["Ada"])
    expect(notices(ada)).to_contain_text(["Bob left"])
    cleo = person("Cleo", rooms=["lobby"])
    expect(people(ada)).to_have_text(["Ada", "Cleo"])
    expect(people(cleo)).to_have_text(["Cleo", "Ada"])
