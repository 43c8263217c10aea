"""What bounds the connections of one loop."""

from __future__ import annotations

from ..wire import (
    DROP_OLDEST,
)


class Limits:
    """The bounds of every connection of a server. Sizes are bytes, times are seconds, rates are per
    second; 0 is "off" for `ping_interval` and the two rates.

    A rate is a token bucket of `burst` tokens, which a message takes one of, or one for each byte.
    """

    __slots__ = (
        "_byte_depth",
        "_is_rated",
        "_message_depth",
        "byte_burst",
        "byte_rate",
        "close_timeout",
        "head_timeout",
        "keep_alive_timeout",
        "max_message_size",
        "max_missed_pongs",
        "message_burst",
        "message_rate",
        "ping_interval",
        "queue_bytes",
        "queue_messages",
        "queue_policy",
        "rate_disconnects",
        "write_timeout",
    )

    def __init__(
        self,
        *,
        max_message_size: int = 512 * 1024,
        queue_messages: int = 256,
        queue_bytes: int = 1024 * 1024,
        queue_policy: int = DROP_OLDEST,
        write_timeout: float = 10.0,
        close_timeout: float = 5.0,
        head_timeout: float = 10.0,
        keep_alive_timeout: float = 75.0,
        ping_interval: float = 30.0,
        max_missed_pongs: int = 3,
        message_rate: float = 0.0,
        message_burst: int = 1,
        byte_rate: float = 0.0,
        byte_burst: int = 1,
        rate_disconnects: bool = False,
    ) -> None:
        self.max_message_size = max_message_size
        self.queue_messages = queue_messages
        self.queue_bytes = queue_bytes
        self.queue_policy = queue_policy
        self.write_timeout = write_timeout
        self.close_timeout = close_timeout
        self.head_timeout = head_timeout
        self.keep_alive_timeout = keep_alive_timeout
        self.ping_interval = ping_interval
        self.max_missed_pongs = max_missed_pongs
        self.message_rate = message_rate
        self.message_burst = message_burst
        self.byte_rate = byte_rate
        self.byte_burst = byte_burst
        self.rate_disconnects = rate_disconnects  # else what is beyond a rate is dropped
        self._is_rated = message_rate > 0 or byte_rate > 0
        # Seconds an empty bucket takes to fill.
        self._message_depth = message_burst / message_rate if message_rate > 0 else 0.0
        self._byte_depth = byte_burst / byte_rate if byte_rate > 0 else 0.0
