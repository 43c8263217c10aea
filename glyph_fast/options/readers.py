"""Readers of options that are alone of their kind."""

from __future__ import annotations

import re


def path_prefix(raw: object) -> str:
    """A path such as /app, without a slash at its end; "" and "/": none."""
    text = raw.rstrip("/") if isinstance(raw, str) else None
    if text is None or not re.fullmatch(r"(?:/[^/?#\s\x00-\x1f]+)*", text):
        raise ValueError("a path such as /app")
    return text


DEFAULT_CENTRIFUGE_PATH = "/connection/websocket"


def centrifuge_path(raw: object) -> str | None:
    """A path such as /connection/websocket, which is the one of "on"; "off": none."""
    if raw is None or raw is False or raw == "off":
        return None
    if raw is True or raw == "on":
        return DEFAULT_CENTRIFUGE_PATH
    if not isinstance(raw, str) or not re.fullmatch(r"(?:/[^/?#:*\s\x00-\x1f]+)+", raw):
        raise ValueError("a path such as /connection/websocket, on or off")
    return raw


def function(raw: object) -> object:
    """A function, or None."""
    if raw is not None and not callable(raw):
        raise ValueError("a function")
    return raw


__all__ = ["DEFAULT_CENTRIFUGE_PATH", "centrifuge_path", "function", "path_prefix"]
