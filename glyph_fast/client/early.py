"""What is sent as it is before the first connection is open: it waits for that."""

from __future__ import annotations

from collections.abc import Iterator

MOST_EARLY = 10_000  # messages
MOST_UNSENT = 16 * 1024 * 1024  # bytes, from which on `send` takes nothing more


class Early:
    """Messages in the order in which they were sent."""

    def __init__(self) -> None:
        self._messages: list[str | bytes] = []
        self._size = 0

    def put(self, message: str | bytes) -> bool:
        """Keep a message; False when too much waits already."""
        if len(self._messages) >= MOST_EARLY or self._size >= MOST_UNSENT:
            return False
        self._messages.append(message)
        self._size += len(message)
        return True

    def __iter__(self) -> Iterator[str | bytes]:
        return iter(self._messages)
