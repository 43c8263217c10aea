"""The program's handlers, called for commands: `rpc`, `send`, and what may follow the others."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from ..dialects.message import Message
from ..errors import ConnectionClosed, Reject
from ..handlers.answering import Asked, AskedContext
from ..handlers.builtin import reject_text
from ..handlers.context import MessageContext
from ..handlers.outcome import is_cancelled, is_failure, running_task
from ..handlers.permission import Refused
from ..handlers.registry import Plan
from ..handlers.signature import Call
from ..handlers.typed import Invalid
from ..json import dumps
from ..wire import SENT, MessageType, SendResult
from .codes import (
    BAD_REQUEST,
    INTERNAL,
    METHOD_NOT_FOUND,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    UNAVAILABLE,
    CommandError,
    Disconnect,
)
from .wireformat import Fields

if TYPE_CHECKING:
    from .session import Session

_OF_STATUS = {
    400: BAD_REQUEST,
    401: UNAUTHORIZED,
    403: PERMISSION_DENIED,
    404: METHOD_NOT_FOUND,
    422: BAD_REQUEST,
    429: TOO_MANY_REQUESTS,
}


class RpcContext(AskedContext):
    """The context of an `rpc`: its one reply is the result."""

    __slots__ = ("_id", "_session")

    def __init__(self, session: Session, message: Message, id: int) -> None:
        super().__init__(session.conn, message, session.server.hub)
        self._session = session
        self._id = id

    def _reply(self, type: MessageType | str, data: Any) -> SendResult:
        if self._is_answered:
            return super()._reply(type, data)  # there is one result; more is a message
        if not self.conn.is_open:
            raise ConnectionClosed(self.conn.close_code, self.conn.close_reason)
        if MessageType(type) is MessageType.ERROR:
            text = data.get("error", "") if isinstance(data, dict) else data
            self._is_answered = True
            self._session.reply_error(self._id, CommandError(INTERNAL, str(text)))
            return SENT
        value = bytes(data) if isinstance(data, bytearray | memoryview) else data
        self._answer({"data": self._session.codec.format.data(value)})
        return SENT

    def _answer(self, result: Fields) -> None:
        self._is_answered = True
        self._session.reply(self._id, "rpc", result)


async def rpc(session: Session, fields: Fields, id: int) -> None:
    """Call the handlers of an event of that name; the first answer is the result."""
    program, method = _program(session), fields.get("method", "")
    if not program.events:
        raise CommandError(NOT_AVAILABLE)
    calls = program.events.get(method)
    if not calls:
        raise CommandError(METHOD_NOT_FOUND)
    message = _message(session, fields)
    message.event, message.id, message.is_envelope = method, id, True
    ctx = RpcContext(session, message, id)
    asked = [each if getattr(each, "takes_raw", False) else Asked(ctx, each) for each in calls]
    exc = await _call(session, ctx, asked)
    if exc is not None and not ctx._is_answered:
        raise exc
    if not ctx._is_answered:
        ctx._answer({})


async def send(session: Session, fields: Fields, id: int) -> None:
    """Hand a message to the program's handlers of messages."""
    message, program = _message(session, fields), _program(session)
    calls = program.binary
    if message.type is not MessageType.BINARY:
        message, calls = session.server.dispatcher._takers(program, session.conn, message)
    if not calls:
        raise Disconnect(UNAVAILABLE)
    await _call(session, MessageContext(session.conn, message, session.server.hub), calls)


async def after(session: Session, word: MessageType, message: Message) -> None:
    """Call the program's handlers of a built-in word, whose effect was had."""
    _, *calls = _program(session).commands.get(word, (None,))
    if calls:
        await _call(session, MessageContext(session.conn, message, session.server.hub), calls)


def _program(session: Session) -> Plan:
    program: Plan | None = session.server.plan.program
    assert program is not None
    return program


def _message(session: Session, fields: Fields) -> Message:
    """The message that data is; without any, JSON null."""
    data, id = fields.get("data"), session.conn.id
    if isinstance(data, bytes):
        return Message._received(MessageType.BINARY, data, data, id)
    if isinstance(data, str):
        return Message._received(MessageType.TEXT, data, data, id)
    return Message._received(MessageType.JSON, data, dumps(data).decode(), id)


async def _call(
    session: Session, ctx: MessageContext, calls: Iterable[Call]
) -> CommandError | None:
    """Call handlers until one raises; what its client is to know of that."""
    task = running_task()
    for call in calls:
        try:
            result = call(ctx)
            if isawaitable(result):
                await result
        except BaseException as exc:
            if is_cancelled(exc) or not is_failure(exc, task):
                raise
            return await _refusal(session, ctx, call, exc)
    return None


async def _refusal(
    session: Session, ctx: MessageContext, call: Call, exc: BaseException
) -> CommandError:
    dispatcher = session.server.dispatcher
    if isinstance(exc, CommandError):
        return exc
    if isinstance(exc, Invalid):
        dispatcher.hub.metrics.events_invalid += 1
        return CommandError(BAD_REQUEST, str(exc))
    if isinstance(exc, Refused):
        return CommandError(BAD_REQUEST, str(exc))
    if isinstance(exc, Reject):
        text = reject_text(exc, dispatcher.hub._writer.dumps)
        return CommandError(_OF_STATUS.get(exc.status, INTERNAL), text)
    if not isinstance(exc, ConnectionClosed) or session.conn.is_open:
        own = call.func if isinstance(call, Asked) else call
        await dispatcher._report(ctx, own, exc)
    return CommandError(INTERNAL)
