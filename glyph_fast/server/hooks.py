"""Functions of a program that run at the start of its server, at its end, and beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, overload

from ..handlers.shapes import BackgroundF, HookF
from ..handlers.signature import check_coroutine_function, check_takes_nothing
from .background import CLUSTER, SERVER, WORKER, Wanted
from .lifecycle import Hook


class Hooks:
    """The part of an `Application` that registers hooks and background tasks."""

    def __init__(self) -> None:
        self._on_startup: list[Hook] = []
        self._on_shutdown: list[Hook] = []
        self._background: list[Wanted] = []

    @overload
    def on_startup(self, hook: HookF) -> HookF: ...
    @overload
    def on_startup(self) -> Callable[[HookF], HookF]: ...
    def on_startup(self, hook: Any = None) -> Any:
        """Call `hook()` before connections are accepted; what it raises ends the start."""
        return _register(self._on_startup, hook)

    @overload
    def on_shutdown(self, hook: HookF) -> HookF: ...
    @overload
    def on_shutdown(self) -> Callable[[HookF], HookF]: ...
    def on_shutdown(self, hook: Any = None) -> Any:
        """Call `hook()` once every connection is closed and every handler has ended."""
        return _register(self._on_shutdown, hook)

    @overload
    def background(self, coro_fn: BackgroundF, *, on: str = SERVER) -> BackgroundF: ...
    @overload
    def background(self, *, on: str = SERVER) -> Callable[[BackgroundF], BackgroundF]: ...
    def background(self, coro_fn: Any = None, *, on: str = SERVER) -> Any:
        """Run `coro_fn()` while the server serves.

        When it raises, it is started again after a while; when it returns, that is its end. It is
        cancelled when the server drains. In a server with several workers one runs it, and
        another takes over when that one dies; with `on="worker"` each does. `on="cluster"`, once on
        all machines of a broker, needs a broker: ConfigError when the server starts without. Raises
        TypeError for one that is no `async def`, and ValueError for another `on`.
        """
        if on not in (SERVER, WORKER, CLUSTER):
            raise ValueError(f"on: expected {SERVER}, {WORKER} or {CLUSTER}, found {on!r}")
        if coro_fn is None:
            return partial(self.background, on=on)
        if callable(coro_fn):
            check_coroutine_function(coro_fn, "a background task")
        hooks: list[Any] = []
        _register(hooks, coro_fn)
        self._background += [Wanted(each, on) for each in hooks]
        return coro_fn


def _register(hooks: list[Any], hook: Any) -> Any:
    if hook is None:
        return partial(_register, hooks)
    if not callable(hook):  # `on_startup(connect())` instead of `on_startup(connect)`
        raise TypeError(f"expected a function to be called later, not {hook!r}")
    check_takes_nothing(hook)
    hooks.append(hook)
    return hook
