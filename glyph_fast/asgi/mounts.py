"""The applications of a server: which one a path goes to, and their run.

An application is asked once no route of the program matches, the longest prefix first. What the
server says by itself (`/healthz`, a preflight request of CORS) comes only where the application has
nothing there: after its 404 or 405.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import HandshakeError
from ..http.request import Request
from ..http.response import Response
from ..http.router import NO_PARAMS, Match, Router
from ..logs import qualified_name
from ..opening import mounting
from ..opening.exchange import Exchanges, HttpRoute
from ..opening.handshakes import Handshakes
from ..opening.pending import Exchange
from ..websocket.handshake import Upgrade
from .http import HttpCall
from .lifespan import Lifespan
from .scope import Scopes
from .websocket import WebSocketCall

if TYPE_CHECKING:
    from ..opening.answering import Answers

App = Callable[[dict[str, Any], Any, Any], Any]


class Mounted:
    """An application and where it is; `prefix` is empty for the whole server."""

    def __init__(self, prefix: str, app: App) -> None:
        if not prefix.startswith("/"):
            raise ValueError(f"a prefix is a path such as /app or /, not {prefix!r}")
        self.prefix = prefix.rstrip("/")
        self.app = app

    def covers(self, path: str) -> bool:
        """Return whether the path is the prefix or below it."""
        return not self.prefix or path == self.prefix or path.startswith(f"{self.prefix}/")

    @property
    def pattern(self) -> str:
        """Return where it is, as tables and logs have it."""
        return f"{self.prefix}/*"


class Mount(mounting.Mount):
    """One application in one run of the server: what its requests and WebSockets need of that."""

    def __init__(
        self,
        mounted: Mounted,
        scopes: Scopes,
        max_body: int | None,
        pace: Callable[[Any], object],
        default: Router[bool] | None,
    ) -> None:
        self.app = mounted.app
        self.prefix = mounted.prefix or "/"
        self.scopes = scopes
        self.pace = pace
        self._default = default
        route = HttpRoute(_nothing, mounted.app, max_body=max_body, may_wait=True, serve=self.serve)
        self.http = Match(route, mounted.pattern, NO_PARAMS)
        self.websocket: Match[Any] = Match(self, mounted.pattern, NO_PARAMS)

    def attach(self, exchanges: Exchanges, handshakes: Handshakes) -> None:
        """Serve by these."""
        self._exchanges = exchanges
        self._handshakes = handshakes
        self.answers: Answers = exchanges.answers
        self.instead = exchanges.instead
        self.answered = exchanges.answered

    # Requests.

    def serve(self, conn: Any, exchange: Exchange) -> None:
        """Answer a request."""
        call = HttpCall(self, conn, exchange)
        exchange.call = call
        if self._exchanges.run(conn, exchange, call.run()) and not exchange.is_answered:
            call.waits()

    def answer(self, conn: Any, exchange: Exchange, response: Response) -> None:
        """Answer in the place of the application."""
        self._exchanges.answer(conn, exchange, response)

    def failed(self, exc: BaseException, route: str) -> None:
        """The application raised."""
        self._exchanges.failed(self.app, exc, route or self.prefix)

    # WebSockets.

    def connect(self, conn: Any, request: Request, upgrade: Upgrade, identity: Any) -> None:
        """Let the application decide about a sound handshake."""
        call = WebSocketCall(self, conn, request, upgrade)
        if identity is not None:
            call.scope["state"]["identity"] = identity
        self._handshakes.wait_for(conn, request, call)
        self._exchanges.run_beside(conn, call.run())

    def accept(
        self,
        call: WebSocketCall,
        conn: Any,
        request: Request,
        upgrade: Upgrade,
        subprotocol: str | None,
        fields: Sequence[tuple[str, str]],
    ) -> bool:
        """The application accepts; False where it is too late. ValueError for unsound fields."""
        conn.route_pattern = self.websocket.pattern
        return self._handshakes.take_in(conn, request, upgrade, call, subprotocol, fields)

    def refused(self, conn: Any, request: Request) -> None:
        """The application does not accept."""
        default = self._default.match(None, request.raw_path) if self._default else None
        self._handshakes.refused(conn, request, default)

    def gave_up(self, conn: Any, request: Request, exc: HandshakeError) -> None:
        """The application failed before it had decided."""
        self._handshakes.failed(conn, request, exc)

    def answered_upgrade(self, conn: Any, request: Request, status: int) -> None:
        """The application has answered by HTTP."""
        self._handshakes.answered(conn, request, status)


class Mounts:
    """The applications of one run. `state` is what each finds in the state of its lifespan.

    `max_body` bounds their requests' bodies; None: nothing does. `authenticate` judges their
    WebSockets, by option. `pace(conn)` pauses or resumes reading by what waits. A WebSocket that an
    application does not take goes to `default`, where that has such a route.
    """

    def __init__(
        self,
        mounted: Sequence[Mounted],
        *,
        root_path: str,
        state: dict[str, Any],
        max_body: int | None,
        authenticate: Callable[[Request], Any] | None,
        pace: Callable[[Any], object],
        default: Router[bool] | None = None,
    ) -> None:
        self.authenticate = authenticate
        self._scopes: list[Scopes] = []
        self._mounts: list[tuple[str, str, Mount]] = []
        self._lifespans: list[Lifespan] = []
        for each in mounted:
            own = dict(state)
            scopes = Scopes(root_path, each.prefix, own)
            self._scopes.append(scopes)
            mount = Mount(each, scopes, max_body, pace, default)
            self._mounts.append((each.prefix, f"{each.prefix}/", mount))
            self._lifespans.append(Lifespan(each.app, own, qualified_name(each.app)))
        self._mounts.sort(key=lambda each: -len(each[0]))

    def attach(self, exchanges: Exchanges, handshakes: Handshakes) -> None:
        """Serve by these."""
        for _, _, mount in self._mounts:
            mount.attach(exchanges, handshakes)

    def find(self, path: str) -> Mount | None:
        """The application of a path, as sent; None where there is none."""
        for prefix, below, mount in self._mounts:
            if not prefix or path == prefix or path.startswith(below):
                return mount
        return None

    def listens(self, host: str, port: int | None) -> None:
        """Note where the server listens; without a port, at a Unix socket."""
        for each in self._scopes:
            each.server = host, port

    async def startup(self) -> None:
        """Start the applications in order. GlyphFastError for one that cannot; then none runs."""
        for each in self._lifespans:
            try:
                await each.startup()
            except BaseException:
                await self.shutdown()
                raise

    async def shutdown(self) -> None:
        """Tell the applications that started, the last one first."""
        for each in reversed(self._lifespans):
            await each.shutdown()


def _nothing(request: Request) -> None:
    """Never called: a mount serves in a way of its own."""


__all__ = ["App", "Mount", "Mounted", "Mounts"]
