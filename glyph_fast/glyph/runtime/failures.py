"""The place where a handler failed: exceptions of generated code, told in the Glyph source."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from types import TracebackType

from ...errors import GlyphFastError
from .values import Failure

TOO_DEEP = "too many calls inside each other, or a value nested too deeply"


class ProgramFailure(GlyphFastError):
    """A handler failed. `text` is what the failure says; the message begins with its place.

    The traceback holds the program's own lines and nothing of the runtime.
    """

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


def located(error: BaseException, sources: Collection[str]) -> ProgramFailure:
    """The failure an exception stands for; `sources` are the names of the program's files."""
    if isinstance(error, Failure):
        text = str(error)
    elif isinstance(error, RecursionError):
        text = TOO_DEEP
    else:
        text = f"internal error: {type(error).__name__}: {error}"
    frames = _own_frames(error.__traceback__, sources)
    message = text
    if frames:
        code = frames[-1].tb_frame.f_code
        line, column = _place(frames[-1])
        message = f"{code.co_filename}:{line}:{column}: {text}"
    failure = ProgramFailure(message, text)
    return failure.with_traceback(_chain(frames))


def _own_frames(trace: TracebackType | None, sources: Collection[str]) -> list[TracebackType]:
    frames = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in sources:
            frames.append(trace)
        trace = trace.tb_next
    return frames


def _place(trace: TracebackType) -> tuple[int, int]:
    """Line and column, from 1, of the instruction a frame stopped at."""
    positions = trace.tb_frame.f_code.co_positions()
    line, _, column, _ = next(islice(positions, trace.tb_lasti // 2, None))
    return line or trace.tb_lineno, (column or 0) + 1


def _chain(frames: list[TracebackType]) -> TracebackType | None:
    """A traceback of these frames only; of a recursion without end, the last ones."""
    chain: TracebackType | None = None
    for frame in reversed(frames[-_MOST_FRAMES:]):
        chain = TracebackType(chain, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return chain


_MOST_FRAMES = 20
