"""Channels over the processes of one server.

A channel that a worker made for itself, and its place in groups, lies in that worker. All others,
which any process may read, lie in main. What is for a group goes to main and all workers, which
know their members of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from .channels import Channels, Sent
from .link import Link
from .questions import Questions, answer

ASKED = "channels"  # the name of the question, both ways
AskOthers = Callable[..., Awaitable[list[Any]]]


def maker_of(channel: str) -> str | None:
    """Return the mark of the process that made a channel; None: it is everybody's."""
    made, mark, _ = channel.partition("!")
    return made if mark else None


class WorkerChannels:
    """The channels of the whole server, as a worker reaches them."""

    __slots__ = ("_here", "_numbers", "_own", "_questions", "_tasks")

    def __init__(self, here: Channels, questions: Questions) -> None:
        self._here = here
        self._questions = questions
        self._own: set[str] = set()  # what stands before the mark
        self._numbers = count(1)  # of waits
        self._tasks: set[asyncio.Task[Any]] = set()

    def own(self, channel: str) -> None:
        """A channel was made in this process."""
        made = maker_of(channel)
        if made is not None:
            self._own.add(made)

    async def do(self, call: str, *args: Any) -> Any:
        """See `Channels.do`; wherever the channel is."""
        if call == "receive":
            return await self._receive(*args)
        if call in ("group_send", "flush"):
            here = self._here.do_now(call, *args)
            there = await self._questions.ask(ASKED, call, args)
            return here if there is None else _sum([here, there])
        if self._is_here(_channel(call, args)):
            return self._here.do_now(call, *args)
        return await self._questions.ask(ASKED, call, args)

    def answer(self, call: str, args: tuple[Any, ...]) -> Any:
        """Answer what main asks; None of a channel that is not this process's."""
        if call in ("group_send", "flush") or self._is_here(_channel(call, args)):
            return self._here.do_now(call, *args)
        return None

    def _is_here(self, channel: str) -> bool:
        return maker_of(channel) in self._own

    async def _receive(self, channel: str, expiry: float) -> Any:
        if self._is_here(channel):
            return await self._here.receive(channel, expiry)
        if maker_of(channel) is not None:
            raise ValueError(f"{channel} is read by the process that made it")
        number = next(self._numbers)
        asking = asyncio.ensure_future(
            self._questions.ask(ASKED, "receive", (channel, expiry, number))
        )
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            self._questions.order(ASKED, "stop", (number,))
            task = asyncio.ensure_future(self._put_back(asking, channel, expiry))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            raise

    async def _put_back(self, asking: asyncio.Future[Any], channel: str, expiry: float) -> None:
        """Return what was on its way when nobody waited for it any more."""
        message = await asking
        if message is not None:
            self._questions.order(ASKED, "put_back", (channel, message, expiry))


class MainChannels:
    """The channels as main has them, and what it does with what workers ask."""

    def __init__(self, ask_others: AskOthers) -> None:
        self._here = Channels()
        self._ask_others = ask_others
        self._waits: dict[tuple[Link, int], asyncio.Task[Any]] = {}

    async def do(self, call: str, *args: Any) -> Any:
        """See `Channels.do`; wherever the channel is. For who asks main and is no worker."""
        if call == "receive":
            return await self._here.receive(*args)
        return await self._answer(None, call, args)

    async def ask(self, link: Link, number: int, call: str, args: tuple[Any, ...]) -> None:
        """Answer a worker."""
        link.send_always(answer(number, await self._answer(link, call, args)))

    def gone(self, link: Link) -> None:
        """A worker waits for nothing any more."""
        for key in [each for each in self._waits if each[0] is link]:
            self._waits[key].cancel()

    async def _answer(self, link: Link | None, call: str, args: tuple[Any, ...]) -> Any:
        if call == "receive" and link is not None:
            return await self._receive(link, *args)
        if call == "stop":
            if link is not None and (wait := self._waits.get((link, *args))) is not None:
                wait.cancel()
            return None
        if call in ("group_send", "flush"):
            others = await self._ask_others(link, ASKED, call, args)
            return _sum([self._here.do_now(call, *args), *others])
        if maker_of(_channel(call, args)) is not None:
            for each in await self._ask_others(link, ASKED, call, args):
                if each is not None:
                    return each
        return self._here.do_now(call, *args)

    async def _receive(self, link: Link, channel: str, expiry: float, number: int) -> Any:
        """A message, or None for a wait that was ended."""
        wait = asyncio.ensure_future(self._here.receive(channel, expiry))
        self._waits[link, number] = wait
        try:
            await asyncio.wait((wait,))
        finally:
            del self._waits[link, number]
        return None if wait.cancelled() else wait.result()


def _channel(call: str, args: tuple[Any, ...]) -> str:
    channel: str = args[1] if call.startswith("group_") else args[0]
    return channel


def _sum(results: list[Any]) -> Sent | None:
    sent = [each for each in results if each is not None]
    return Sent(sum(s.full for s in sent), sum(s.channels for s in sent)) if sent else None


__all__ = ["ASKED", "MainChannels", "WorkerChannels", "maker_of"]
