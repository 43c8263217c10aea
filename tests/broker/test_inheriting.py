"""What comes from the former process, and what becomes of rooms when it does not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from glyph_fast.broker.estate import pieces
from glyph_fast.broker.frames import Kind, frame, frame_of_json
from tests.estates import Clock, Pair, broker, filled, until

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_the_order_comes_once_it_is_whole_and_the_link_stays(run: Run, caplog: Any) -> None:
    async def main() -> None:
        caplog.set_level("INFO")
        pair = Pair()
        pair.inheriting.wait()
        *frames, last = pieces(filled())
        pair.send(*frames, frame(Kind.ASK, b"1"))
        await until(lambda: bool(pair.others))
        assert pair.came == 0
        pair.send(last, last, frame(Kind.TELL, b"2"))
        await pair.comes()
        await until(lambda: len(pair.others) == 2)
        assert len(pair.memory.histories) == 20
        assert "taken over rooms=20 messages=2000" in caplog.text
        pair.inheriting.close()
        await pair.former.close()
        assert pair.came == 1

    run(main())


def test_rooms_begin_anew_when_it_takes_too_long(run: Run, caplog: Any) -> None:
    async def main() -> None:
        pair = Pair()
        frames = list(pieces(filled()))
        pair.send(*frames[:4])
        await until(lambda: len(pair.memory.histories) > 0)
        pair.inheriting.wait(0.01)
        await pair.comes()
        whole = len(pair.memory.histories)
        assert 0 < whole < 20
        assert "not handed over: rooms that remember begin anew" in caplog.text
        assert f"came_whole={whole} expected=20" in caplog.text
        pair.send(*frames[4:], frame(Kind.ASK, b"1"))  # too late, but it may still ask
        await until(lambda: bool(pair.others))
        assert (len(pair.memory.histories), pair.came) == (whole, 1)
        pair.inheriting.close()
        await pair.former.close()

    run(main())


def test_rooms_that_came_whole_go_on_when_the_former_process_is_killed(
    run: Run, caplog: Any
) -> None:
    async def main() -> None:
        pair = Pair()
        former = filled()
        pair.send(*list(pieces(former))[:4])
        await pair.former.link.drain()
        pair.former.link.close()
        await pair.comes()
        found = list(pair.memory.histories)
        # The rooms that were used last come first.
        assert {each.name for each in found} == {f"kept:{n}" for n in range(20 - len(found), 20)}
        for each in found:
            theirs = former.histories.find(each.name)
            assert theirs is not None and theirs.position == each.position
            assert len(each.kept) == 100
        assert "the former process has ended" in caplog.text
        pair.inheriting.wait()  # it served only now: there is nothing to wait for
        assert pair.came == 1

    run(main())


def test_another_format_is_not_guessed_at(run: Run, caplog: Any) -> None:
    async def main() -> None:
        pair = Pair()
        pair.send(frame_of_json(Kind.HANDING, {"format": 99, "rooms": 1, "ids": 0}))
        await pair.comes()
        assert "it hands over in format 99" in caplog.text
        await until(lambda: not pair.former.link.is_open)

    run(main())


def test_nothing_is_said_of_rooms_where_there_are_none(run: Run, caplog: Any) -> None:
    async def main() -> None:
        caplog.set_level("INFO")
        pair = Pair()
        pair.send(*pieces(broker(Clock())))
        await pair.comes()
        assert caplog.text == ""
        pair.inheriting.close()
        await pair.former.close()
        assert pair.came == 1

    run(main())
