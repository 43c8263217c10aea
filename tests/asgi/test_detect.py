"""What is an ASGI application."""

from __future__ import annotations

import functools

import pytest

from glyph_fast.asgi.detect import is_asgi


async def function(scope, receive, send): ...


async def with_more(scope, receive, send, *, more=None): ...


async def two(scope, receive): ...


def plain(scope, receive, send):
    return function(scope, receive, send)


def wsgi(environ, start_response): ...


class Callable3:
    async def __call__(self, scope, receive, send): ...


class Old:  # ASGI 2
    def __init__(self, scope): ...

    async def __call__(self, receive, send): ...


@pytest.mark.parametrize(
    "app",
    [function, with_more, plain, Callable3(), functools.partial(with_more, more=1),
     Callable3().__call__],
)  # fmt: skip
def test_applications(app):
    assert is_asgi(app)


@pytest.mark.parametrize("other", [two, wsgi, Callable3, Old, Old(None), 7, None, "app", int, len])
def test_others(other):
    assert not is_asgi(other)
