"""Requests of a Channels layer in another process: `POST /api/channels`.

Body and answer are `glyph_fast.channels`'s own and no part of the documented API.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from .. import json
from ..http.request import Request
from ..http.response import Response, error_response

PATH = "/api/channels"
WAIT_S = 8.0  # for a message, until an empty answer; the asker's timeout is 10 s
MESSAGE = "message"  # the argument that is bytes, in base64

# What each call takes, in the order of the methods of `broker/channels.py`.
_TAKES: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "send": {"channel": str, MESSAGE: str, "capacity": int, "expiry": (int, float)},
    "receive": {"channel": str, "expiry": (int, float)},
    "group_add": {"group": str, "channel": str, "capacity": int, "expiry": (int, float)},
    "group_discard": {"group": str, "channel": str},
    "group_send": {"group": str, MESSAGE: str, "expiry": (int, float)},
    "flush": {"prefix": str},
}


async def answer(channels: Any, request: Request) -> Response:
    """Do one call, and answer what comes of it; `null` where no message came in time."""
    try:
        call, args = _read(await request.body())
    except ValueError as exc:
        return error_response(400, str(exc))
    try:
        async with asyncio.timeout(WAIT_S if call == "receive" else None):
            result = await channels.do(call, *args)
    except TimeoutError:
        result = None
    except ValueError as exc:
        return error_response(400, str(exc))
    if isinstance(result, bytes):
        result = b64encode(result).decode()
    return Response({"result": result})


def _read(raw: bytes) -> tuple[str, list[Any]]:
    """The call and its arguments. Raises ValueError for what is none."""
    body: Any = json.loads(raw)
    call = body.pop("call", None) if isinstance(body, dict) else None
    takes = _TAKES.get(call) if isinstance(call, str) else None
    if takes is None:
        raise ValueError(f"call: expected one of {', '.join(_TAKES)}")
    if body.keys() != takes.keys():
        raise ValueError(f"{call}: expected {', '.join(takes)}")
    args = []
    for name, kind in takes.items():
        value = body[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{name}: expected another type")
        args.append(_decoded(value) if name == MESSAGE else value)
    return str(call), args


def _decoded(value: Any) -> bytes:
    try:
        return b64decode(value, validate=True)
    except ValueError:
        raise ValueError(f"{MESSAGE}: expected base64") from None


__all__ = ["MESSAGE", "PATH", "answer"]
