"""The signs of an ASGI application, told by its looks: nothing of it is called."""

from __future__ import annotations

import inspect
from typing import Any

_NAMES = ["scope", "receive", "send"]


def is_asgi(value: object) -> bool:
    """Return whether it is an ASGI 3 application: `async` over three arguments, or named so."""
    if isinstance(value, type) or not callable(value):
        return False
    call: Any = value
    if not _is_async(call) and not inspect.isroutine(call):
        call = type(value).__call__
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return False
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return _is_async(call)
    required = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        and each.default is each.empty
    ]
    return len(required) == 3 and (
        _is_async(call) or [each.name.strip("_") for each in required] == _NAMES
    )


def _is_async(call: Any) -> bool:
    while hasattr(call, "func") and callable(call.func):  # functools.partial
        call = call.func
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
        getattr(call, "__wrapped__", None)
    )


__all__ = ["is_asgi"]
