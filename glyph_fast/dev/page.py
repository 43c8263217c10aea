"""The page of development mode: it talks to the routes of the program it comes from.

The program goes with it as JSON, as it is when the page is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import __version__
from ..documents.program import Declaring, Event, parameters_in, program_of
from ..http.policy import content_security_policy
from ..http.request import Request
from ..http.response import Response
from ..json import dumps
from .examples import example_of

PAGE = Path(__file__).with_name("page.html")
_PLACE = '<script type="application/json" id="program">{}</script>'


class DevelopmentPage:
    """Answers GET and HEAD with the page about `server`."""

    def __init__(self, server: Declaring) -> None:
        self._server = server
        self._html = PAGE.read_text(encoding="utf-8")
        self._headers = {
            "Cache-Control": "no-store",  # the next program has other routes
            "Content-Security-Policy": content_security_policy(self._html),
            "Content-Type": "text/html; charset=utf-8",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def answer(self, request: Request) -> Response:
        """The page."""
        # A `<` in a name could end the element.
        data = dumps(described(self._server)).decode().replace("<", "\\u003c")
        html = self._html.replace(_PLACE, _PLACE.replace("{}", data))
        return Response(html, 200, self._headers)


def described(server: Declaring) -> dict[str, Any]:
    """Describe the program for the page."""
    program = program_of(server)
    return {
        "version": __version__,
        "routes": [{"path": each, "parameters": parameters_in(each)} for each in program.routes],
        "events": list(_events(program.events)),
        "http": [{"method": each.method, "path": each.pattern} for each in program.http],
    }


def _events(events: tuple[Event, ...]) -> Iterator[dict[str, Any]]:
    declared = [each.takes for each in events if each.takes is not None]
    schemas = None
    if declared:
        from ..documents.schemas import Schemas  # needs msgspec, as who declares types does

        try:
            schemas = Schemas(declared)
        except (TypeError, ValueError):  # two types of one name, say: no examples then
            pass
    for each in events:
        example = None
        if schemas is not None and each.takes is not None:
            example = example_of(schemas.of(each.takes), schemas.components)
        yield {
            "name": each.name,
            "routes": each.routes,
            "summary": each.summary,
            "takes": each.takes is not None,
            "example": example,
        }


__all__ = ["DevelopmentPage", "described"]
