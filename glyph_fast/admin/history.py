"""Questions of operators about what rooms keep, and their answers: `/api/rooms/NAME/history`."""

from __future__ import annotations

from ..broker.history import Ask, Page
from ..dialects.stream import write_all
from ..errors import Reject
from ..http.request import Request
from ..http.response import Response
from ..hub.joining import MAX_ANSWER
from ..json import dumps
from ..wire import Position


def ask_of(request: Request, most: int) -> Ask:
    """Read what is asked for; with nothing said, all that is kept if that is not too much.

    `limit`, `before`, and `epoch` with `offset`, in the query, ask for less. Raises Reject.
    """
    query = request.query
    since = None
    if (epoch := query.get("epoch")) is not None:
        since = Position(epoch, _number(request, "offset") or 0)
    limit, before = _number(request, "limit"), _number(request, "before")
    return Ask(since, before, limit, most, MAX_ANSWER)


def written(page: Page, room: str) -> Response:
    """The answer."""
    body = b'{"messages":[%b],"epoch":%b,"offset":%d%b%b}' % (
        b",".join(write_all(page.messages, room)),
        dumps(page.position.epoch),
        page.position.offset,
        b',"lost":true' if page.is_lost else b"",
        b',"more":true' if page.has_more else b"",
    )
    return Response(body, headers={"Content-Type": "application/json"})


def _number(request: Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Reject(400, {"error": f"{name}: expected a whole number"})
    return int(text)
