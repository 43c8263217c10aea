"""The pytest plugin: the fixture `glyph_client`. Kept small: pytest imports it at each start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .server.server import Server
    from .testing import SyncTestClient

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module


@pytest.fixture
def glyph_client() -> Iterator[Callable[..., SyncTestClient]]:
    """A function: `client = glyph_client(server, **options)` serves it until the test has ended.

    See `glyph_fast.testing.SyncTestClient`. Async tests use `async with TestClient(server)`.
    """
    from .testing import SyncTestClient

    with ExitStack() as stack:

        def start(server: Server, **options: Any) -> SyncTestClient:
            return stack.enter_context(SyncTestClient(server, **options))

        yield start
