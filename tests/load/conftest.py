"""`foreign`: a server of another library."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.foreign import serving


@pytest.fixture
def foreign() -> Callable[..., AbstractContextManager[str]]:
    """Starts a server, `with foreign("altered") as url`."""
    return serving
