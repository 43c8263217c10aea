"""Spans: one for each opening handshake, one for each call of a handler.

A handshake's span continues the trace of whoever connects (the headers of the process's
propagators, `traceparent` by default). Its context is kept with the connection, and every span of
the connection's handlers is a child of it; while a handler runs its span is the current one, so
whatever the handler calls finds it. No contents of messages are recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import wraps
from inspect import isawaitable
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from ..errors import ConnectionClosed
from ..handlers.context import MessageContext
from ..http.request import Request
from ..http.response import Response
from ..http.router import Match
from ..hub.connection import Connection
from ..logs import qualified_name
from ..opening.exchange import HttpRoute
from ..websocket.handshake import is_upgrade
from ..wire import ENDING, WEBSOCKET, MessageType

CONTEXT = "opentelemetry.context"  # under this key with a connection's data
Call = Callable[..., Any]

# Names of the semantic conventions for HTTP and code.
METHOD, ROUTE, PATH = "http.request.method", "http.route", "url.path"
SCHEME, STATUS, CLIENT = "url.scheme", "http.response.status_code", "client.address"
FUNCTION, ERROR_TYPE = "code.function.name", "error.type"
CONNECTION, MESSAGE_TYPE = "glyph_fast.connection.id", "glyph_fast.message.type"
EVENT = "glyph_fast.message.event"


class HandlerSpans:
    """Wraps handlers so that each call is a span."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._wrapped: dict[tuple[str, Any, Call], Call] = {}  # so that one handler stays one

    def wrap(self, kind: str, key: Any, call: Call) -> Call:
        """A WebSocket handler of a kind (`connect`, `message`, …), whose calls become spans."""
        known = self._wrapped.get((kind, key, call))
        if known is None:
            known = self._wrapped[kind, key, call] = self._wrap(kind, key, call)
        return known

    def _wrap(self, kind: str, key: Any, call: Call) -> Call:
        what = f"on_{kind} {key}" if kind == "event" else f"on_{kind}"
        function = qualified_name(call)
        span_kind = SpanKind.CONSUMER if kind in ("message", "event") else SpanKind.INTERNAL

        @wraps(call)
        def traced(subject: Any, *args: Any) -> Any:
            conn: Connection = getattr(subject, "conn", subject)
            attributes = {CONNECTION: conn.id, ROUTE: conn.route_pattern, FUNCTION: function}
            if isinstance(subject, MessageContext):
                attributes[MESSAGE_TYPE] = MessageType(subject.message.type).value
                if subject.message.event:
                    attributes[EVENT] = subject.message.event
            span = self._tracer.start_span(
                f"{what} {conn.route_pattern}",
                context=conn.get_data(CONTEXT),
                kind=span_kind,
                attributes=attributes,
            )
            return within(span, call, subject, *args)

        return traced

    def wrap_route(self, match: Match[HttpRoute]) -> Match[HttpRoute]:
        """A match that leads to an HTTP handler whose calls become spans."""
        route, key = match.target, ("http", match.pattern, match.target.call)
        known = self._wrapped.get(key)
        if known is None:
            known = self._wrapped[key] = self._wrap_http(match.pattern, route.call)
        return match._replace(target=route._replace(call=known))

    def _wrap_http(self, pattern: str, call: Call) -> Call:
        function = qualified_name(call)

        @wraps(call)
        def traced(request: Request) -> Any:
            span = server_span(self._tracer, request, pattern)
            span.set_attribute(FUNCTION, function)
            return within(span, call, request)

        return traced


def within(span: Span, call: Call, *args: Any) -> Any:
    """Call within a span, which ends with the call, or with its awaitable."""
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            result = call(*args)
    except BaseException as exc:
        failed(span, exc)
        raise
    if isawaitable(result):
        return _within(span, result)
    succeeded(span, result)
    return result


async def _within(span: Span, awaitable: Awaitable[Any]) -> Any:
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            result = await awaitable
    except BaseException as exc:
        failed(span, exc)
        raise
    succeeded(span, result)
    return result


def failed(span: Span, exc: BaseException) -> None:
    """End the span of a handler that raised; a refusal, or an answer to nobody, is no failure."""
    status = getattr(exc, "status", None)
    if status is not None:
        span.set_attribute(STATUS, status)
    if isinstance(exc, Exception) and not isinstance(exc, ConnectionClosed):
        if status is None:
            span.record_exception(exc)
        if status is None or status >= 500:
            span.set_attribute(ERROR_TYPE, type(exc).__qualname__)
            span.set_status(StatusCode.ERROR, type(exc).__qualname__)
    span.end()


def succeeded(span: Span, result: Any) -> None:
    """End the span of a handler that returned."""
    if isinstance(result, Response):
        span.set_attribute(STATUS, result.status)
        if result.status >= 500:
            span.set_status(StatusCode.ERROR)
    span.end()


def server_span(tracer: trace.Tracer, request: Request, route: str = "") -> Span:
    """A span for a request, in the trace its headers name. The query may be secret: left out."""
    attributes = {METHOD: request.method, PATH: request.path, ROUTE: route, CLIENT: request.remote}
    return tracer.start_span(
        f"{request.method} {route}".rstrip(),
        context=propagated(request),
        kind=SpanKind.SERVER,
        attributes={name: value for name, value in attributes.items() if value},
    )


def propagated(request: Request) -> Context:
    """The context that whoever asks has sent along."""
    return propagate.extract({name.lower(): value for name, value in request.headers.items()})


class OpeningSpans:
    """An `Observer` that makes a span of each WebSocket handshake, and traces HTTP handlers."""

    def __init__(self, tracer: trace.Tracer, handlers: HandlerSpans) -> None:
        self._tracer = tracer
        self._spans: dict[Any, Span] = {}  # by connection, while its handshake is not decided
        self.route = handlers.wrap_route

    def handshake(self, conn: Any, request: Request, route: str) -> AbstractContextManager[Span]:
        """Begin the span of a handshake; it is current while that is decided at once."""
        span = self._begin(conn, request, route)
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def accepting(self, conn: Any, request: Request) -> None:
        """Keep its context for what the connection's handlers do."""
        context = trace.set_span_in_context(self._spans[conn], propagated(request))
        conn.set_data(CONTEXT, context)

    def accepted(self, conn: Any) -> None:
        """End it."""
        self._spans[conn].set_attribute(CONNECTION, conn.id)
        self._end(conn, 101 if conn._kind == WEBSOCKET else 200)

    def refused(self, conn: Any, request: Request, status: int) -> None:
        """End it; without one there was no route, or no upgrade, and it is a span of no length."""
        if conn not in self._spans and conn._phase < ENDING:
            self._begin(conn, request, "")
        self._end(conn, status)

    def left(self, conn: Any) -> None:
        """End it: the client is gone."""
        self._end(conn, None)

    def _begin(self, conn: Any, request: Request, route: str) -> Span:
        span = self._spans[conn] = server_span(self._tracer, request, route)
        scheme = request.scheme
        span.set_attribute(SCHEME, scheme.replace("http", "ws") if is_upgrade(request) else scheme)
        return span

    def _end(self, conn: Any, status: int | None) -> None:
        """End the handshake's span; without a status the client has left before it was decided."""
        span = self._spans.pop(conn, None)
        if span is None:
            return
        if status is not None:
            span.set_attribute(STATUS, status)
            if status >= 400:
                span.set_attribute(ERROR_TYPE, str(status))
            if status >= 500:
                span.set_status(StatusCode.ERROR)
        span.end()
