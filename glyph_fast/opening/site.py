"""Everything that is served on a port, as the opening of connections needs to know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..http.request import Request
from ..http.response import Response
from ..http.router import Router
from ..hub.metrics import Metrics
from ..logs import AccessLog, ErrorLog

if TYPE_CHECKING:
    from ..http.static import StaticFiles
    from .events import EventStreams
    from .exchange import HttpRoute
    from .mounting import GuestClosed, Mounts, OwnDoor
    from .observer import Observer
    from .whole import Whole

Authenticate = Callable[[Request], Any]


class Site(NamedTuple):
    """Routes, who may come in, and who is told.

    The target of a WebSocket route says whether it hides methods, as `HttpRoute` has it. `cors` are
    fields for every HTTP answer in place of those that the allowed origins lead to, `subprotocols`
    are offered instead of the options'. `opened(conn, expires_at)` is told of each WebSocket, whose
    attributes are set by then, and when its credentials end, in seconds since the epoch, or None;
    `count_connections()` says how many there are, `count_user(identity)` how many of one user, and
    `authenticators` go in the place of `authenticate`, by the pattern of the route.
    `check_user(identity)` raises HandshakeError for one who is not let in.
    `mounts` are applications that are asked where no route matches; `guest_opened(conn, closed)` is
    told of their WebSockets. `events` are streams, where there are any. `whole` has the limits of a
    server of several workers. `is_hosted` says that another server has the port: the sinks of the
    connections know by which scheme clients came. `page` answers GET for `/` where nothing else
    does. `doors` are targets of WebSocket routes that open these themselves.
    """

    routes: Router[HttpRoute]
    websockets: Router[bool]
    opened: Callable[[Any, float | None], object]
    count_connections: Callable[[], int]
    count_user: Callable[[Any], int]
    metrics: Metrics
    errors: ErrorLog
    access: AccessLog
    statics: Sequence[StaticFiles] = ()
    cors: Mapping[str, str] | None = None
    authenticate: Authenticate | None = None
    authenticators: Mapping[str, Authenticate] = MappingProxyType({})
    check_user: Callable[[Any], object] | None = None
    subprotocols: Sequence[str] | None = None
    observer: Observer | None = None
    mounts: Mounts | None = None
    guest_opened: Callable[[Any, GuestClosed], object] | None = None
    events: EventStreams | None = None
    whole: Whole | None = None
    is_hosted: bool = False
    page: Callable[[Request], Response] | None = None
    doors: Sequence[OwnDoor] = ()


__all__ = ["Authenticate", "Site"]
