"""What the application registered, and for each route the handlers that run.

Everything that can be decided at registration is: how many arguments a handler takes, which
handlers a message of a type goes to. What is left for a message is one look-up in a `Plan`. Plans
are renewed in place, so a handler registered while the server runs serves open connections too.
"""

from __future__ import annotations

import fnmatch
import inspect
import re
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, NamedTuple, TypeAlias, TypeVar, overload

from .. import core
from ..message import MessageType

Call: TypeAlias = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])

CONNECT = "connect"
DISCONNECT = "disconnect"
MESSAGE = "message"  # key: a MessageType, or None for what nobody else takes
EVENT = "event"  # key: its name
STREAM = "stream"

COMMANDS = (
    MessageType.JOIN_ROOM,
    MessageType.LEAVE_ROOM,
    MessageType.BROADCAST,
    MessageType.PING,
)
_RECEIVED = (MessageType.TEXT, MessageType.BINARY, MessageType.JSON, *COMMANDS)


def adapt(handler: Callable[..., Any], n: int) -> Call:
    """A callable of `n` arguments that gives `handler` the first few, as many as it takes.

    Raises TypeError for a handler that demands more, and for a generator, which nobody would run.
    """
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError(f"{handler!r} is a generator: a handler sends or returns, and never yields")
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:  # some callables of C have no signature
        return handler
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    if len(needed) > n or any(
        p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters
    ):
        given = "one argument" if n == 1 else f"{n} arguments"
        raise TypeError(f"{handler!r} demands more than the {given} it would be given")
    if len(positional) >= n or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return handler
    accepted = len(positional)

    def with_fewer(*args: Any) -> Any:
        return handler(*args[:accepted])

    return update_wrapper(with_fewer, handler)  # the log names the application's function


class _Registered(NamedTuple):
    kind: str
    key: Any
    route: str | None
    call: Call


class Judge(NamedTuple):
    """Who decides about clients that ask to join rooms of some names."""

    pattern: re.Pattern[str]
    call: Call


class Plan(core.Plan):
    """The handlers of one route, each group in the order in which it runs."""

    __slots__ = (
        "commands",
        "connect",
        "disconnect",
        "events",
        "json",
        "json_as_text",
        "route",
        "stream",
    )

    def __init__(self, route: str) -> None:
        super().__init__()
        self.route = route
        self.connect: tuple[Call, ...] = ()
        self.disconnect: tuple[Call, ...] = ()
        self.json: tuple[Call, ...] = ()
        self.json_as_text = False  # whether the handlers of text run for want of those of json
        self.events: dict[str, tuple[Call, ...]] = {}
        self.commands: dict[MessageType, tuple[Call, ...]] = {}  # the built-in effect first
        self.stream: Call | None = None  # the handler that reads with `async for`


