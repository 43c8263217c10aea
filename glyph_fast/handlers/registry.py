"""The handlers that an application registered, and for each route those that run.

Everything that can be decided at registration is: how many arguments a handler takes, which
handlers a message of a type goes to. What is left for a message is one look-up in a `Plan`. Plans
are renewed in place, so a handler registered while the server runs serves open connections too.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .. import core
from ..dialects.base import Dialect, Undecoded
from ..json import value_of
from ..wire import COMMAND, KIND, MessageType
from .signature import Call, adapt, check_coroutine_function
from .typed import event_call

F = TypeVar("F", bound=Callable[..., Any])

CONNECT = "connect"
CLOSE = "close"
DISCONNECT = "disconnect"
MESSAGE = "message"  # key: a MessageType, or None for what nobody else takes
EVENT = "event"  # key: its name
STREAM = "stream"

# What handlers can be registered for. A reply is for whoever waits for it.
_RECEIVED = tuple(
    type_
    for type_ in MessageType
    if type_.role in (KIND, COMMAND) and type_ is not MessageType.REPLY
)


def check_path(path: object, name: str) -> None:
    """Raise TypeError for a decorator that stands bare: its path is the function then."""
    if not isinstance(path, str):
        raise TypeError(f'{name} needs a path, as in @server.{name}("/path"), not {path!r}')


def _nothing(conn: Any) -> None:
    """Nobody is to be told."""


class _Registered(NamedTuple):
    kind: str
    key: Any
    route: str | None
    call: Call


class Judge(NamedTuple):
    """A function that decides about clients that ask to join rooms of some names."""

    pattern: re.Pattern[str]
    call: Call


class Plan(core.Plan):
    """The handlers of one route, each group in the order in which it runs, and its dialect."""

    __slots__ = (
        "close",
        "commands",
        "connect",
        "dialect",
        "disconnect",
        "is_open",
        "paced",
        "program",
        "route",
        "stream",
    )

    def __init__(self, route: str) -> None:
        super().__init__()
        self.route = route
        self.dialect: Dialect
        self.connect: tuple[Call, ...] = ()
        self.close: tuple[Call, ...] = ()
        self.disconnect: tuple[Call, ...] = ()
        self.commands: dict[MessageType, tuple[Call, ...]] = {}  # the built-in effect first
        self.is_open = False  # see `Registry.open_route`
        self.stream: Call | None = None  # the handler that reads with `async for`
        self.program: Plan | None = None  # see `Registry.translate`
        self.paced: Callable[[Any], object] = _nothing  # to be told that more or less may wait


class Registry:
    """The decorators of a server, and the plans they lead to.

    `commands` are the built-in effects of the client messages that are enabled, `built_in_events`
    those of events, by name; `deliver` hands a message to the stream of its connection. `dialect`
    is that of every route, but where nobody would look at JSON once it is decoded: there it is
    `undecoded`. A handler says so of itself by an attribute `takes_raw` that is true. `paced` is
    told of connections of which more, or less, may wait than before. `nobody` goes in the place of
    the handlers of messages that have none: it tells clients so, in development mode.
    `route_added`, if set, is told of each new route.
    """

    def __init__(self) -> None:
        self.commands: dict[MessageType, Call] = {}
        self.built_in_events: dict[str, Call] = {}
        self.dialect = Dialect()
        self.undecoded: Dialect = Undecoded()
        self.deliver: Call | None = None
        self.paced: Callable[[Any], object] = _nothing
        self.route_added: Callable[[str], object] | None = None
        self.judges: tuple[Judge, ...] = ()
        self.leave_calls: tuple[Call, ...] = ()
        self.error_calls: tuple[Call, ...] = ()
        self.nobody: tuple[Call, ...] = ()
        self._wrap: Callable[[str, Any, Call], Call] | None = None
        self._registered: list[_Registered] = []
        self._streams: dict[str, Call] = {}
        self._routes: dict[str, None] = {}
        self._open_routes: set[str] = set()
        self._plans: dict[str, Plan] = {}
        self._translators: dict[str, tuple[Call, Dialect]] = {}

    @property
    def routes(self) -> list[str]:
        """Every WebSocket route that was named, in order."""
        return list(self._routes)

    @property
    def has_handlers(self) -> bool:
        """Return whether there is a handler of connections, messages or events."""
        return bool(self._registered)

    def add_route(self, route: str) -> None:
        """Serve WebSocket connections on a path pattern such as `/chat/:room`."""
        if route not in self._routes:
            self._routes[route] = None
            if self.route_added is not None:
                self.route_added(route)

    def open_route(self, route: str) -> None:
        """Let clients of a route use built-in words on all rooms that nothing is said about.

        It is one of a Glyph program, in which nothing but the program answers.
        """
        self._open_routes.add(route)
        self.renew()

    def is_open(self, route: str) -> bool:
        """Return whether `open_route` was called for it."""
        return route in self._open_routes

    def handlers_of_events(self) -> list[tuple[str, str | None, Call]]:
        """List the handlers of events: the name, the route if it is for one, and what is called."""
        found = [each for each in self._registered if each.kind == EVENT]
        return [(each.key, each.route, each.call) for each in found]

    def judges_of(self, room: str) -> list[Judge]:
        """Return who decides about clients that ask to join the room of that name."""
        return [each for each in self.judges if each.pattern.match(room)]

    # Decorators. Each may stand bare (`@on_connect`) or with arguments (`@on_connect(route=…)`).
    # Those of a server say more, and give them their types.

    def on_connect(self, route: Any = None) -> Any:
        """Call `handler(conn)` after the handshake and before any message."""
        return self._decorator(CONNECT, None, route, 1)

    def on_close(self, route: Any = None) -> Any:
        """Call `handler(conn, code, reason)` when the client asks to close, before the answer."""
        return self._decorator(CLOSE, None, route, 3)

    def on_disconnect(self, route: Any = None) -> Any:
        """Call `handler(conn, code, reason)` once, as the last call for the connection."""
        return self._decorator(DISCONNECT, None, route, 3)

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
        """Call `handler(ctx)`, or `handler(ctx, data)` with a type for `data`, for that event."""
        if not isinstance(name, str) or not name:
            raise TypeError("on_event needs the name of the event")
        decorator: Callable[[F], F] = self._decorator(EVENT, name, route, 1)
        return decorator

    def on_join(self, pattern: Any = "*") -> Any:
        """Ask `handler(conn, room)` whether a client may join a room whose name matches."""

        def register(handler: F, pattern: str = pattern) -> F:
            compiled = re.compile(fnmatch.translate(pattern))
            self.judges = (*self.judges, Judge(compiled, adapt(handler, 2)))
            self.renew()
            return handler

        return register(pattern, "*") if callable(pattern) else register

    def on_leave(self, handler: Any = None) -> Any:
        """Call `handler(conn, room)` after a connection has left a room, in whatever way."""

        def register(handler: F) -> F:
            self.leave_calls = (*self.leave_calls, adapt(handler, 2))
            self.renew()
            return handler

        return register if handler is None else register(handler)

    def on_error(self, handler: Any = None) -> Any:
        """Call `handler(ctx_or_conn, exc)` after another handler has raised."""

        def register(handler: F) -> F:
            self.error_calls = (*self.error_calls, adapt(handler, 2))
            self.renew()
            return handler

        return register if handler is None else register(handler)

    def websocket(self, path: str) -> Callable[[F], F]:
        """Serve a route; as a decorator over `async def handler(conn)`, read it by `async for`.

        Raises ValueError when the route already has such a handler, TypeError for one that is no
        `async def`.
        """
        check_path(path, "websocket")
        self.add_route(path)

        def register(handler: F) -> F:
            check_coroutine_function(handler, "a handler that reads its route")
            if path in self._streams:
                raise ValueError(f"route {path} already has a handler that reads it")
            self._streams[path] = adapt(handler, 1)
            self.renew()
            return handler

        return register

    def _decorator(self, kind: str, key: Any, route: Any, n: int) -> Any:
        """A decorator, or the handler itself where it stands in the place of the route."""

        def register(handler: F, route: str | None = None) -> F:
            call = event_call(handler) if kind == EVENT else adapt(handler, n)
            if route is not None:
                self.add_route(route)
            self._registered.append(_Registered(kind, key, route, call))
            self.renew()
            return handler

        if callable(route):
            return register(route)
        return lambda handler: register(handler, route)

    def take_in(self, other: Registry, placed: Callable[[str], str]) -> None:
        """Register what another has; `placed` gives its routes their paths here.

        A handler without a route is for the other's routes, where that has any. Raises ValueError
        when two handlers would read one route, and leaves everything as it was.
        """
        streams = {placed(path): call for path, call in other._streams.items()}
        if taken := self._streams.keys() & streams:
            raise ValueError(f"route {min(taken)} already has a handler that reads it")
        self._streams |= streams
        routes = [placed(route) for route in other._routes]
        for route in routes:
            self.add_route(route)
        for each in other._registered:
            own = None if each.route is None else placed(each.route)
            found: list[str | None] = [*routes] if own is None and routes else [own]
            self._registered += [each._replace(route=route) for route in found]
        self.judges += other.judges
        self.leave_calls += other.leave_calls
        self.error_calls += other.error_calls
        self.renew()

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

    def translate(self, route: str, taker: Call, dialect: Dialect) -> None:
        """Hand every frame of a route to `taker`, whose clients speak a protocol of their own.

        What the program has registered for the route is then in `program` of its plan.
        """
        self._translators[route] = (taker, dialect)
        self.renew()

    def _fill(self, plan: Plan) -> None:
        if plan.route in self._translators:
            plan.program = Plan(plan.route)
            self._fill_with_handlers(plan.program)
            taker, plan.dialect = self._translators[plan.route]
            plan.text = plan.binary = (taker,)
            plan.close, plan.disconnect = plan.program.close, plan.program.disconnect
            plan.paced = self.paced
        else:
            self._fill_with_handlers(plan)

    def _fill_with_handlers(self, plan: Plan) -> None:
        plan.connect = self._of(plan, CONNECT)
        plan.close = self._of(plan, CLOSE)
        plan.disconnect = self._of(plan, DISCONNECT)
        plan.stream, plan.paced = self._streams.get(plan.route), self.paced
        if plan.stream is not None and self._wrap is not None:
            plan.stream = self._wrap(STREAM, None, plan.stream)
        # A stream gets every message, whoever else does; it comes first, so that an error of
        # another handler takes nothing from it.
        always = () if plan.stream is None or self.deliver is None else (self.deliver,)
        others = self._of(plan, MESSAGE)
        text = self._of(plan, MESSAGE, MessageType.TEXT)
        json = self._of(plan, MESSAGE, MessageType.JSON)
        nobody = self.nobody
        plan.text = always + (text or others) or nobody
        plan.binary = always + (self._of(plan, MESSAGE, MessageType.BINARY) or others) or nobody
        plan.json = always + (json or text or others) or nobody
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
        plan.is_open = plan.route in self._open_routes
        is_raw = all(getattr(call, "takes_raw", False) for call in plan.json)
        if not plan.json and not plan.is_open:
            is_raw = False  # an `id` in it wants an answer
        plan.dialect = self.undecoded if is_raw and not plan.events else self.dialect
        plan.value_of = value_of if plan.dialect.__class__ is Dialect else None
        plan.dumps = plan.dialect.writer.dumps
        plan.commands = {
            type_: (effect, *self._of(plan, MESSAGE, type_))
            for type_, effect in self.commands.items()
        }
