"""Development mode: clients are told what goes wrong in the program, not only that something did.

Nothing here runs unless `--dev` or `--reload` is given: an error's text may hold what no client
should see.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..dialects.message import Message
from ..hub.connection import Connection
from ..logs import origin, qualified_name, visible
from ..wire import COMMAND, MessageType
from .context import MessageContext
from .registry import Plan
from .signature import Call

MAX_TEXT = 4000  # characters of an error's text
NAMED = 20  # events that are named where one has no handler
WORDS = {MessageType.TEXT: "text", MessageType.BINARY: "binary messages"}


def failure_of(handler: object, exc: BaseException) -> dict[str, str]:
    """Return what is told of an error: what it is, whose, and the line of the program."""
    error = type(exc).__qualname__
    try:
        text = str(exc)
    except Exception as bad:
        text = f"(no text: its __str__ raised {type(bad).__name__})"
    if text:
        error += f": {visible(text[:MAX_TEXT], keep=chr(10))}"
    told = {"error": error, "handler": qualified_name(handler)}
    return told | ({"line": line} if (line := origin(exc)) else {})


def tell_failure(subject: Any, call: Call, exc: BaseException) -> None:
    """Tell a client that the handler `call` raised `exc` for `subject`, a context or a connection.

    It comes as the answer to the message where that has none yet, else as an envelope of its own.
    """
    conn: Connection = getattr(subject, "conn", subject)
    if not conn.is_open:
        return
    told = failure_of(call, exc)
    is_answer = (
        subject is not conn
        and not getattr(subject, "_is_answered", False)
        and subject.message.type.role != COMMAND  # its effect answers it
    )
    if is_answer:
        subject.reply(MessageType.ERROR, told)
    else:
        conn.send(Message(MessageType.ERROR, told, target=conn.id))


def tell_unhandled(ctx: MessageContext) -> None:
    """In the place of handlers for a message that has none."""
    ctx.hub.metrics.messages_unhandled += 1
    if ctx.conn.is_open:
        ctx.reply(MessageType.ERROR, {"error": _no_handler(ctx)})


def _no_handler(ctx: MessageContext) -> str:
    message, plan = ctx.message, ctx.conn._plan
    assert isinstance(plan, Plan)
    if not message.event:
        return f"no handler for {WORDS.get(message.type, 'JSON')} on {plan.route}"
    names = nearest(message.event, plan.events)
    there = f"there are {', '.join(names)}" if names else "no event has one"
    return f'no handler for "event {message.event}" on {plan.route}; {there}'


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """The names most like `name` first, a few at most."""
    from difflib import SequenceMatcher  # for a mistake

    def distance(other: str) -> float:
        return -SequenceMatcher(None, name.lower(), other.lower()).ratio()

    return sorted(names, key=distance)[:NAMED]
