"""The options of a run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ..urls import WebSocketUrl, websocket_url

MODES = ("echo", "fan-out", "connect", "churn", "stalled")
MAX_SIZE = 64 * 1024 * 1024  # bytes of a message
MAX_IN_FLIGHT = 2048  # messages of a publisher that can be told apart
MAX_SOURCES = 32  # 127.0.0.1 to 127.0.0.32


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
    event: str = ""  # echo only: envelopes of this event, answered by their data
    rate: float = 0.0  # messages published per second, open loop; 0: as fast as answers come
    stalled: float = 0.0  # share of members that never read
    duration: float = 5.0  # at least this long …
    server_cpu: float = 0.0  # … and until the server has used this much CPU …
    max_duration: float = 60.0  # … but not longer than this
    warm_up: float = 0.5
    hold: float = 2.0  # connect: how long idle connections are watched
    browser_head: bool = False  # connect with a request head as long as a browser's
    compression: bool = False  # offer permessage-deflate, and fail when it is declined
    ca: str | None = None  # a file of authorities to trust, for wss
    insecure: bool = False  # trust any certificate, for wss
    pid: int | None = None  # of the server; found by itself when it is on this machine
    timeout: float = 10.0  # for an answer, before the run fails

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, expected one of {', '.join(MODES)}")
        for name in ("connections", "publishers", "rooms", "in_flight", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.size > MAX_SIZE:
            raise ValueError(f"size is {self.size}, expected at most {MAX_SIZE}")
        if self.in_flight > MAX_IN_FLIGHT and self.mode != "connect":
            raise ValueError(f"in_flight is {self.in_flight}, expected at most {MAX_IN_FLIGHT}")
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout is {self.timeout}, expected more than 0")
        for name in ("rate", "server_cpu", "warm_up", "hold", "duration", "max_duration"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.stalled < 1:
            raise ValueError(f"stalled is {self.stalled}, expected a share from 0 to below 1")
        if self.rooms > 1 and "{}" not in self.url:
            raise ValueError("several rooms need a URL with {} for the room's number")
        if self.rate and self.mode not in ("echo", "fan-out", "stalled"):
            raise ValueError(f"mode {self.mode} has no open loop: leave rate out")
        if self.event and (self.mode != "echo" or self.binary or self.json_messages):
            raise ValueError("event is for mode echo, without binary and json_messages")
        if self.ca is not None and self.insecure:
            raise ValueError("ca and insecure do not go together")
        is_secure = self.place.is_secure  # raises ValueError
        if (self.ca is not None or self.insecure) and not is_secure:
            raise ValueError("ca and insecure are for wss://")

    @cached_property
    def place(self) -> WebSocketUrl:
        """The URL, taken apart."""
        return websocket_url(self.url)

    @property
    def host(self) -> str:
        """The host to connect to."""
        return self.place.host

    @property
    def port(self) -> int:
        """The port to connect to."""
        return self.place.port

    def target(self, room: int = 0) -> str:
        """The request target, with the room's number in place of `{}` in its path."""
        path, mark, query = self.place.target.partition("?")
        return f"{path.replace('{}', str(room))}{mark}{query}"

    def to_dict(self) -> dict[str, Any]:
        """Everything that may be shown, ready for JSON: not the password of a URL."""
        return {**asdict(self), "url": self.place.text}

    @property
    def stalled_share(self) -> float:
        """The share of members that never read: a tenth in mode `stalled`, unless told."""
        return self.stalled or (0.1 if self.mode == "stalled" else 0.0)
