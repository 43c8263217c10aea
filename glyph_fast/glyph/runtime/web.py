"""HTTP routes at run time: from a request to what the handler is given, and to the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..checks.checks import METHODS_WITH_BODY
from .jsontext import read, read_exactly, write
from .middleware import Guard, auth_value
from .queries import BadQuery, DeclaredQuery, read_query
from .typecheck import Check
from .values import ABSENT, Failure, Headers, Reply, Stop, Value
from .websocket import Event, Site
from .weight import weighed

SERVER_ERROR = {"error": "Internal server error"}


class IncomingRequest(Protocol):
    """A request as a route needs it."""

    @property
    def method(self) -> str:
        """GET, POST, …"""

    @property
    def query_string(self) -> str:
        """The query string, as sent, without its `?`."""

    @property
    def body(self) -> bytes:
        """All of it."""

    @property
    def remote(self) -> str | None:
        """The client's address."""

    def header(self, name: str) -> str:
        """A header's value, empty where it is missing."""

    def headers(self) -> Headers:
        """All headers, as a value that the program may change."""


@dataclass(slots=True)
class InputType:
    """The type that `< input: Type` asks for."""

    check: Check
    defaults: list[tuple[str, Callable[[Event], Value]]] = field(default_factory=list)
    has_required: bool = False


@dataclass(slots=True)
class Endpoint:
    """One HTTP route: its code and everything that stands before and behind it."""

    method: str
    pattern: str
    parameters: list[str]
    code: Callable[..., Value]
    guards: list[Guard]
    queries: list[DeclaredQuery]
    input_type: InputType | None
    returns: Check | None
    is_exact: bool = False  # whether the code cannot tell integers from floats

    def answer(self, request: IncomingRequest, params: Mapping[str, str], site: Site) -> Reply:
        """The answer to a request, `params` being those of its path.

        Raises what the handler failed with: Failure, RecursionError.
        """
        for guard in self.guards:
            refused = guard(request)
            if refused is not None:
                return refused
        event = HttpEvent(site, request, self.guards)
        try:
            event.query = read_query(request.query_string, self.queries, event.absent)
            event.input = self._input(event)
        except BadQuery as error:
            return Reply(400, {"error": str(error)})
        try:
            result = self.code(event, *[params[name] for name in self.parameters])
        except Stop as stop:
            return Reply(stop.status, {"error": stop.text})
        if type(result) is Reply:
            return result
        if self.returns is not None:
            wrong = self.returns(result)
            if wrong is not None:
                raise Failure(f"the answer is not of the declared type: {wrong}")
        return Reply(200, result)

    def _input(self, event: HttpEvent) -> Value:
        request = event.request
        value = None
        if request.method in METHODS_WITH_BODY:
            value = read_body(request, read_exactly if self.is_exact else read)
        declared = self.input_type
        if declared is None:
            return value
        if value is not None:
            for name, default in declared.defaults:
                if name not in value:
                    value[name] = default(event)
        wrong = None
        if value is not None or declared.has_required:
            wrong = declared.check({} if value is None else value)
        if wrong is not None:
            raise BadQuery(f"input validation failed: {wrong}")
        return value


class HttpEvent(Event):
    """The request of a handler."""

    __slots__ = ("absent", "guards", "input", "query", "request")

    def __init__(self, site: Site, request: IncomingRequest, guards: list[Guard]) -> None:
        super().__init__(site)
        self.guards = guards  # that have let it through
        self.request = request
        self.query: dict[str, Value] = {}
        self.absent: set[str] = set()  # declared parameters that need their default
        self.input: Value = None


def read_body(request: IncomingRequest, read: Callable[[bytes], Value] = read) -> Value:
    """The JSON object in a body; anything else is null, and no error."""
    content_type = request.header("Content-Type").strip().lower()
    if not request.body or not (not content_type or content_type.startswith("application/json")):
        return None
    try:
        value = read(request.body)
    except ValueError:
        return None
    return value if type(value) is dict else None


def body_of(reply: Reply) -> tuple[bytes, str]:
    """The bytes of an answer and their type. A value JSON cannot hold is a failure."""
    if reply.content_type is None:
        return write(weighed(reply.body)) + b"\n", "application/json"
    body = reply.body
    return body if type(body) is bytes else str(body).encode(), reply.content_type


# --- what generated code calls -------------------------------------------------------------------


def request_query(event: HttpEvent) -> Value:
    """`query`"""
    return event.query


def query_parameter(event: HttpEvent, name: str) -> Value:
    """A declared query parameter; ABSENT where the handler has a default for it."""
    return ABSENT if name in event.absent else event.query[name]


def set_query(event: HttpEvent, name: str, value: Value) -> None:
    """Show a default in `query` too."""
    event.query[name] = value


def request_input(event: HttpEvent) -> Value:
    """`input`"""
    return event.input


def request_headers(event: HttpEvent) -> Value:
    """`headers`"""
    return event.request.headers()


def request_auth(event: HttpEvent) -> Value:
    """`auth`"""
    return auth_value(event.guards, event.request)


FUNCTIONS = {
    "request_query": request_query,
    "query_parameter": query_parameter,
    "set_query": set_query,
    "request_input": request_input,
    "request_headers": request_headers,
    "request_auth": request_auth,
}
