"""A server in a process of its own: `-m tests.engine.echo_process ENGINE LOOP [SPARE]`.

Prints its port, echoes messages, and ends when its input does. With SPARE it can open so many files
more than it has. The message "fork" makes a child that does nothing but hold copies of all it had.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from typing import Any

from tests.backend import Backend
from tests.engine.peers import Recorder, serving


class Forking(Recorder):
    """Echoes, but forks at the word."""

    children: list[int] = []

    def on_message(self, conn: Any, payload: str | bytes) -> None:
        if payload == "fork":
            pid = os.fork()
            if pid == 0:
                signal.pause()  # only ever ended by its parent
            self.children.append(pid)
        conn.send(payload)


async def main(backend: Backend, spare: int | None) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    async with serving(backend, Forking()) as server:
        # A first connection has the loop open what it opens late.
        peer = await server.upgraded()
        await peer.close()
        await server.handler.until(lambda heard: heard.closes)
        if spare is not None:
            used = max(map(int, os.listdir("/proc/self/fd")))
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
        print(server.address[1], flush=True)
        await ended.wait()
    loop.remove_reader(sys.stdin)
    for pid in Forking.children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    chosen = Backend(os.environ["GLYPH_FAST_CORE"], sys.argv[1], sys.argv[2])
    with asyncio.Runner(loop_factory=chosen.new_event_loop) as runner:
        runner.run(main(chosen, int(sys.argv[3]) if len(sys.argv) > 3 else None))
