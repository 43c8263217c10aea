"""To which rooms, or users, this node listens at the broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .bus import Bus
from .subjects import Subjects


class Interest:
    """Subscribes while somebody here is interested, and `held` seconds longer.

    So a client that reconnects, or a room of one that comes and goes, costs the broker nothing.
    """

    def __init__(self, bus: Bus, subjects: Subjects, kind: bytes, held: float) -> None:
        self._bus = bus
        self._subjects = subjects
        self._kind = kind
        self._held = held
        self.names: dict[bytes, str] = {}  # by subject
        self._count: dict[str, int] = {}  # who is interested
        self._leaving: deque[tuple[float, str]] = deque()

    def __contains__(self, name: object) -> bool:
        return name in self._count

    def __iter__(self) -> Iterator[str]:
        """The names in which somebody is interested."""
        return iter(list(self._count))

    def add(self, name: str) -> None:
        """One more is interested."""
        count = self._count.get(name, 0)
        self._count[name] = count + 1
        subject = self._subjects.of(self._kind, name)
        if not count and subject not in self.names:
            self.names[subject] = name
            self._bus.subscribe(subject)

    def discard(self, name: str, now: float) -> None:
        """One is not interested any more; one too many changes nothing."""
        count = self._count.get(name, 0) - 1
        if count > 0:
            self._count[name] = count
        elif count == 0:
            del self._count[name]
            self._leaving.append((now + self._held, name))

    def sweep(self, now: float) -> None:
        """End the subscriptions for which nobody has come back."""
        while self._leaving and self._leaving[0][0] <= now:
            _, name = self._leaving.popleft()
            if name in self._count:
                continue
            subject = self._subjects.of(self._kind, name)
            if self.names.pop(subject, None) is not None:
                self._bus.unsubscribe(subject)
