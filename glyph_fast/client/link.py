"""One WebSocket that is opened again whenever it is lost, unless its end is final.

docs/clients.md has the states and what leads from one to the next. A socket counts as open once
something came from it, or after a second: one that is refused opens first, too.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from ..logs import visible
from .clock import now
from .tasks import LOGGER, Tasks
from .types import State, Token, Why

# Seconds.
FIRST_DELAY = 0.5
LAST_DELAY = 20.0
OPEN_WITHIN = 10.0
CONFIRM_WITHIN = 1.0
STABLE_AFTER = 5.0  # an end that comes sooner does not shorten the pauses
SILENCE = 20.0
ANSWER_WITHIN = 10.0

LOST = 1006
EXPIRED = 4401
SLOW_CONSUMER = 4008  # the server's, not the program's as the rest of 4000–4399
NOT_NOW = 4503  # too many connections, or on its way down
_FINAL = {1000, 1002, 1003, 1007, 1008, 1009, 4403}


def is_final(code: int) -> bool:
    """Return whether nobody should come back after an end with this code."""
    if code in (SLOW_CONSUMER, NOT_NOW):
        return False
    return code in _FINAL or 3500 <= code <= 4399 or code >= 4500


class Owner(Protocol):
    """The owner of a link, who is told."""

    def _up(self) -> None:
        """There is a socket."""
        ...

    def _heard(self, payload: str | bytes) -> None:
        """A message came."""
        ...

    def _down(self) -> None:
        """There is no socket any more."""
        ...

    def _changed(self) -> None:
        """The state is another."""
        ...

    def _failed(self, error: Exception) -> None:
        """Something of the program's: its token, an address or a token that cannot be sent."""
        ...

    def _ping(self) -> None:
        """Have the server say something."""
        ...


class AnySocket(Protocol):
    """The part of a `websocket.Socket` that is needed."""

    gone: asyncio.Future[None]

    @property
    def unsent(self) -> int: ...
    def send(self, message: str | bytes) -> bool: ...
    def ping(self) -> None: ...
    def close(self) -> None: ...
    def drop(self) -> None: ...
    def abort(self) -> None: ...


Dial: TypeAlias = Callable[[str | None, "Listener"], Awaitable[object]]


