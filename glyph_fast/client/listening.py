"""`on` of rooms and clients, with the handlers that each name takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, overload

from .handlers import Handlers, Off
from .types import ClientError, Crowd, Member, Meta, State, Why

# What a handler returns matters to calls of the server only; an awaitable is awaited.
NoneHandler: TypeAlias = Callable[[], Any]
MessageHandler: TypeAlias = Callable[[Any, Meta], Any] | Callable[[Any], Any] | NoneHandler
PresenceHandler: TypeAlias = (
    Callable[[list[Member], Crowd], Any] | Callable[[list[Member]], Any] | NoneHandler
)
CountHandler: TypeAlias = Callable[[int], Any] | NoneHandler
RoomErrorHandler: TypeAlias = Callable[[ClientError], Any] | NoneHandler
ErrorHandler: TypeAlias = Callable[[Exception], Any] | NoneHandler
StateHandler: TypeAlias = Callable[[State, Why], Any] | Callable[[State], Any] | NoneHandler

MessageF = TypeVar("MessageF", bound=MessageHandler)
PresenceF = TypeVar("PresenceF", bound=PresenceHandler)
CountF = TypeVar("CountF", bound=CountHandler)
RoomErrorF = TypeVar("RoomErrorF", bound=RoomErrorHandler)
ErrorF = TypeVar("ErrorF", bound=ErrorHandler)
StateF = TypeVar("StateF", bound=StateHandler)
NoneF = TypeVar("NoneF", bound=NoneHandler)

Plain: TypeAlias = Literal["joined", "reset", "left"]
ROOM_EVENTS = frozenset(("message", "presence", "joined", "resumed", "reset", "error", "left"))
OWN = frozenset(("state", "error", "message"))  # names of a client that are no program's events


def _add(handlers: Handlers, event: str, handler: Callable[..., Any] | None) -> Any:
    if handler is not None:
        return handlers.add(event, handler)

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        handlers.add(event, function)
        return function

    return add


class RoomListening:
    """The `on` of a room."""

    _handlers: Handlers

    @overload
    def on(self, event: Literal["message"], handler: MessageHandler) -> Off: ...
    @overload
    def on(self, event: Literal["message"]) -> Callable[[MessageF], MessageF]: ...
    @overload
    def on(self, event: Literal["presence"], handler: PresenceHandler) -> Off: ...
    @overload
    def on(self, event: Literal["presence"]) -> Callable[[PresenceF], PresenceF]: ...
    @overload
    def on(self, event: Literal["resumed"], handler: CountHandler) -> Off: ...
    @overload
    def on(self, event: Literal["resumed"]) -> Callable[[CountF], CountF]: ...
    @overload
    def on(self, event: Literal["error"], handler: RoomErrorHandler) -> Off: ...
    @overload
    def on(self, event: Literal["error"]) -> Callable[[RoomErrorF], RoomErrorF]: ...
    @overload
    def on(self, event: Plain, handler: NoneHandler) -> Off: ...
    @overload
    def on(self, event: Plain) -> Callable[[NoneF], NoneF]: ...
    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Call `handler` from now on; returned is what stops that. A decorator without `handler`.

        message(data, meta), presence(members, crowd), joined(), resumed(count), reset(),
        error(error), left(): a handler may take fewer, and may be an `async def`.
        """
        if event not in ROOM_EVENTS:
            raise ValueError(f"expected one of {', '.join(sorted(ROOM_EVENTS))}, found {event!r}")
        return _add(self._handlers, event, handler)


class ClientListening:
    """The `on` of a client."""

    _events: Handlers
    _own: Handlers

    @overload
    def on(self, event: Literal["state"], handler: StateHandler) -> Off: ...
    @overload
    def on(  # type: ignore[overload-overlap]  # with the one for any text, whose handlers are others
        self, event: Literal["state"]
    ) -> Callable[[StateF], StateF]: ...
    @overload
    def on(self, event: Literal["error"], handler: ErrorHandler) -> Off: ...
    @overload
    def on(  # type: ignore[overload-overlap]
        self, event: Literal["error"]
    ) -> Callable[[ErrorF], ErrorF]: ...
    @overload
    def on(self, event: str, handler: MessageHandler) -> Off: ...
    @overload
    def on(self, event: str) -> Callable[[MessageF], MessageF]: ...
    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Call `handler(data, meta)` for an event of the program; what it returns answers a call.

        Three names are the client's own: `state(state, why)`, `error(error)`, `message(data,
        meta)`. Returned is what stops it; without `handler` it is a decorator. A handler may take
        fewer arguments, and may be an `async def`.
        """
        return _add(self._own if event in OWN else self._events, event, handler)
