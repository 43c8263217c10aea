"""What a server counts about itself: the core's counters and those of the layers above it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from .core import Counters


class Metrics:
    """Figures since the server started. The loop's thread writes them."""

    __slots__ = (
        "commands_refused",
        "connections_rejected",
        "connections_total",
        "core",
        "disconnects",
        "handler_errors",
        "messages_unhandled",
        "started_at",
    )

    def __init__(self) -> None:
        self.core = Counters()  # those of the Turn, once there is one
        self.started_at = time.time()  # seconds since the epoch
        self.connections_total = 0  # WebSocket connections that were opened
        self.connections_rejected: Counter[str] = Counter()  # by reason
        self.disconnects: Counter[int] = Counter()  # by close code
        self.handler_errors = 0  # exceptions raised by handlers
        self.messages_unhandled = 0  # messages for which there was no handler
        self.commands_refused = 0  # built-in client messages answered with an error

    @property
    def messages_dropped(self) -> dict[str, int]:
        """Messages not delivered, by the policy that dropped them."""
        core = self.core
        return {
            "oldest": core.dropped_oldest,
            "newest": core.dropped_newest,
            "block": core.dropped_block,
            "disconnect": core.dropped_disconnect,
        }

    def snapshot(self) -> dict[str, Any]:
        """All figures as plain values, ready for JSON."""
        core = self.core
        return {
            "uptime_seconds": time.time() - self.started_at,
            "connections_total": self.connections_total,
            "connections_rejected": dict(self.connections_rejected),
            "disconnects": {str(code): n for code, n in sorted(self.disconnects.items())},
            "messages_received": core.messages_received,
            "messages_sent": core.messages_sent,
            "messages_dropped": self.messages_dropped,
            "messages_unhandled": self.messages_unhandled,
            "bytes_received": core.bytes_received,
            "bytes_sent": core.bytes_sent,
            "commands_refused": self.commands_refused,
            "handler_errors": self.handler_errors,
            "pings_sent": core.pings_sent,
            "pongs_received": core.pongs_received,
            "pongs_missed": core.pongs_missed,
        }
