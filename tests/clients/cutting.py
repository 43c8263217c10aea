"""A proxy that cuts connections: after so many bytes, in the middle of whatever they were.

with Cutter(server.port, seed=7) as cutter:
    ... ws://127.0.0.1:{cutter.port} ...
    cutter.calm()
"""

from __future__ import annotations

import asyncio
import random
import threading
from types import TracebackType
from typing import Self


class Cutter:
    """Runs in a thread of its own. `mean` bytes pass, in both directions together, until a cut.

    With `blocks_websockets`, whoever asks for one is cut off at once. `spared` bytes pass first.
    """

    def __init__(
        self,
        port: int,
        *,
        seed: int,
        mean: int = 10_000,
        spared: int = 0,
        blocks_websockets: bool = False,
    ) -> None:
        self._blocks_websockets = blocks_websockets
        self._spared = spared
        self._target = port
        self._random = random.Random(seed)
        self._mean = mean
        self._is_calm = False
        self._is_closed = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.cuts = 0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._run(self._listen())
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def calm(self) -> None:
        """From now on cut nothing."""
        self._is_calm = True

    def refuse(self) -> None:
        """Cut every connection, and every new one at once, until `admit`."""
        self._is_closed = True
        self._loop.call_soon_threadsafe(self._abort_all)

    def admit(self) -> None:
        """Let connections through again."""
        self._is_closed = False

    def _run(self, coro: object) -> int:
        return asyncio.run_coroutine_threadsafe(coro, self._loop).result(20)  # type: ignore[arg-type]

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> int:
        self._server.close()
        self._abort_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        return 0

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_closed:
            writer.transport.abort()
            return
        first = await reader.read(4096) if self._blocks_websockets else b""
        if b"websocket" in first.lower():
            writer.transport.abort()
            return
        try:
            onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        onward[1].write(first)
        left = [self._spared + int(self._random.expovariate(1 / self._mean)) + 1]
        both = (writer, onward[1])
        self._writers.update(both)
        try:
            await asyncio.gather(
                self._pump(reader, onward[1], left, both), self._pump(onward[0], writer, left, both)
            )
        except OSError:
            pass
        finally:
            self._writers.difference_update(both)
            for each in both:
                each.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        left: list[int],
        both: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        while data := await reader.read(4096):
            if self._random.random() < 0.1:
                await asyncio.sleep(self._random.random() / 50)
            part = data if self._is_calm else data[: left[0]]
            left[0] -= len(part)
            writer.write(part)
            if left[0] <= 0 and not self._is_calm:
                self.cuts += 1
                await asyncio.sleep(0.001)  # so that what was passed on arrives
                for each in both:
                    each.transport.abort()
                return
        writer.write_eof()
