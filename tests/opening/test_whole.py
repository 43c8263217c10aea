"""What main gives to workers of what is limited for all. Over processes: workers/test_limits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast import Config
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.opening.admission import Refusal
from glyph_fast.opening.whole import Shares, Whole, block_of
from glyph_fast.wire import CLOSED, OPENING


class Conn:
    def __init__(self, phase: int = OPENING) -> None:
        self._phase = phase


class Crew:
    """Workers that ask main at once."""

    def __init__(self, config: Config, workers: int) -> None:
        self.shares = Shares(config, clock=lambda: 100.0)
        self.answers = self.shares.answers()
        self.workers = [self._worker(config, workers, f"w{n}") for n in range(workers)]
        self.used = [0] * workers

    def _worker(self, config: Config, workers: int, link: str) -> Whole:
        async def ask(call: str, *args: Any) -> Any:
            await asyncio.sleep(0)
            return self.answers[call](link, *args)

        made = Whole(config, workers, ask, lambda call, *args: self.answers[call](link, *args))
        number = int(link[1:])
        made.used = lambda: self.used[number]
        return made

    async def open(self, number: int, remote: str | None = None, user: object = None) -> Any:
        conn, whole = Conn(), self.workers[number]
        self.used[number] += 1
        try:
            await whole.admit(conn, remote)
            checked = whole.checked(conn, user)
            if checked is not user:
                await checked
        except Refusal:
            self.used[number] -= 1
            whole.release(conn)
            raise
        return conn

    def close(self, number: int, conn: Any) -> None:
        self.used[number] -= 1
        self.workers[number].release(conn)


def test_a_block_leaves_something_for_each_worker() -> None:
    assert [block_of(10_000, 4), block_of(100, 8), block_of(3, 2)] == [64, 1, 1]


def test_lent_connections_come_back_when_they_are_not_used() -> None:
    async def main() -> None:
        crew = Crew(Config(max_connections=1024), 2)
        conns = [await crew.open(0) for _ in range(1000)]
        assert 1000 <= crew.workers[0].lent <= 1064
        for conn in conns:
            crew.close(0, conn)
            assert crew.workers[0].lent - crew.used[0] <= 64
        others = [await crew.open(1) for _ in range(1024 - 64)]
        assert len(others) == 960

    asyncio.run(main())


def test_many_that_ask_at_once_get_what_there_is_and_no_more() -> None:
    async def main() -> None:
        crew = Crew(Config(max_connections=5), 2)
        asked = await asyncio.gather(*(crew.open(n % 2) for n in range(20)), return_exceptions=True)
        opened = [each for each in asked if isinstance(each, Conn)]
        refused = [each for each in asked if isinstance(each, Refusal)]
        assert len(opened) == 5 and len(refused) == 15
        assert {each.metric for each in refused} == {"full"}

    asyncio.run(main())


def test_nobody_is_refused_for_others_who_wait_for_main() -> None:
    async def main() -> None:
        crew = Crew(Config(max_connections=10_000), 2)
        opened = await asyncio.gather(*(crew.open(n % 2) for n in range(1000)))
        assert len(opened) == 1000
        assert all(whole.waiting == 0 for whole in crew.workers)
        assert all(whole.lent <= 500 + 64 for whole in crew.workers)

    asyncio.run(main())


def test_a_worker_that_is_gone_gives_back_all() -> None:
    async def main() -> None:
        crew = Crew(Config(max_connections=4, max_connections_per_ip=2), 2)
        for _ in range(2):
            await crew.open(0, "10.0.0.1")
        with pytest.raises(Refusal):
            await crew.open(1, "10.0.0.1")
        crew.shares.gone("w0")
        crew.shares.release("w0", [("address", "10.0.0.1")])  # comes late, and counts for nothing
        for _ in range(2):
            await crew.open(1, "10.0.0.1")
        with pytest.raises(Refusal):
            await crew.open(1, "10.0.0.1")

    asyncio.run(main())


def test_who_goes_while_main_is_asked_takes_nothing_along() -> None:
    async def main() -> None:
        crew = Crew(Config(max_connections_per_ip=1), 1)
        task = asyncio.create_task(crew.open(0, "10.0.0.1"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
        crew.used[0] = 0
        whole = crew.workers[0]
        gone: Any = Conn(CLOSED)
        await whole.admit(gone, "10.0.0.1")
        await crew.open(0, "10.0.0.1")
        assert crew.shares._counts == {("address", "10.0.0.1"): 1}

    asyncio.run(main())


def test_users_known_by_an_object_are_not_counted_in_main() -> None:
    async def main() -> None:
        crew = Crew(Config(max_connections_per_user=1), 1)
        for _ in range(2):
            await crew.open(0, user=object())
        await crew.open(0, user="ada")
        with pytest.raises(Refusal, match="of this user"):
            await crew.open(0, user={"sub": "ada"})

    asyncio.run(main())


def test_without_main_nobody_is_let_in() -> None:
    async def ask(*args: Any) -> Any:
        raise BrokerUnavailable("gone")

    async def main() -> None:
        whole = Whole(Config(), 1, ask, lambda *args: None)
        whole.used = lambda: 1
        with pytest.raises(Refusal) as refused:
            await whole.admit(Conn(), "10.0.0.1")
        assert (refused.value.metric, refused.value.status) == ("draining", 503)

    asyncio.run(main())
