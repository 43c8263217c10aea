"""What runs for requests, and what becomes of it when the client goes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from glyph_fast.opening.pending import Exchange
from glyph_fast.opening.running import Running
from glyph_fast.wire import CLOSED, OPENING


def exchange(**members):
    request = SimpleNamespace(_has_body=False, method="GET")
    made = Exchange(request, 0.0)
    for name, value in members.items():
        setattr(made, name, value)
    return made


class Conn:
    """As much of a connection as runs need."""

    def __init__(self):
        self._phase, self.holds, self.was_lost = OPENING, 0, False
        self._turn = SimpleNamespace(current=None)

    def _hold(self):
        self.holds += 1

    def _lost(self):
        self.was_lost = True

    def abort(self):
        self._phase = CLOSED


class Call:
    """What answers by itself."""

    def __init__(self):
        self.was_lost = False

    def lost(self):
        self.was_lost = True


async def waits(event=None):
    await (event or asyncio.Event()).wait()


def running(grace=0.01):
    return Running(grace, is_reading=lambda conn: False)


def test_what_does_not_wait_holds_nothing(run):
    async def main():
        conn, runs = Conn(), running()

        async def quick():
            return None

        assert runs.run(conn, exchange(), quick()) is None
        assert conn.holds == 0 and conn not in runs

    run(main())


def test_a_handler_is_cancelled_after_the_grace_when_its_client_goes(run):
    async def main():
        conn, runs = Conn(), running()
        task = runs.go_on(conn, exchange(), waits())
        assert conn.holds == 1 and conn in runs
        runs.forget(conn)
        await asyncio.wait({task})
        assert task.cancelled() and conn not in runs

    run(main())


def test_what_answers_by_itself_is_told_and_goes_on(run):
    async def main():
        conn, runs, call, event = Conn(), running(), Call(), asyncio.Event()
        task = runs.run(conn, exchange(call=call), waits(event))
        runs.forget(conn)
        assert call.was_lost
        await asyncio.sleep(0.05)
        assert not task.done()
        event.set()
        await task
        await runs.finish(1)

    run(main())


def test_a_client_that_ends_its_side_is_given_up_after_the_grace(run):
    async def main():
        conn, runs = Conn(), running()
        made = exchange(call=Call())
        task = runs.run(conn, made, waits())
        runs.ended(conn)
        while not conn.was_lost:
            await asyncio.sleep(0.005)
        runs.let_go(conn, made)
        assert conn not in runs and not task.done()
        await runs.finish(0)
        assert task.cancelled()

    run(main())


def test_one_that_was_answered_holds_up_nothing(run):
    async def main():
        conn, runs = Conn(), running()
        runs.run(conn, exchange(call=Call(), is_answered=True), waits())
        assert conn.holds == 0 and conn not in runs
        await runs.finish(0)

    run(main())


def test_a_defect_of_ours_leaves_no_connection_held(run, caplog):
    async def main():
        conn, runs = Conn(), running()

        async def broken():
            await asyncio.sleep(0)
            raise LookupError("ours")

        await runs.go_on(conn, exchange(), broken())
        assert conn._phase == CLOSED and "internal error" in caplog.text

    run(main())


def test_what_runs_beside_is_waited_for(run):
    async def main():
        conn, runs, event = Conn(), running(), asyncio.Event()
        runs.run_beside(conn, waits(event))
        assert conn.holds == 1
        asyncio.get_running_loop().call_later(0.01, event.set)
        await runs.finish(5)
        assert event.is_set()

    run(main())
