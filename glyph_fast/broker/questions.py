"""Questions of one process to another over a link, and their answers: a number, and a pickle.

Main makes no objects but those of this package out of what a worker sends (`own_classes`), since it
runs no code of the program.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import struct
from typing import Any

from ..errors import BrokerUnavailable
from .frames import HEAD, Kind, frame
from .link import Link

_NUMBER = struct.Struct("<I")
_BODY = HEAD.size + _NUMBER.size
_PACKAGE = __name__.partition(".")[0]
GONE = "the main process is gone"


class _OwnClasses(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != _PACKAGE and (module, name) != ("builtins", "frozenset"):
            raise pickle.UnpicklingError(f"{module}.{name} is not for the main process")
        return super().find_class(module, name)


def own_classes(data: bytes) -> Any:
    """Unpickle what is of this package. Raises pickle.UnpicklingError."""
    return _OwnClasses(io.BytesIO(data)).load()


class Questions:
    """The open questions over one link. For the loop's thread alone."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._number = 0

    def number(self) -> tuple[int, asyncio.Future[Any]]:
        """A number for a question, and the future of its answer."""
        self._number = self._number % (2**32 - 1) + 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[self._number] = future
        if not self._link.is_open:
            self.end()
        return self._number, future

    async def ask(self, call: str, *args: Any) -> Any:
        """The answer to a question. Raises BrokerUnavailable when there will be none."""
        number, future = self.number()
        question = pickle.dumps((call, args), protocol=5)
        self._link.send_always(frame(Kind.ASK, _NUMBER.pack(number), question))
        return await future

    def order(self, call: str, *args: Any) -> None:
        """Ask for something of which nobody awaits the end: it is on its way on return."""
        question = pickle.dumps((call, args), protocol=5)
        self._link.send_always(frame(Kind.ASK, _NUMBER.pack(0), question))
        self._link.flush()

    def heard(self, answer: bytes) -> None:
        """Take an `ANSWER`."""
        (number,) = _NUMBER.unpack_from(answer, HEAD.size)
        future = self._open.pop(number, None)
        if future is None or future.done():
            return
        is_done, value = own_classes(answer[_BODY:])
        if is_done:
            future.set_result(value)
        else:
            future.set_exception(BrokerUnavailable(value))

    def end(self) -> None:
        """Nobody answers any more."""
        for future in self._open.values():
            if not future.done():
                future.set_exception(BrokerUnavailable(GONE))
        self._open.clear()


def read_question(question: bytes) -> tuple[int, str, tuple[Any, ...]]:
    """The number, the call and the arguments of an `ASK`. Raises pickle.UnpicklingError."""
    (number,) = _NUMBER.unpack_from(question, HEAD.size)
    call, args = own_classes(question[_BODY:])
    return number, call, args


def answer(number: int, value: Any) -> bytes:
    """The frame of an answer."""
    return frame(Kind.ANSWER, _NUMBER.pack(number), pickle.dumps((True, value), protocol=5))


def refusal(number: int, why: str) -> bytes:
    """The frame of an answer that says why there is none."""
    return frame(Kind.ANSWER, _NUMBER.pack(number), pickle.dumps((False, why), protocol=5))
