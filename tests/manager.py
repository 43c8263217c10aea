"""What a service manager hears of a service by `sd_notify`."""

from __future__ import annotations

import select
import socket
from pathlib import Path

from tests.succession import WITHIN_S


class Manager:
    """A service manager's notify socket."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(WITHIN_S)
        self._socket.bind(self.path)

    def heard(self, *, but: str = "WATCHDOG=1") -> dict[str, str]:
        """The next states that are not `but`."""
        while (text := self._socket.recv(4096).decode()) == but:
            pass
        return dict(line.split("=", 1) for line in text.splitlines())

    def is_quiet(self) -> bool:
        """Whether nothing more was said."""
        return not select.select([self._socket], [], [], 0)[0]

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
