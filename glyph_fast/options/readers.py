"""Readers of options that are alone of their kind."""

from __future__ import annotations

import re


def path_prefix(raw: object) -> str:
    """A path such as /app, without a slash at its end; "" and "/": none."""
    text = raw.rstrip("/") if isinstance(raw, str) else None
    if text is None or not re.fullmatch(r"(?:/[^/?#\s\x00-\x1f]+)*", text):
        raise ValueError("a path such as /app")
    return text


def function(raw: object) -> object:
    """A function, or None."""
    if raw is not None and not callable(raw):
        raise ValueError("a function")
    return raw


__all__ = ["function", "path_prefix"]
