"""The two readers of header fields."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.http import parsers

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nx-twice: 1\r\nX-Twice: 2 \r\n\r\n"
FIELDS = [(b"Host", b"a"), (b"X-Empty", b""), (b"x-twice", b"1"), (b"X-Twice", b"2")]


def test_fields_come_in_order_with_their_own_spelling(parser: str) -> None:
    assert list(parsers.read_fields(HEAD)) == FIELDS


def test_an_upgrade_is_a_head_like_any_other(parser: str) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert [name for name, _ in parsers.read_fields(head)] == [b"Host", b"Connection", b"Upgrade"]


@pytest.mark.parametrize("head", [b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"])
def test_what_a_library_refuses_is_a_value_error(parser: str, head: bytes) -> None:
    with pytest.raises(ValueError):
        parsers.read_fields(head + b"\r\n\r\n")


def test_half_a_head_is_a_value_error_for_h11() -> None:
    with pytest.raises(ValueError, match="not a request head"):
        parsers.h11_reader()(b"GET / HTTP/1.1\r\n")


def test_h11_reads_when_httptools_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__import__", failing_import("httptools", name="httptools"))
    read_fields = parsers._best_reader()
    assert read_fields.__qualname__.startswith("h11_reader")
    assert read_fields(HEAD) == FIELDS


def test_a_broken_httptools_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__import__", failing_import("httptools", name="somewhere.else"))
    with pytest.raises(ModuleNotFoundError):
        parsers._best_reader()


def failing_import(module: str, *, name: str) -> Callable[..., Any]:
    """An `__import__` for which `module` cannot be imported because `name` is missing."""
    real_import = builtins.__import__

    def fake_import(wanted: str, *args: Any, **kwargs: Any) -> Any:
        if wanted == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real_import(wanted, *args, **kwargs)

    return fake_import
