"""Questions that a process passes on to its successor, and the answers back."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from ..errors import BrokerUnavailable
from .frames import HEAD
from .link import Link
from .questions import Questions, answer, refusal

# What a process does to its own rooms while it ends is not for its successor: programs delete rooms
# when their last member leaves, or in `on_shutdown`, and all members leave the process that ends.
NOT_TOLD = frozenset({"delete_room"})
NOT_ASKED = frozenset({"forget", "forget_all"})

TOO_MUCH = "too much waits for the process that follows"

_NUMBER = struct.Struct("<I")
_BODY = HEAD.size + _NUMBER.size


class Onward:
    """Passes on over `link`, with numbers of its own. For the loop's thread alone."""

    def __init__(self, link: Link, questions: Questions) -> None:
        self._link = link
        self._questions = questions

    def ask(self, asker: Link, frame: bytes, number: int) -> None:
        """Pass on an `ORDER` or `ASK`; its answer goes to `asker`, if it is wanted (`number`)."""
        if not self._link.has_room:
            if number:
                asker.send_always(refusal(number, TOO_MUCH))
            return
        if number:
            own, future = self._questions.number()
            frame = b"".join((frame[: HEAD.size], _NUMBER.pack(own), frame[_BODY:]))
            future.add_done_callback(lambda future: _give_back(asker, number, future))
        self._link.send_always(frame)

    def pass_on(self, frame: bytes) -> None:
        """Pass on what wants no answer, and may be lost."""
        self._link.send(frame)


def _give_back(asker: Link, number: int, future: asyncio.Future[Any]) -> None:
    try:
        asker.send_always(answer(number, future.result()))
    except BrokerUnavailable as exc:
        asker.send_always(refusal(number, str(exc)))
    except asyncio.CancelledError:
        pass
