"""The events and the HTTP routes of a server, with the types that their handlers declare."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..http.typed import BODY, FORM, QUERY

if TYPE_CHECKING:
    from ..handlers.registry import Registry
    from ..http.router import Router
    from ..schema.schema import Schema

_PARAMETER = re.compile(r":(\w+)")


class Declaring(Protocol):
    """The server that has registered routes and handlers."""

    _http: Router[Any]

    @property
    def _dispatcher(self) -> Registry: ...
    def _websocket_patterns(self) -> list[str]: ...


class Event(NamedTuple):
    """An event that clients may send."""

    name: str
    routes: tuple[str, ...]  # where it is handled
    takes: Schema | None  # None: anything, or nothing
    answers: Schema | None
    summary: str


class HttpRoute(NamedTuple):
    """A route of HTTP, typed or not."""

    method: str
    pattern: str
    body: Schema | None
    form: Schema | None
    query: Schema | None
    answers: Schema | None
    summary: str


class Program(NamedTuple):
    """The program that the documents are about."""

    routes: tuple[str, ...]  # of WebSockets
    events: tuple[Event, ...]
    http: tuple[HttpRoute, ...]

    @property
    def schemas(self) -> list[Schema]:
        """All that is declared."""
        found = [schema for each in self.events for schema in (each.takes, each.answers)]
        for each in self.http:
            found += [each.body, each.form, each.query, each.answers]
        return [schema for schema in found if schema is not None]


def program_of(server: Declaring) -> Program:
    """Collect what a server has registered."""
    routes = tuple(server._websocket_patterns())
    http = tuple(_http_route(each) for each in server._http.routes() if each.method)
    return Program(routes, tuple(_events(server, routes)), http)


def address_of(pattern: str) -> str:
    """A path pattern as documents write it: `/chat/{room}`."""
    return _PARAMETER.sub(r"{\1}", pattern)


def parameters_in(pattern: str) -> list[str]:
    """The names of a pattern's parameters."""
    return _PARAMETER.findall(pattern)


def _events(server: Declaring, routes: tuple[str, ...]) -> Iterator[Event]:
    """Each name once for all routes on which the same is declared.

    Of several handlers of an event on one route, the first that declares something counts; where
    none does, what another route declares.
    """
    by_name: dict[str, list[tuple[str | None, Callable[..., Any]]]] = {}
    for name, route, call in server._dispatcher.handlers_of_events():
        by_name.setdefault(name, []).append((route, call))
    for name, found in by_name.items():
        alike: dict[tuple[int, int], Event] = {}
        for route in routes:
            calls = [call for there, call in found if there in (None, route)]
            if not calls:
                continue
            if not any(map(_declares, calls)):
                calls = [call for _, call in found]
            takes, answers = _first(calls, "takes"), _first(calls, "answers")
            summary = next(filter(None, map(_summary, calls)), "")
            known = alike.get((id(takes), id(answers)))
            before = () if known is None else known.routes
            alike[id(takes), id(answers)] = Event(name, (*before, route), takes, answers, summary)
        yield from alike.values()


def _http_route(route: Any) -> HttpRoute:
    call = route.target.call
    takes: Mapping[str, Schema] = getattr(call, "takes", None) or {}
    answers = getattr(call, "answers", None)
    summary = _summary(route.target.handler)
    return HttpRoute(
        route.method,
        route.pattern,
        body=takes.get(BODY),
        form=takes.get(FORM),
        query=takes.get(QUERY),
        answers=answers,
        summary=summary,
    )


def _declares(call: Callable[..., Any]) -> bool:
    return bool(getattr(call, "takes", None) or getattr(call, "answers", None))


def _first(calls: list[Callable[..., Any]], name: str) -> Any:
    return next((found for call in calls if (found := getattr(call, name, None))), None)


def _summary(handler: object) -> str:
    """The first line of what a handler says of itself."""
    return (inspect.getdoc(handler) or "").partition("\n")[0] if callable(handler) else ""
