"""Shapes of handlers, for type checkers; `signature` judges the same at run time.

A handler may take fewer arguments than it is given, so each kind is a union of what it may look
like. Where nothing is said of what it returns, it may be `def` or `async def`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar

from ..http.request import Request
from ..hub.connection import Connection
from .context import MessageContext

Hook: TypeAlias = Callable[[], object]
OfConnection: TypeAlias = Callable[[Connection], object] | Hook
OfMessage: TypeAlias = Callable[[MessageContext], object] | Hook
OfEvent: TypeAlias = Callable[[MessageContext, Any], object] | OfMessage
OfEnd: TypeAlias = (
    Callable[[Connection, int, str], object] | Callable[[Connection, int], object] | OfConnection
)
OfLeave: TypeAlias = Callable[[Connection, str], object] | OfConnection
OfError: TypeAlias = (
    # Exception, though there are others: who names the narrower one means this, too.
    Callable[[MessageContext | Connection, Exception], object]
    | Callable[[MessageContext | Connection], object]
    | Hook
)
# What judges returns something; without a word it would refuse everybody.
Verdict: TypeAlias = bool | Awaitable[bool]
OfJoin: TypeAlias = (
    Callable[[Connection, str], Verdict] | Callable[[Connection], Verdict] | Callable[[], Verdict]
)
# What runs for long is an `async def`.
Running: TypeAlias = Coroutine[Any, Any, object]
OfStream: TypeAlias = Callable[[Connection], Running] | Callable[[], Running]


class OfBody(Protocol):
    """A handler that declares the type of the body."""

    def __call__(self, request: Request, /, *, body: Any) -> object: ...


class OfQuery(Protocol):
    """A handler that declares the type of the query."""

    def __call__(self, request: Request, /, *, query: Any) -> object: ...


class OfBodyAndQuery(Protocol):
    """A handler that declares both."""

    def __call__(self, request: Request, /, *, body: Any, query: Any) -> object: ...


class OfBodyAlone(Protocol):
    """A handler that takes the body and no request."""

    def __call__(self, *, body: Any) -> object: ...


class OfQueryAlone(Protocol):
    """A handler that takes the query and no request."""

    def __call__(self, *, query: Any) -> object: ...


class OfBodyAndQueryAlone(Protocol):
    """A handler that takes both and no request."""

    def __call__(self, *, body: Any, query: Any) -> object: ...


class OfForm(Protocol):
    """A handler that declares the type of the form."""

    def __call__(self, request: Request, /, *, form: Any) -> object: ...


class OfFormAlone(Protocol):
    """A handler that takes the form and no request."""

    def __call__(self, *, form: Any) -> object: ...


class OfFormAndQuery(Protocol):
    """A handler that declares form and query."""

    def __call__(self, request: Request, /, *, form: Any, query: Any) -> object: ...


OfRequest: TypeAlias = (
    Callable[[Request], object]
    | Hook
    | OfBody
    | OfQuery
    | OfBodyAndQuery
    | OfBodyAlone
    | OfQueryAlone
    | OfBodyAndQueryAlone
    | OfForm
    | OfFormAlone
    | OfFormAndQuery
)

HookF = TypeVar("HookF", bound=Hook)
ConnectF = TypeVar("ConnectF", bound=OfConnection)
DisconnectF = TypeVar("DisconnectF", bound=OfEnd)
MessageF = TypeVar("MessageF", bound=OfMessage)
EventF = TypeVar("EventF", bound=OfEvent)
JoinF = TypeVar("JoinF", bound=OfJoin)
LeaveF = TypeVar("LeaveF", bound=OfLeave)
ErrorF = TypeVar("ErrorF", bound=OfError)
StreamF = TypeVar("StreamF", bound=OfStream)
RequestF = TypeVar("RequestF", bound=OfRequest)
BackgroundF = TypeVar("BackgroundF", bound=Callable[[], Running])
