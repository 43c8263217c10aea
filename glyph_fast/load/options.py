"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..urls import is_sound_url

MODES = ("echo", "fan-out", "connect", "churn", "stalled")
MAX_SOURCES = 32  # 127.0.0.1 to 127.0.0.32
_ROOM_MODES = ("fan-out", "stalled", "churn")


@dataclass(frozen=True, kw_only=True)
class Options:
    """One run. Sizes are bytes, times seconds.

    `connections` are echoing connections, room members, or connections to open, by mode.
    Raises ValueError for a combination that means nothing.
    """

    url: str
    mode: str = "echo"
    connections: int = 64
    publishers: int = 1  # rooms only: connections that publish, besides the members
    rooms: int = 1  # rooms only: `{}` in the URL becomes the room's number
    in_flight: int = 1  # messages outstanding per connection or publisher; handshakes for connect
    size: int = 64  # of a message
    binary: bool = False
    json_messages: bool = False  # JSON objects instead of plain text
    rate: float = 0.0  # messages published per second, open loop; 0: as fast as answers come
    stalled: float = 0.0  # share of members that never read
    duration: float = 5.0  # at least this long …
    server_cpu: float = 0.0  # … and until the server has used this much CPU …
    max_duration: float = 60.0  # … but not longer than this
    warm_up: float = 0.5
    hold: float = 2.0  # connect: how long idle connections are watched
    browser_head: bool = False  # connect with a request head as long as a browser's
    compression: bool = False  # offer permessage-deflate, and fail when it is declined
    pid: int | None = None  # of the server; found by itself when it is on this machine
    timeout: float = 10.0  # for an answer, before the run fails

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, expected one of {', '.join(MODES)}")
        for name in ("connections", "publishers", "rooms", "in_flight", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.timeout <= 0:
            raise ValueError(f"timeout is {self.timeout}, expected more than 0")
        for name in ("rate", "server_cpu", "warm_up", "hold", "duration"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.stalled < 1:
            raise ValueError(f"stalled is {self.stalled}, expected a share from 0 to below 1")
        if self.rooms > 1 and "{}" not in self.url:
            raise ValueError("several rooms need a URL with {} for the room's number")
        if self.rate and self.mode not in ("echo", "fan-out", "stalled"):
            raise ValueError(f"mode {self.mode} has no open loop: leave rate out")
        if not is_sound_url(self.url, ("ws",)):
            raise ValueError("the URL must be ws://host:port/path; wss is not measured")

    @property
    def host(self) -> str:
        """The host to connect to."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port to connect to; 80 when the URL has none."""
        return urlsplit(self.url).port or 80

    def target(self, room: int = 0) -> str:
        """The request target, with the room's number in place of `{}`."""
        parts = urlsplit(self.url)
        path = (parts.path or "/").replace("{}", str(room))
        return f"{path}?{parts.query}" if parts.query else path

    @property
    def stalled_share(self) -> float:
        """The share of members that never read: a tenth in mode `stalled`, unless told."""
        return self.stalled or (0.1 if self.mode == "stalled" else 0.0)
