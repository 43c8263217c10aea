"""What one client may take of a turn, where the program takes its messages itself.

Reading bounds what comes of one client in a turn, counted in frames. A handler that was busy finds
more: all that came meanwhile. So whoever hands out what waits counts in the same way, and lets
others have a turn when a share is used up.
"""

from __future__ import annotations

from typing import Final

TURN_FRAMES: Final = 256  # as many as reading handles of one peer
JSON_FRAMES: Final = 4  # of a text that may be JSON, beside its own
JSON_FRAME: Final = 256  # characters of it that count like one more
PLAIN_FRAME: Final = 2048  # characters or bytes of anything else
TOKEN_FRAMES: Final = 32  # of a token that is verified, as of a request
BODY_FRAMES: Final = 96  # of a body that comes while its handler runs, beside its request's 32
_MAY_BE_JSON: Final = frozenset("{[ \t\r\n")


def frames_of(message: str | bytes) -> int:
    """Return for how many frames a message counts."""
    if isinstance(message, str) and message[:1] in _MAY_BE_JSON:
        return 1 + JSON_FRAMES + len(message) // JSON_FRAME
    return 1 + len(message) // PLAIN_FRAME
