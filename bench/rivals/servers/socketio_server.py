"""python-socketio over several processes, which reach each other through a Redis of their own.

    socketio_server.py WORKERS REDIS-SERVER

The processes share one listening socket (port PORT), each with uvicorn on uvloop. The port is
printed once every process listens to Redis. One process alone has no Redis. `?silent` is no member.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs

ROOM = "bench"
DEADLINE_S = 60.0


def serve(number: int, fd: int, ready: int, url: str) -> None:
    """Run one process of them."""
    import socketio
    import uvicorn

    manager = socketio.AsyncRedisManager(url) if url else None
    server = socketio.AsyncServer(
        async_mode="asgi", client_manager=manager, transports=["websocket"],
        http_compression=False, ping_interval=600,
    )  # fmt: skip

    @server.event
    async def connect(sid: str, environ: dict[str, str]) -> None:
        if "silent" not in parse_qs(environ["QUERY_STRING"], keep_blank_values=True):
            await server.enter_room(sid, ROOM)
        await server.emit("worker", number, to=sid)

    @server.event
    async def say(sid: str, text: str) -> None:
        await server.emit("say", text, room=ROOM)

    async def main() -> None:
        config = uvicorn.Config(
            socketio.ASGIApp(server), fd=fd, loop="uvloop", http="httptools",
            ws="websockets-sansio", ws_per_message_deflate=False, log_level="warning",
        )  # fmt: skip
        running = uvicorn.Server(config)
        serving = asyncio.ensure_future(running.serve())
        if manager is not None:
            manager.set_server(server)
            server.manager_initialized = True
            manager.initialize()
            await asyncio.sleep(1.0)  # it tells nobody when it has subscribed
        while not running.started:
            await asyncio.sleep(0.02)
        os.write(ready, b"+")
        await serving

    import uvloop

    uvloop.run(main())


def main() -> None:
    """Start Redis and the processes, and end when told to."""
    count, redis = int(sys.argv[1]), sys.argv[2]
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", int(os.environ["PORT"])))
    sock.listen(4096)
    begun: list[subprocess.Popen[bytes]] = []

    def end(*_: object) -> None:
        for each in begun:
            each.kill()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory() as folder:
        url = ""
        if count > 1:
            path = Path(folder) / "redis.sock"
            command = [redis, "--port", "0", "--unixsocket", str(path), "--save", ""]
            begun.append(subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL))
            while not path.exists():
                time.sleep(0.02)
            url = f"unix://{path}"
        read, write = os.pipe()
        for number in range(1, count + 1):
            inherited = (sock.fileno(), write)
            command = [sys.executable, __file__, "--serve", str(number), *map(str, inherited), url]
            begun.append(subprocess.Popen(command, pass_fds=inherited))
        for _ in range(count):
            assert os.read(read, 1) == b"+"
        print(os.environ["PORT"], flush=True)
        signal.pause()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        main()