class Link:
    """The states of a connection."""

    def __init__(self, dial: Dial, token: Token, owner: Owner, tasks: Tasks) -> None:
        self.state: State = "connecting"
        self.why = Why(0, "", 0.0)
        self.token: str | None = None
        self.attempt = 0  # counts sockets and pauses: what was meant for an earlier one ends
        self._dial = dial
        self._source = token
        self._owner = owner
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._socket: AnySocket | None = None
        self._opening: asyncio.Task[None] | None = None
        self._leaving: set[AnySocket] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._tries = 0
        self._opened_at = self._heard_at = 0.0
        self._is_answered = False  # something came since the latest probe
        self._was_denied = False

    @property
    def can_renew(self) -> bool:
        """Return whether there is somebody to ask for another token."""
        return callable(self._source)

    def send(self, message: str | bytes) -> bool:
        """Send now, if there is a socket that takes it."""
        return self._socket is not None and self._socket.send(message)

    @property
    def unsent(self) -> int:
        """Bytes that the network has not taken."""
        return 0 if self._socket is None else self._socket.unsent

    def connect(self) -> None:
        """Open a socket."""
        attempt = self._begin()
        self._become("connecting")
        if attempt == self.attempt:  # whoever was told has not ended it
            self._opening = self._tasks.start(self._open(attempt))

    def retry(self) -> None:
        """Do not wait for the next attempt."""
        if self.state == "waiting":
            self._tries = 0
            self.connect()

    def finish(self, code: int, reason: str) -> None:
        """End it for good."""
        if self.state != "closed":
            self._drop(is_polite=True)
            self._become("closed", code, reason)

    async def leave(self, timeout: float) -> None:
        """Wait until the sockets are closed; after `timeout` seconds they are cut."""
        sockets = list(self._leaving)
        if sockets and timeout > 0:
            await asyncio.wait([each.gone for each in sockets], timeout=timeout)
        for each in sockets:
            each.abort()
        if sockets:
            await asyncio.wait([each.gone for each in sockets])

    async def renew(self) -> str | None:
        """Ask for the token again."""
        source = self._source
        found = source() if callable(source) else source
        self.token = (await found if inspect.isawaitable(found) else found) or None
        return self.token

    async def _open(self, attempt: int) -> None:
        error: Exception
        try:
            if not self.token:
                await self.renew()
            if attempt == self.attempt:
                self._after(OPEN_WITHIN, lambda: self._lost(LOST, "no answer"))
                await self._dial(self.token, Listener(self, attempt))
            return
        except OSError as exc:
            error = exc  # of the network, which may pass
        except Exception as exc:
            error = exc
            if attempt == self.attempt:
                self._owner._failed(exc)
        if attempt == self.attempt:
            self._opening = None
            self._lost(LOST, str(error) or type(error).__name__)

    # Of the socket, by its `Listener`.

    def made(self, socket: AnySocket) -> None:
        """There is a transport; the server is being asked."""
        self._socket = socket

    def opened(self) -> None:
        """The server has agreed."""
        self._opening = None
        self._after(CONFIRM_WITHIN, self._confirm)
        self._owner._up()
        self._owner._ping()

    def alive(self) -> None:
        """Bytes came."""
        self._heard_at = now()
        self._is_answered = True

    def heard(self, payload: str | bytes) -> None:
        """A message came."""
        attempt = self.attempt
        if self.state != "open":
            self._confirm()
        if attempt == self.attempt:
            self._owner._heard(payload)

    def ended(self, code: int, reason: str) -> None:
        """The socket has ended."""
        self._lost(code, reason)

    def _confirm(self) -> None:
        self._was_denied = False
        self._opened_at = self._heard_at = now()
        self._watch()
        self._become("open")

    def _watch(self) -> None:
        """Look again when the silence would be long enough."""
        self._after(max(0.0, self._heard_at + SILENCE - now()), self._look)

    def _look(self) -> None:
        if now() - self._heard_at < SILENCE:
            self._watch()
        else:
            self._probe()

    def _probe(self) -> None:
        """Find out whether the other side is still there."""
        assert self._socket is not None
        self._is_answered = False
        self._socket.ping()
        asked = now()
        self._after(ANSWER_WITHIN, lambda: self._judge(asked))

    def _judge(self, asked: float) -> None:
        if self._is_answered:
            self._watch()
        elif now() - asked > 2 * ANSWER_WITHIN:
            self._probe()  # so late that we have slept: what came meanwhile is still to be heard
        else:
            self._lost(LOST, "no answer")

    def _lost(self, code: int, reason: str) -> None:
        is_stable = self.state == "open" and now() - self._opened_at > STABLE_AFTER
        is_expired = code == EXPIRED
        if is_final(code) or (is_expired and (self._was_denied or not self.can_renew)):
            LOGGER.warning("closed for good: %s", _told(code, reason))
            self.finish(code, reason)
            return
        self._drop()
        if is_stable:
            self._tries = 0
        if is_expired:
            self._was_denied = True
            self.token = None
        delay = random.random() * min(LAST_DELAY, FIRST_DELAY * 2.0 ** min(self._tries, 16))
        # The first failure in a row is worth a line that a program shows by default.
        level = logging.INFO if self._tries else logging.WARNING
        self._tries += 1
        LOGGER.log(level, "lost: %s; again in %.1f s", _told(code, reason), delay)
        self._after(delay, self.connect)
        self._become("waiting", code, reason, time.time() + delay)

    def _begin(self) -> int:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        self.attempt += 1
        return self.attempt

    def _drop(self, *, is_polite: bool = False) -> None:
        self._begin()
        socket, self._socket = self._socket, None
        if socket is not None:
            self._leaving.add(socket)
            socket.gone.add_done_callback(lambda _: self._leaving.discard(socket))
            if is_polite:
                socket.close()
            else:
                socket.drop()
        self._owner._down()

    def _become(
        self, state: State, code: int | None = None, reason: str | None = None, at: float = 0.0
    ) -> None:
        is_new = state != self.state
        self.state = state
        self.why = Why(
            self.why.code if code is None else code,
            self.why.reason if reason is None else reason,
            at,
        )
        if is_new:
            self._owner._changed()

    def _after(self, delay: float, action: Callable[[], Any]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, action)


def _told(code: int, reason: str) -> str:
    """An end for a line of the log, in which the server's reason commands no terminal."""
    return f"{code} {visible(reason)}".rstrip()


class Listener:
    """Hears a socket for its link, until that has another."""

    def __init__(self, link: Link, attempt: int) -> None:
        self._link = link
        self._attempt = attempt

    @property
    def _is_current(self) -> bool:
        return self._attempt == self._link.attempt

    def made(self, socket: AnySocket) -> None:
        """See `websocket.Owner`."""
        if self._is_current:
            self._link.made(socket)
        else:
            socket.abort()

    def opened(self) -> None:
        """See `websocket.Owner`."""
        if self._is_current:
            self._link.opened()

    def alive(self) -> None:
        """See `websocket.Owner`."""
        if self._is_current:
            self._link.alive()

    def heard(self, payload: str | bytes) -> None:
        """See `websocket.Owner`."""
        if self._is_current:
            self._link.heard(payload)

    def ended(self, code: int, reason: str) -> None:
        """See `websocket.Owner`."""
        if self._is_current:
            self._link.ended(code, reason)
