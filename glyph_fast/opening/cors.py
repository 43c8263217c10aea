"""Cross-origin requests to HTTP routes (the Fetch standard's CORS), by the option that says which
pages may open a WebSocket.

Without `--allowed-origin` there are no such fields, and browsers keep other origins' pages out.
With a list, its pages may read the answers, and send cookies along, as they do with a WebSocket;
with `*` or `null` everybody may, without cookies. What a handler says itself about it stands. A
program's own fixed fields (`GLYPH_CORS_ORIGIN`) take the place of all that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..http.headers import TOKEN
from ..http.request import Request
from ..http.response import Response
from ..options.origin import ANYBODY, check_origin

MAX_AGE_S = 600  # that a browser may remember the answer to a preflight request
_ALLOW_ORIGIN = "Access-Control-Allow-Origin"
_NAMES = re.compile(rf"{TOKEN.pattern}(?:[ \t]*,[ \t]*{TOKEN.pattern})*")


class Cors:
    """Adds the fields to answers, and answers preflight requests.

    `fixed` are fields of every answer, whoever asks; with them every OPTIONS without a handler of
    its own is answered.
    """

    def __init__(self, allowed: Sequence[str], fixed: Mapping[str, str] | None = None) -> None:
        self._allowed = allowed
        self._fixed = fixed
        self._is_open = "*" in allowed

    def __bool__(self) -> bool:
        """Return whether there is anything to add."""
        return bool(self._allowed or self._fixed)

    def apply(self, request: Request, response: Response) -> Response:
        """The answer with what a browser asks for; the same object where nothing is to be added."""
        if self._fixed:
            return response._with_missing(self._fixed)
        fields = self._allowance(request) if response.header(_ALLOW_ORIGIN) is None else {}
        if self._is_open:
            return response._with_missing(fields) if fields else response
        # Or a cache would give one page's answer to another.
        known = response.header("vary")
        answer = response._with_missing(fields)
        if known is None or "origin" not in known.lower() and known != "*":
            answer.headers.append(("Vary", "Origin"))
        return answer

    def added(
        self, request: Request, fields: Sequence[tuple[str, str]]
    ) -> Sequence[tuple[str, str]]:
        """Return what `apply` adds to an answer that has these fields."""
        answer = self.apply(request, Response(status=204, headers=fields))
        return answer.headers[len(fields) :]

    def preflight(self, request: Request, methods: Iterable[str]) -> Response | None:
        """The answer to what a browser asks before a request; None when this is no such question,
        or asked for a page that is not allowed."""
        if request.method != "OPTIONS":
            return None
        if self._fixed:
            return Response(status=204)
        listed = sorted({*methods})
        fields = self._allowance(request)
        if not listed or not fields or "access-control-request-method" not in request.headers:
            return None
        fields["Access-Control-Allow-Methods"] = ", ".join(listed)
        names = request.headers.get("access-control-request-headers", "")
        if _NAMES.fullmatch(names):
            fields["Access-Control-Allow-Headers"] = names
        fields["Access-Control-Max-Age"] = str(MAX_AGE_S)
        fields["Vary"] = "Origin, Access-Control-Request-Headers"
        return Response(status=204, headers=fields)

    def _allowance(self, request: Request) -> dict[str, str]:
        """The fields that let the page that asks read the answer; none where it may not."""
        if self._is_open:
            return {_ALLOW_ORIGIN: "*"}
        origins = request.headers.getlist("origin")
        if len(origins) != 1 or not check_origin(origins[0], "", self._allowed, ""):
            return {}
        if origins[0] in ANYBODY:
            return {_ALLOW_ORIGIN: origins[0]}
        return {_ALLOW_ORIGIN: origins[0], "Access-Control-Allow-Credentials": "true"}
