"""One server for each test, and a line of figures from it."""

from __future__ import annotations

import json
import resource
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.abuse.site import Client, Site


class FaultySite(Site):
    """The server of `faults/app.py` in a process of its own."""

    folder = Path(__file__).parent
    may_fail = False  # whether internal errors may stand in its log

    def figures(self) -> dict[str, Any]:
        """What the program says of itself."""
        with urllib.request.urlopen(f"{self.process.url}/figures", timeout=20) as answer:
            figures: dict[str, Any] = json.load(answer)
            return figures

    def through(self, port: int) -> Client:
        """A client that speaks frames, by way of another port."""
        client = Client(port)
        self._clients.append(client)
        return client.ask().accepted()


@pytest.fixture
def serve(backend: Any) -> Iterator[Callable[..., FaultySite]]:
    """Starts a server with options; it must end well, with nothing in its log but handlers'."""
    sites: list[FaultySite] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def start(**options: str) -> FaultySite:
        site = FaultySite(backend, **options)
        sites.append(site)
        return site

    yield start
    for site in sites:
        site.leave()
        try:
            assert site.process.stop() == 0
            assert site.may_fail or "internal error" not in site.process.log(), site.process.log()
        finally:
            site.process.release()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def say(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], None]:
    """Prints figures, with the name of the test."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {request.node.name}: {text}")

    return say
