"""`glyph-fast routes`: what a program answers to, and which functions answer."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Sequence
from typing import Protocol, TypedDict

import click

from ..logs import qualified_name
from ..options.config import Config
from ..options.rooms import Declarations, RoomDeclaration
from ..options.sources import given_options
from . import shown
from .parts import load_core
from .target import load_target

ROOM = "room"
HEADINGS = ("KIND", "METHOD", "PATTERN", "HANDLERS")


class RouteInfo(Protocol):
    """One route, as `Server.routes()` tells it."""

    @property
    def kind(self) -> str:
        """ws, http or room."""

    @property
    def method(self) -> str:
        """GET, POST, …"""

    @property
    def pattern(self) -> str:
        """`/chat/:room`"""

    @property
    def handlers(self) -> Sequence[object]:
        """The functions that answer, or words for what does."""


class Row(TypedDict):
    """A route as `--json` shows it."""

    kind: str
    method: str
    pattern: str
    handlers: list[str]


@click.command()
@click.argument("target")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON array instead of a table.")
@click.option(
    "--skip-unsupported", is_flag=True, help="List what `serve --skip-unsupported` serves."
)
def routes(target: str, as_json: bool, skip_unsupported: bool) -> None:
    """List the routes of TARGET, FILE.glyph or module:attribute, with their handlers.

    What is declared about rooms follows them, in the order in which patterns are looked at.
    """
    given = given_options({"skip_unsupported": skip_unsupported or None}, os.environ)
    config = given.over(Config())
    load_core(config.core)
    server = load_target(target, config)
    rows = [describe(route) for route in server.routes()]
    # What the program declares itself stands last, and is looked at after the file's.
    at = next((i for i, row in enumerate(rows) if row["kind"] == ROOM), len(rows))
    rows[at:at] = map(declared_row, Declarations(in_file=given.over(server.config).rooms))
    click.echo(json.dumps(rows, indent=2) if as_json else shown(table(rows)))


def describe(route: RouteInfo) -> Row:
    """`route`, with its handlers by name."""
    return {
        "kind": route.kind,
        "method": route.method,
        "pattern": route.pattern,
        "handlers": [handler_name(each) for each in route.handlers],
    }


def declared_row(declared: RoomDeclaration) -> Row:
    """Return a row for what the file declares about rooms."""
    return {"kind": ROOM, "method": "", "pattern": declared.pattern, "handlers": [str(declared)]}


def handler_name(handler: object) -> str:
    """`module:qualname:line` of a function; a str stands for itself."""
    if isinstance(handler, str):
        return handler
    function = inspect.unwrap(handler) if callable(handler) else handler
    while callable(inner := getattr(function, "func", None)):  # functools.partial
        function = inspect.unwrap(inner)
    if not hasattr(function, "__qualname__"):
        function = type(function).__call__ if callable(function) else function
    code = getattr(function, "__code__", None)
    return f"{qualified_name(handler)}:{code.co_firstlineno}" if code else qualified_name(handler)


def table(rows: Iterable[Row]) -> str:
    """Columns of text, one handler a line."""
    lines: list[Sequence[str]] = [HEADINGS]
    for row in rows:
        first, *others = row["handlers"] or ["–"]
        lines.append((row["kind"], row["method"], row["pattern"], first))
        lines += [("", "", "", other) for other in others]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
