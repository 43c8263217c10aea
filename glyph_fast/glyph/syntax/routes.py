"""Parsing of what follows `@`: HTTP routes, WebSocket routes, static files."""

from __future__ import annotations

import re

from . import habits
from .declarations import Event, HttpRoute, Item, Middleware, Path, SocketRoute, StaticFiles
from .diagnostics import Problem, did_you_mean
from .lexer import Token
from .nodes import Block, Parameter, Statement, TypeExpression
from .source import Position
from .statements import StatementParser

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
EVENTS = ("connect", "message", "disconnect", "error")
DECLARED = {
    "command": "a command",
    "cmd": "a command",
    "cron": "a cron task",
    "schedule": "a cron task",
    "event": "an event handler",
    "on": "an event handler",
    "queue": "a queue worker",
    "worker": "a queue worker",
}
REFUSED = ("rpc", "grpc", "query", "mutation", "subscription")
_DIRECTIVES = ("route", "ws", "websocket", "static", *METHODS, *DECLARED)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RouteParser(StatementParser):
    """The part of the parser for routes."""

    def directive(self) -> Item:
        """Parse what `@` begins."""
        at = self.expect("@").position
        word = self.any_word("a method, `ws`, `static` or another directive")
        name = word.text
        if name.upper() in METHODS:
            return self._http(at, name.upper())
        if name == "route":
            return self._http(at, None)
        if name in ("ws", "websocket"):
            return self._socket(at)
        if name == "static":
            return self._static(at)
        if name.lower() == "sse":
            self.refuse("server-sent-events", word.position)
            return self._http(at, "GET")
        if name in DECLARED:
            return self.declared(DECLARED[name], at)
        if name in REFUSED:
            self.refuse("remote-procedures", word.position, word=name)
            return self.declared(f"`@ {name}`", at)
        known = name.lower() if name.lower() in _DIRECTIVES else name
        hint = did_you_mean(known, _DIRECTIVES, "`@ {}`")
        self.error("unknown-directive", word.position, hint=hint or None, word=name)

    def declared(self, what: str, at: Position) -> Item:
        """An item that is only parsed over; the parser of items provides it."""
        raise NotImplementedError

    def parameter(self, wanted: str) -> Parameter:
        """`name: Type [!] [= default]`; the parser of items provides it."""
        raise NotImplementedError

    # --- paths -----------------------------------------------------------------------------------

    def _path(self) -> Path:
        if not self.at("path"):
            self.fail("a path", "a path starts with `/` and stands on the same line")
        token = self.advance()
        segments, column = [], token.position.column
        for segment in token.text.split("/"):
            if ":" in segment:
                self._check_parameter(segment, Position(token.position.line, column, len(segment)))
            if segment in (".", ".."):
                at = Position(token.position.line, column, len(segment))
                self.report.add("dot-segment", at, segment=segment)
            if segment:
                segments.append(segment)
            column += len(segment) + 1
        return Path(segments, at=token.position)

    def _check_parameter(self, segment: str, at: Position) -> None:
        if not segment.startswith(":") or not _IDENTIFIER.fullmatch(segment[1:]):
            self.error("bad-path-parameter", at, segment=segment)

    # --- HTTP ------------------------------------------------------------------------------------

    def _http(self, at: Position, method: str | None) -> HttpRoute:
        path = self._path()
        if method is None:
            method = self._bracketed_method() if self.accept("[") else "GET"
        returns = self.type_expression() if self.accept("->") else None
        self.skip_newlines()
        opening = self.expect("{", "`{` and the body of the route")
        body = Block([], at=opening.position)
        route = HttpRoute(method, path, returns, [], None, [], body, at=at)
        with self.nested():
            while self.next_statement(opening):
                started = self.index
                try:
                    self._entry_of(route, body.statements)
                except Problem:
                    self.recover(opening.depth + 1, started)
        return route

    def _bracketed_method(self) -> str:
        token = self.any_word("a method")
        if token.text.upper() not in METHODS:
            hint = "the methods are " + ", ".join(METHODS)
            self.error("unknown-directive", token.position, hint=hint, word=token.text)
        self.expect("]")
        return token.text.upper()

    def _entry_of(self, route: HttpRoute, statements: list[Statement]) -> None:
        """One entry of a route's body: these stand in any order, mixed with statements."""
        token = self.current
        if self.accept("+"):
            route.middlewares.append(self._middleware(token.position))
        elif self.accept("%"):
            name = self.name("a name for the provider")
            self.expect(":")
            self.type_expression()
            self.refuse("providers", token.position, name=name.text)
        elif self.accept("<"):
            self.name("`input`")
            self.expect(":")
            if route.input_type is not None:
                self.report.add("second-input", token.position)
            route.input_type = self._input_type()
        elif self._declares_query():
            self.advance()
            route.queries.append(self.parameter("a query parameter"))
        else:
            statements.append(self.statement())

    def _input_type(self) -> TypeExpression:
        kind = self.type_expression()
        self.accept("!")
        return kind

    def _declares_query(self) -> bool:
        """`? name: Type` has one colon; `? name :: 404` is a guard."""
        return (
            self.at("?")
            and self.peek(1).kind == "word"
            and self.peek(2).kind == ":"
            and self.peek(3).kind != ":"
        )

    def _middleware(self, at: Position) -> Middleware:
        name = self.name("the name of a middleware")
        arguments: list[str] = []
        if self.at("("):
            depth = self.advance().depth
            argument = ""
            while self.current.depth > depth and not self.at("end"):
                if self.at(",") and self.current.depth == depth + 1:
                    arguments.append(argument)
                    argument = ""
                    self.advance()
                else:
                    argument += _text_of(self.advance())
            if argument:
                arguments.append(argument)
            self.expect(")")
        return Middleware(name.text, arguments, at=at)

    # --- WebSocket -------------------------------------------------------------------------------

    def _socket(self, at: Position) -> SocketRoute:
        path = self._path()
        self.skip_newlines()
        opening = self.expect("{", "`{` and the events of the route")
        events: list[Event] = []
        with self.nested():
            while self.next_statement(opening):
                started = self.index
                try:
                    self._event(events)
                except Problem:
                    self.recover(opening.depth + 1, started)
        return SocketRoute(path, events, at=at)

    def _event(self, events: list[Event]) -> None:
        at = self.current.position
        if not self.accept_word("on"):
            if self.at("+") or self.at("%") or self.at("<"):
                self.error("not-in-this-body", at, entry=self.current.text)
            meant = self.current.text.lower().removeprefix("on").lstrip("_")
            hint = "statements of a WebSocket route belong into its events"
            if meant in EVENTS or meant in habits.EVENTS:
                hint = f"did you mean `on {habits.EVENTS.get(meant, meant)}`?"
            self.fail("`on EVENT { … }`", hint)
        word = self.any_word("an event: connect, message, disconnect or error")
        if word.text not in EVENTS:
            meant = habits.EVENTS.get(word.text, word.text)
            hint = did_you_mean(meant, EVENTS) or "the events are " + ", ".join(EVENTS)
            self.report.add("unknown-event", word.position, hint=hint, event=word.text)
        elif any(event.name == word.text for event in events):
            self.report.add("second-event", word.position, event=word.text)
        if self.at("("):
            self.fail("`{`", "an event has no parameters: what came is `input`")
        events.append(Event(word.text, self.block(), at=at))

    # --- static files ----------------------------------------------------------------------------

    def _static(self, at: Position) -> StaticFiles:
        path = self._path()
        directory = self.expect("string", "the directory, as a string")
        if not path.segments or path.parameters:
            self.error("bad-static-prefix", path.at)
        return StaticFiles(path, str(directory.value), directory.position, at=at)


def _text_of(token: Token) -> str:
    return str(token.value) if token.kind == "string" else token.text
