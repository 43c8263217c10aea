"""The globals of generated code: all it can reach.

A program's own functions, constants and checks are added to a copy of this table. There are no
builtins, so a name that stands neither here nor there is a NameError, whatever was generated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from . import arrays, builtins, limits, operators, web, websocket
from .jsontext import to_text
from .values import (
    ABSENT,
    Failure,
    Future,
    LimitReached,
    Mistake,
    Stop,
    Value,
    unknown_function,
    wrong_arity,
)
from .weight import weighed


def stop(status: int, text: str) -> NoReturn:
    """End the handler for a guard that stands in a function or an async block."""
    raise Stop(status, text)


def unsupported(reason: str) -> NoReturn:
    """A function that uses what is not supported."""
    raise Mistake(reason)


def validation_error(check: Callable[[], Value], name: str) -> str | None:
    """Return the reason why `? f(x)` stops the handler: the call gave false, or failed.

    A mistake of the program and a limit it has run into are no answer to that question.
    """
    try:
        result = check()
    except (LimitReached, Mistake):
        raise
    except Failure as failure:
        return str(failure)
    return f"validation failed: {name}" if result is False else None


def assertion_failed(message: Value = None) -> NoReturn:
    """`assert` of something false."""
    raise Failure("assertion failed" if message is None else to_text(message))


_OPERATORS = """
    add concat subtract multiply divide remainder negate wrap
    equal unequal less less_equal greater greater_equal truth invert
    field element set_field set_element values pairs
    matchable has_key is_object has_length is_longer rest
    awaited copied with_status refusal
""".split()

_TABLE: dict[str, object] = {
    "__builtins__": {},
    "ABSENT": ABSENT,
    "Future": Future,
    "unknown_function": unknown_function,
    "wrong_arity": wrong_arity,
    "stop": stop,
    "unsupported": unsupported,
    "validation_error": validation_error,
    "assertion_failed": assertion_failed,
    "budget": limits.budget,
    "too_deep": limits.too_deep,
    "charge": limits.charge,
    "weighed": weighed,
    "call_value": arrays.call_value,
    "call_method": arrays.call_method,
    **{name: getattr(operators, name) for name in _OPERATORS},
    **{f"b_{name.replace('.', '_')}": f for name, f in builtins.BUILTINS.items()},
    **{f"b_{name}": f for name, f in arrays.BUILTINS.items()},
    **websocket.FUNCTIONS,
    **web.FUNCTIONS,
}


def new_globals() -> dict[str, object]:
    """The globals of one program, without its own names yet."""
    return {**_TABLE, "__builtins__": {}}
