"""The lifespan of an application: told of the startup and of the shutdown, once each (ASGI 2.0)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..errors import GlyphFastError
from ..handlers.outcome import is_cancelled, is_failure
from ..logs import SERVER, log

RETURN_GRACE_S = 1.0  # to return once all is said, and again once it is cancelled


class Lifespan:
    """One application's. `state` is what it may fill for its requests.

    An application that does not know lifespans raises, and is served without.
    """

    def __init__(self, app: Any, state: dict[str, Any], name: str) -> None:
        self._app = app
        self._state = state
        self._name = name
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answer: asyncio.Future[str | None] | None = None  # why it failed; None: it did not
        self._task: asyncio.Task[None] | None = None
        self._is_up = False

    async def startup(self) -> None:
        """Return once the application has started. Raises GlyphFastError when it says it cannot."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        problem = await self._ask("lifespan.startup")
        if problem is not None:
            await self._ended()
            raise GlyphFastError(f"{self._name} did not start: {problem or 'it says no more'}")

    async def shutdown(self) -> None:
        """Tell it, and return once it is done. What goes wrong is logged."""
        if not self._is_up:
            return
        problem = await self._ask("lifespan.shutdown")
        if problem is not None:
            log(SERVER, logging.ERROR, "an application failed to shut down", application=self._name,
                reason=problem)  # fmt: skip
        await self._ended()

    async def _ask(self, event: str) -> str | None:
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._events.put_nowait({"type": event})
        return await answer

    async def _ended(self) -> None:
        """It has said all it has to: it returns soon, or is cancelled."""
        assert self._task is not None
        await asyncio.wait({self._task}, timeout=RETURN_GRACE_S)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=RETURN_GRACE_S)

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._events.get, self._send)
        except BaseException as exc:
            if not is_failure(exc, self._task) or is_cancelled(exc):
                raise
            if isinstance(exc, SystemExit) and not self._is_up:  # the program's own decision
                raise
            if self._is_up:
                log(SERVER, logging.ERROR, "the lifespan of an application failed", exc_info=exc,
                    application=self._name)  # fmt: skip
            elif self._is_waited_for:
                log(SERVER, logging.INFO, "an application has no lifespan",
                    application=self._name, reason=repr(exc))  # fmt: skip
        finally:  # of one that has said why it failed, that is known
            self._is_up = False
            self._say(None)

    @property
    def _is_waited_for(self) -> bool:
        return self._answer is not None and not self._answer.done()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._is_up = True
            self._say(None)
        elif kind == "lifespan.shutdown.complete":
            self._say(None)
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self._say(str(message.get("message", "")))
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r} in a lifespan")

    def _say(self, problem: str | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(problem)


__all__ = ["Lifespan"]
