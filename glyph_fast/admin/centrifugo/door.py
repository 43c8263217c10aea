"""Requests of Centrifugo's HTTP API: which they are, who may make them, and their answers.

A POST below `/api/` that has an `X-API-Key` and no `Authorization` is one. The key is the server's
admin token. What fails is answered with status 200 and an `error`, or by the status alone that
stands for it where `X-Centrifugo-Error-Mode` says `transport`.
"""

from __future__ import annotations

import logging
from typing import Any

from ... import json
from ...errors import Reject
from ...http.request import Request
from ...http.response import Response
from ...logs import SERVER, brief, log
from ..access import Access
from .commands import ELSEWHERE, Commands
from .errors import BAD_REQUEST, ApiError
from .fields import FIELDS

PATHS = tuple(f"/api/{name}" for name in (*FIELDS, *sorted(ELSEWHERE)))
ROUTINE = ("publish", "broadcast", "presence", "presence_stats", "history", "channels", "info")
NAMED = ("channel", "user", "client", "disconnect")  # fields a log line tells

_KEY = "x-api-key"


def is_theirs(request: Request) -> bool:
    """Return whether a POST is one of this API. Raises Reject for a key in the URL."""
    headers = request.headers
    if "authorization" in headers:
        return False
    if "api_key" in request.query:
        raise Reject(401, {"error": "send the key as X-API-Key: a URL is kept in logs"})
    return _KEY in headers


class Door:
    """Answers the requests."""

    def __init__(self, access: Access, commands: Commands) -> None:
        self._access = access
        self._commands = commands

    async def answer(self, request: Request, method: str) -> Response:
        """Do what a request asks, whose path ends with `method`. Raises Reject where it may not."""
        self._access.check_key(request, request.headers.get(_KEY))
        try:
            body = _read(await request.body())
            if method == "batch":
                answer: Any = {"replies": await self._commands.batch(body)}
            else:
                answer = {"result": await self._commands.do(method, body)}
        except ApiError as exc:
            return _refusal(request, exc)
        _log(request, method, body)
        return Response(answer)


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw or b"{}")
    except ValueError:
        raise ApiError(BAD_REQUEST, "request body is not valid JSON") from None


def _refusal(request: Request, error: ApiError) -> Response:
    if request.headers.get("x-centrifugo-error-mode") == "transport":
        return Response(error.as_json(), error.status)
    return Response({"error": error.as_json()})


def _log(request: Request, method: str, body: Any) -> None:
    """Say what an operator did, and to whom; message contents never."""
    level = logging.DEBUG if method in ROUTINE else logging.INFO
    named = {name: brief(body[name]) for name in NAMED if name in body}
    log(SERVER, level, "operator's call", call=method, remote=request.remote, **named)
