"""One run of a server: what its program has registered, put together, and served until it ends.

A `Lifecycle` serves any site. This says which: the public one of the program, with its hooks, its
authentication and its broker, and with the operators' port beside it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..auth import ready_authentication
from ..logs import SERVER, AccessLog, enable_loggers, log
from ..opening.site import Site
from ..process.process import ADMIN, MAIN, Process
from ..process.worker import WorkerProcess
from . import current
from .background import CLUSTER
from .lifecycle import TOKEN_ALONE, Hook, Lifecycle

if TYPE_CHECKING:
    from ..asgi.mounts import Mounts
    from ..auth.ready import TokenAuthentication
    from ..http.request import Request
    from .joining import Joining
    from .operating import Operating
    from .server import Server

Announce = Callable[[str], object]


class Run:
    """One run of a server, as a process of its own, as a worker, or within another program."""

    def __init__(
        self,
        server: Server,
        process: Process | WorkerProcess | None,
        *,
        started: Hook = bool,
        is_hosted: bool = False,
        **memory: Any,
    ) -> None:
        self._server = server
        self._process = process
        self._joining = self._join()
        self._ready = self._authentication()
        self._mounts: Mounts | None = server._mounts(server._ready)
        site = self._site(is_hosted)
        self._attach_centrifuge()
        self.lifecycle = Lifecycle(
            server.config,
            server.hub,
            server._dispatcher,
            site,
            background=server._background,
            leads=not isinstance(process, WorkerProcess),
            is_alone=server.config.broker is None,
            on_startup=self._on_startup(started),
            on_shutdown=self._on_shutdown(),
            inherited=process.inherited if process is not None else None,
            **memory,
        )
        if self._joining is not None and any(each.on == CLUSTER for each in server._background):
            self._joining.seek_lease(self.lifecycle.lead_cluster)
        if process is not None:
            process.add(MAIN, self.lifecycle)

    async def serve(self, announce: Announce) -> None:
        """Serve until the lifecycle is stopped; `announce` gets a line for each place."""
        current.begin(self._server)
        try:
            await self._serve(announce)
        finally:
            current.end(self._server)

    async def close(self) -> None:
        """Leave the other nodes."""
        if self._joining is not None:
            await self._joining.close()

    # The parts.

    def _join(self) -> Joining | None:
        """Have the hub publish by the broker; in a worker, the main process does."""
        config = self._server.config
        if config.broker is None or isinstance(self._process, WorkerProcess):
            return None
        from .joining import Joining  # for those who share a broker with others

        return Joining(self._server.hub, config.broker, config.broker_prefix)

    def _authentication(self) -> TokenAuthentication | None:
        """Make the authentication of the options ready; None where they ask for none."""
        server = self._server
        own = server._authenticators
        own.check([each.pattern for each in server.routes()])
        ready = ready_authentication(
            server.config, server._dispatcher, is_other=bool(own.general or own.by_route)
        )
        server._ready = None if ready is None else ready.authenticate
        return ready

    def _site(self, is_hosted: bool) -> Site:
        server, hub, dispatcher = self._server, self._server.hub, self._server._dispatcher
        own, ready = server._authenticators, self._ready
        return Site(
            routes=server._http,
            websockets=server._websockets,
            statics=server._statics,
            cors=server._cors,
            authenticate=own.general if ready is None else ready.authenticate,
            authenticators=own.by_route | dict.fromkeys(server._late_authenticated(), _nobody),
            subprotocols=None if ready is None else ready.subprotocols,
            opened=dispatcher.opened if ready is None else ready.opened,
            count_connections=hub._count,
            count_user=hub.get_user_connection_count,
            check_user=hub._check_user,
            metrics=hub.metrics,
            errors=dispatcher.errors,
            access=AccessLog(),
            observer=server._observer,
            mounts=self._mounts,
            guest_opened=hub._open_guest,
            events=server._events,
            whole=server._whole,
            is_hosted=is_hosted,
            page=server._page(),
            doors=server._doors,
        )

    def _attach_centrifuge(self) -> None:
        server, own = self._server, self._server._authenticators
        if server._centrifuge is not None:
            general = own.by_route.get(server._centrifuge_path, own.general)
            server._centrifuge.attach(authenticate=general, ready=self._ready, whole=server._whole)

    def _on_startup(self, started: Hook) -> list[Hook]:
        return [
            enable_loggers,  # the program may configure logging before it serves …
            *([] if self._joining is None else [self._joining.start]),
            *([] if self._ready is None else [self._ready.start]),
            *self._server._on_startup,
            *([] if self._mounts is None else [self._mounts.startup]),
            enable_loggers,  # … or in one of its hooks
            started,
        ]

    def _on_shutdown(self) -> list[Hook]:
        return [
            *([] if self._mounts is None else [self._mounts.shutdown]),
            *self._server._on_shutdown,
            *([] if self._ready is None else [self._ready.stop]),
        ]

    # Serving.

    async def _serve(self, announce: Announce) -> None:
        """Serve with the operators' port, which is there before the rest and after it."""
        operating = self._operating()
        if operating is not None:
            await operating.start()
        try:
            await self.lifecycle.run(self._announcing(announce, operating))
        finally:
            if operating is not None:
                await operating.stop()

    def _announcing(self, announce: Announce, operating: Operating | None) -> Callable[..., None]:
        """Return what is called once clients can connect, with the lines that say where."""
        lifecycle, process = self.lifecycle, self._process

        def serving(line: str, *more: str) -> None:
            if operating is not None:
                operating.port.status = lambda: "draining" if lifecycle.is_draining else "ok"
            if not lifecycle.was_announced:
                announce(line)
            if operating is not None and not operating.lifecycle.was_announced:
                announce(operating.line)
            for each in () if lifecycle.was_announced else more:
                announce(each)
            if process is not None:
                process.serving(self._server._source_files())

        return serving

    def _operating(self) -> Operating | None:
        """The operators' port, where there is one; in a worker it is the main process's."""
        server, process = self._server, self._process
        if isinstance(process, WorkerProcess):
            return None
        if server.config.admin is None:
            if server.config.admin_token is not None:  # perhaps set for `glyph-fast top` alone
                log(SERVER, logging.WARNING, TOKEN_ALONE)
            return None
        # Not for those who do without: they import a good deal.
        from ..admin.operated import OneProcess
        from ..admin.port import OperatorsPort
        from .operating import Operating

        operated = OneProcess(
            server.hub, server._dispatcher.errors, lambda: self.lifecycle.loop_lag
        )
        port = OperatorsPort(server.config, operated)
        port.broker = lambda: server.hub._rooms._broker.state
        operating = Operating(port, process.inherited if process is not None else None)
        if process is not None:
            process.add(ADMIN, operating.lifecycle)
        return operating


def _nobody(request: Request) -> None:
    """Stand in for the authenticator of clients who say who they are by a later message."""
