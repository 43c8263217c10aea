"""Messages that carry an `id`: their sender waits for an answer, so there is always one.

The first value that a handler returns is the answer, unless it has replied itself. A handler that
fails, or that nobody has registered, is an answer too: an error. Whatever has no `id` never comes
here: the handlers of a message with one are wrapped as it is read.
"""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any

from ..wire import MessageType, SendResult
from .context import MessageContext
from .signature import Call
from .typed import checked_answer

NO_HANDLER = "no handler"
FAILED = "internal error"  # all that a client is told of it


class AskedContext(MessageContext):
    """The context of a message with an `id`, which knows whether that was answered."""

    __slots__ = ("_is_answered",)

    def __init__(self, conn: Any, message: Any, hub: Any) -> None:
        super().__init__(conn, message, hub)
        self._is_answered = False

    def _reply(self, type: MessageType | str, data: Any) -> SendResult:
        result = super()._reply(type, data)
        self._is_answered = True
        return result

    def _send_answer(self, text: str) -> SendResult:
        self._is_answered = True
        return super()._send_answer(text)

    def _keep_answer(self, text: str) -> bool:
        self._is_answered = True
        return super()._keep_answer(text)

    def _return(self, value: Any) -> None:
        """A handler has returned a value."""
        if not self._is_answered and self.conn.is_open:
            self.reply_json(value)

    def _refuse(self, text: str) -> None:
        """There will be no other answer."""
        if not self._is_answered and self.conn.is_open:
            self.reply_error(text)


class Asked:
    """A handler of one message with an `id`: what it returns is the answer."""

    __slots__ = ("ctx", "func")

    def __init__(self, ctx: AskedContext, func: Call) -> None:
        self.ctx = ctx
        self.func = func  # by this name the log finds the application's function

    def __call__(self, _ctx: Any) -> Any:
        ctx = self.ctx
        result = self.func(ctx)
        if result is None or result.__class__ is SendResult:
            return None
        if isawaitable(result):
            return self._answer_when_done(result)
        ctx._return(checked_answer(self.func, result))
        return None

    async def _answer_when_done(self, awaitable: Awaitable[Any]) -> None:
        result = await awaitable
        if result is not None and result.__class__ is not SendResult:
            self.ctx._return(checked_answer(self.func, result))


def asked(conn: Any, message: Any, hub: Any, calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """The handlers of a message with an `id`, all with one context.

    A Glyph program answers by `ws.send` alone, so its handlers stay as they are.
    """
    ctx = AskedContext(conn, message, hub)
    return tuple(
        call if getattr(call, "takes_raw", False) else Asked(ctx, call)
        for call in calls or (_no_handler,)
    )


def _no_handler(ctx: AskedContext) -> None:
    """In the place of the handlers of a message for which there is none."""
    ctx.hub.metrics.messages_unhandled += 1
    ctx._refuse(NO_HANDLER)