class Registry:
    """The decorators of a server, and the plans they lead to.

    `commands` are the built-in effects of the client messages that are enabled, `built_in_events`
    those of events, by name; `deliver` hands a message to the stream of its connection.
    `route_added`, if set, is told of each new route.
    """

    def __init__(self) -> None:
        self.commands: dict[MessageType, Call] = {}
        self.built_in_events: dict[str, Call] = {}
        self.deliver: Call | None = None
        self.route_added: Callable[[str], object] | None = None
        self.judges: tuple[Judge, ...] = ()
        self.leave_calls: tuple[Call, ...] = ()
        self.error_calls: tuple[Call, ...] = ()
        self._wrap: Callable[[str, Any, Call], Call] | None = None
        self._registered: list[_Registered] = []
        self._streams: dict[str, Call] = {}
        self._routes: dict[str, None] = {}
        self._plans: dict[str, Plan] = {}

    @property
    def routes(self) -> list[str]:
        """Every WebSocket route that was named, in order."""
        return list(self._routes)

    @property
    def has_handlers(self) -> bool:
        """Whether there is a handler of connections, messages or events."""
        return bool(self._registered)

    def add_route(self, route: str) -> None:
        """Serve WebSocket connections on a path pattern such as `/chat/:room`."""
        if route not in self._routes:
            self._routes[route] = None
            if self.route_added is not None:
                self.route_added(route)

    # Decorators. Each may stand bare (`@on_connect`) or with arguments (`@on_connect(route=…)`).

    @overload
    def on_connect(self, route: str | None = None) -> Callable[[F], F]: ...
    @overload
    def on_connect(self, route: F) -> F: ...
    def on_connect(self, route: Any = None) -> Any:
        """Call `handler(conn)` after the handshake and before any message.

        `Reject` raised there closes the connection with 1008 and the body as reason.
        """
        return self._decorator(CONNECT, None, route, 1)

    @overload
    def on_disconnect(self, route: str | None = None) -> Callable[[F], F]: ...
    @overload
    def on_disconnect(self, route: F) -> F: ...
    def on_disconnect(self, route: Any = None) -> Any:
        """Call `handler(conn, code, reason)` once, as the last call for the connection."""
        return self._decorator(DISCONNECT, None, route, 3)

    @overload
    def on_message(
        self, type: MessageType | str | None = None, route: str | None = None
    ) -> Callable[[F], F]: ...
    @overload
    def on_message(self, type: F) -> F: ...
    def on_message(self, type: Any = None, route: str | None = None) -> Any:
        """Call `handler(ctx)` for messages of a type; without one, for those nobody else takes.

        Raises ValueError for a type that no received message has.
        """
        if callable(type) and not isinstance(type, str):
            return self._decorator(MESSAGE, None, type, 1)
        key = None if type is None else MessageType(type)
        if key is not None and key not in _RECEIVED:
            raise ValueError(f"no received message is of type {key.value!r}")
        return self._decorator(MESSAGE, key, route, 1)

    def on_event(self, name: str, route: str | None = None) -> Callable[[F], F]:
        """Call `handler(ctx)` for messages with that event, which then go nowhere else."""
        if not isinstance(name, str) or not name:
            raise TypeError("on_event needs the name of the event")
        decorator: Callable[[F], F] = self._decorator(EVENT, name, route, 1)
        return decorator

    @overload
    def on_join(self, pattern: str = "*") -> Callable[[F], F]: ...
    @overload
    def on_join(self, pattern: F) -> F: ...
    def on_join(self, pattern: Any = "*") -> Any:
        """Ask `handler(conn, room)` whether a client may join a room whose name matches.

        Patterns are those of `fnmatch`: `*`, `?`, `[ab]`. All handlers that match must return a
        true value. `conn.join_room` is not judged.
        """

        def register(handler: F, pattern: str = pattern) -> F:
            compiled = re.compile(fnmatch.translate(pattern))
            self.judges = (*self.judges, Judge(compiled, adapt(handler, 2)))
            return handler

        return register(pattern, "*") if callable(pattern) else register

    @overload
    def on_leave(self) -> Callable[[F], F]: ...
    @overload
    def on_leave(self, handler: F) -> F: ...
    def on_leave(self, handler: Any = None) -> Any:
        """Call `handler(conn, room)` after a connection has left a room, in whatever way.

        At its own wish, by the program, because the room was deleted, or at its end; then before
        `on_disconnect`.
        """

        def register(handler: F) -> F:
            self.leave_calls = (*self.leave_calls, adapt(handler, 2))
            self.renew()
            return handler

        return register if handler is None else register(handler)

    @overload
    def on_error(self) -> Callable[[F], F]: ...
    @overload
    def on_error(self, handler: F) -> F: ...
    def on_error(self, handler: Any = None) -> Any:
        """Call `handler(ctx_or_conn, exc)` after another handler has raised."""

        def register(handler: F) -> F:
            self.error_calls = (*self.error_calls, adapt(handler, 2))
            return handler

        return register if handler is None else register(handler)

    def websocket(self, path: str) -> Callable[[F], F]:
        """Serve a route; as a decorator over `async def handler(conn)`, read it by `async for`.

        Raises ValueError when the route already has such a handler.
        """
        self.add_route(path)

        def register(handler: F) -> F:
            if path in self._streams:
                raise ValueError(f"route {path} already has a handler that reads it")
            self._streams[path] = adapt(handler, 1)
            self.renew()
            return handler

        return register

    def _decorator(self, kind: str, key: Any, route: Any, n: int) -> Any:
        """A decorator, or the handler itself where it stands in the place of the route."""

        def register(handler: F, route: str | None = None) -> F:
            call = adapt(handler, n)
            if route is not None:
                self.add_route(route)
            self._registered.append(_Registered(kind, key, route, call))
            self.renew()
            return handler

        if callable(route):
            return register(route)
        return lambda handler: register(handler, route)

    # Plans.

    def plan(self, route: str) -> Plan:
        """The handlers of a route."""
        plan = self._plans.get(route)
        if plan is None:
            plan = self._plans[route] = Plan(route)
            self._fill(plan)
        return plan

    def wrap(self, wrapper: Callable[[str, Any, Call], Call]) -> None:
        """From now on run `wrapper(kind, key, handler)` in the place of each handler of a plan."""
        self._wrap = wrapper
        self.renew()

    def renew(self) -> None:
        """Let every plan follow what is registered."""
        for plan in self._plans.values():
            self._fill(plan)

    def _of(self, plan: Plan, kind: str, key: Any = None) -> tuple[Call, ...]:
        found = [each for each in self._registered if each.kind == kind and each.key == key]
        calls = (each.call for route in (None, plan.route) for each in found if each.route == route)
        return tuple(calls if self._wrap is None else (self._wrap(kind, key, c) for c in calls))

    def _fill(self, plan: Plan) -> None:
        plan.connect = self._of(plan, CONNECT)
        plan.disconnect = self._of(plan, DISCONNECT)
        plan.stream = self._streams.get(plan.route)
        if plan.stream is not None and self._wrap is not None:
            plan.stream = self._wrap(STREAM, None, plan.stream)
        # A stream gets every message, whoever else does; it comes first, so that an error of
        # another handler takes nothing from it.
        always = () if plan.stream is None or self.deliver is None else (self.deliver,)
        others = self._of(plan, MESSAGE)
        text = self._of(plan, MESSAGE, MessageType.TEXT)
        json = self._of(plan, MESSAGE, MessageType.JSON)
        plan.text = always + (text or others)
        plan.binary = always + (self._of(plan, MESSAGE, MessageType.BINARY) or others)
        plan.json = always + (json or text or others)
        plan.json_as_text = bool(text) and not json
        names = dict.fromkeys(each.key for each in self._registered if each.kind == EVENT)
        plan.events = {
            name: always + calls for name in names if (calls := self._of(plan, EVENT, name))
        }
        # As those of types: the effect first, the application's if it succeeded, no stream.
        plan.events |= {
            name: (effect, *self._of(plan, EVENT, name))
            for name, effect in self.built_in_events.items()
        }
        plan.commands = {
            type_: (effect, *self._of(plan, MESSAGE, type_))
            for type_, effect in self.commands.items()
        }
