"""Errors as Centrifugo's HTTP API has them: a code, a message, and the status for who wants one.

https://centrifugal.dev/docs/server/server_api
"""

from __future__ import annotations

from typing import Any

INTERNAL = 100
LIMIT_EXCEEDED = 106
NOT_FOUND = 104
BAD_REQUEST = 107
NOT_AVAILABLE = 108
UNRECOVERABLE = 112

# With `X-Centrifugo-Error-Mode: transport`.
_STATUSES = {
    INTERNAL: 500,
    LIMIT_EXCEEDED: 409,
    NOT_FOUND: 404,
    BAD_REQUEST: 400,
    NOT_AVAILABLE: 400,
    UNRECOVERABLE: 416,
}


class ApiError(Exception):
    """A command that cannot be done."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status that stands for it."""
        return _STATUSES[self.code]

    def as_json(self) -> dict[str, Any]:
        """Return what stands under `error`."""
        return {"code": self.code, "message": self.message}
