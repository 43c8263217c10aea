"""Real processes: one told to restart hands its sockets to the next, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_now

from glyph_fast.process import process
from glyph_fast.process.handover import HandoverError
from tests.engine.certificates import make_certificate
from tests.manager import Manager
from tests.serving import STOP_S, serving
from tests.succession import (
    Service,
    first_of_a_container,
    get,
    options_of,
    program,
    succession,
)

WITHIN_S = 20.0


@pytest.fixture
def app(tmp_path):
    """The folder of a program whose version can be changed."""
    (tmp_path / "app.py").write_text(program(1))
    return tmp_path


class Visitors:
    """Clients that come and go without a pause; each must be answered or told 1012."""

    def __init__(self, open_one, count: int = 6) -> None:
        self.outcomes: Counter[str] = Counter()
        self._open = open_one
        self._is_over = False
        self._tasks = [asyncio.create_task(self._visit()) for _ in range(count)]

    async def _visit(self) -> None:
        while not self._is_over:
            try:
                async with self._open() as client:
                    await client.send("hello")
                    assert await client.recv() == "hello"
                    self.outcomes["answered"] += 1
            except ConnectionClosed as exc:
                self.outcomes[f"closed with {exc.rcvd and exc.rcvd.code}"] += 1
            except Exception as exc:
                self.outcomes[f"lost: {exc!r}"] += 1

    async def many(self, more: int = 30) -> None:
        """Return when so many more have been answered."""
        goal = self.outcomes["answered"] + more
        while self.outcomes["answered"] < goal:
            await asyncio.sleep(0.005)

    async def end(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)
        assert not {*self.outcomes} - {"answered", "closed with 1012"}, self.outcomes


def test_clients_who_keep_connecting_notice_nothing_of_a_restart(backend, run, app):
    async def main():
        with succession("app:server", *options_of(backend), cwd=app) as service:
            async with connect(service.ws("/ws")) as staying:
                visitors = Visitors(lambda: connect(service.ws("/ws")))
                await visitors.many()
                for version in (2, 3):
                    first = await asyncio.to_thread(get, service)
                    (app / "app.py").write_text(program(version) + "#" * version)
                    await asyncio.to_thread(service.restart)
                    await visitors.many()
                    answer = await asyncio.to_thread(get, service)
                    assert answer == {"version": version, "pid": service.pid}
                    assert answer["pid"] != first["pid"]
                with pytest.raises(ConnectionClosed):
                    await staying.recv()
                assert (staying.close_code, staying.close_reason) == (1012, "server is restarting")
                await visitors.end()
            assert await asyncio.to_thread(service.process.wait, STOP_S) == 0

    run(main(), deadline=60)


def test_a_unix_socket_stays_where_it_is(backend, run, app, tmp_path):
    path = str(tmp_path / "s")

    async def main():
        with succession("app:server", "--uds", path, *options_of(backend), cwd=app) as service:
            inode = os.stat(path).st_ino
            visitors = Visitors(lambda: unix_connect(path, "ws://localhost/ws"))
            await visitors.many()
            await asyncio.to_thread(service.restart)
            assert await asyncio.to_thread(service.process.wait, STOP_S) == 0
            await visitors.many()
            await visitors.end()
            assert os.stat(path).st_ino == inode
        assert not os.path.exists(path)  # the last one removes it

    run(main(), deadline=60)


def test_the_operators_port_goes_along(app):
    with succession("app:server", "--admin", "127.0.0.1:0", cwd=app) as service:
        admin = service.said()
        assert get(service, "/readyz", admin) == {"status": "ok"}
        service.restart()
        assert service.process.wait(STOP_S) == 0
        assert get(service, "/readyz", admin) == {"status": "ok"}
        assert get(service)["pid"] == service.pid


def test_tls_goes_along(run, app, tmp_path):
    files = make_certificate(tmp_path, "localhost")
    tls = ["--tls-cert", files.cert, "--tls-key", files.key]

    async def main():
        trusting = ssl.create_default_context(cafile=files.cert)
        with succession("app:server", *tls, cwd=app) as service:
            visitors = Visitors(lambda: connect(service.ws("/ws"), ssl=trusting))
            await visitors.many()
            await asyncio.to_thread(service.restart)
            await visitors.many()
            await visitors.end()

    run(main(), deadline=60)


def test_a_new_process_that_fails_leaves_the_old_one_serving(run, app):
    async def main():
        with succession("app:server", cwd=app) as service:
            async with connect(service.ws("/ws")) as client:
                (app / "app.py").write_text(program(2).replace("def echo(", "def echo oops("))
                service.process.send_signal(signal.SIGHUP)
                line = await asyncio.to_thread(
                    service.logged, "no new process serves; this one goes on .*"
                )
                assert 'reason="it ended with status 1"' in line[0]
                assert "SyntaxError" in service.log()
                await client.send("still here")
                assert await client.recv() == "still here"
                (app / "app.py").write_text(program(2))  # repaired, it works
                await asyncio.to_thread(service.restart)
                with pytest.raises(ConnectionClosed):
                    await client.recv()
                assert client.close_code == 1012
            assert (await asyncio.to_thread(get, service))["version"] == 2

    run(main(), deadline=60)


def test_a_request_accepted_before_is_answered_by_the_old_process(backend, app):
    with succession("app:server", *options_of(backend), cwd=app) as service:
        old = service.pid
        with socket.create_connection(("127.0.0.1", service.port)) as early:
            early.settimeout(WITHIN_S)
            early.sendall(b"GET /vers")  # the rest of the head comes after the handover
            assert get(service)["pid"] == old  # so the early one is accepted as well
            service.restart()
            early.sendall(b"ion HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b"".join(iter(lambda: early.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200") and b"Connection: close" in answer
        assert f'"pid":{old}'.encode() in answer.replace(b" ", b"")


def fewest_descriptors(pid: int) -> int:
    """How many a process has open when the connections to whoever asked it are closed."""
    counts = []
    for _ in range(20):
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.01)
    return min(counts)


def test_one_restart_after_the_other_leaves_no_descriptor_behind(backend, app):
    with succession("app:server", *options_of(backend), cwd=app) as service:
        counts = []
        for _ in range(4):
            service.restart()
            assert get(service)["pid"] == service.pid
            counts.append(fewest_descriptors(service.pid))
        assert max(counts) - min(counts) <= 1, counts  # a leak would add up


def test_another_address_in_the_file_is_listened_on(app):
    (app / "glyph-fast.toml").write_text("host = '127.0.0.1'\n")
    with succession("app:server", cwd=app) as service:
        (app / "glyph-fast.toml").write_text("host = '127.0.0.2'\n")
        service.restart()
        assert get(service, url=service.said())["pid"] == service.pid
        assert service.process.wait(STOP_S) == 0
        with pytest.raises(OSError):
            get(service)


def test_termination_while_a_new_process_starts_ends_both(app):
    (app / "app.py").write_text("import os, time\n" + program(1) + (
        "\nif os.path.exists('slow'):\n    open('started', 'w').close()\n    time.sleep(60)\n"
    ))  # fmt: skip
    with succession("app:server", cwd=app) as service:
        (app / "slow").touch()
        service.process.send_signal(signal.SIGHUP)
        service.logged("starting a new process")
        while not (app / "started").exists():
            assert service.process.poll() is None
        service.process.send_signal(signal.SIGHUP)
        service.logged("no new process: one is being started")
        assert service.stop() == 0


@pytest.mark.parametrize("options", [[], ["--reload"]])
def test_a_terminal_that_closes_ends_the_server(app, options):
    """SIGHUP in its first meaning: whoever started it has gone."""
    master, slave = pty.openpty()
    with succession("app:server", *options, cwd=app, prefix=[
        sys.executable, "-c",
        "import os, sys; os.dup2(int(sys.argv[1]), 0); os.execvp(sys.argv[2], sys.argv[2:])",
        str(slave),
    ], fds=[slave]) as service:  # fmt: skip
        os.close(slave)
        os.close(master)
        service.process.send_signal(signal.SIGHUP)
        service.logged("stopped")
        assert service.process.wait(STOP_S) == 0


def test_nohup_is_respected(app):
    with succession("app:server", cwd=app, prefix=["nohup"]) as service:
        service.process.send_signal(signal.SIGHUP)
        assert get(service)["pid"] == service.pid
        assert "starting" not in service.log()


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path)
    yield made
    made.close()


def test_a_service_manager_hears_of_every_change(app, manager):
    env = {"NOTIFY_SOCKET": manager.path}
    with succession("app:server", cwd=app, env=env) as service:
        assert manager.heard() == {"READY": "1", "STATUS": "serving"}
        service.restart()
        reloading = manager.heard()
        assert (reloading["RELOADING"], reloading["MONOTONIC_USEC"].isdigit()) == ("1", True)
        assert manager.heard() == {
            "MAINPID": str(service.pid), "READY": "1", "STATUS": "serving"
        }  # fmt: skip
        (app / "app.py").write_text("1 / 0")
        os.kill(service.pid, signal.SIGHUP)
        assert manager.heard()["RELOADING"] == "1"
        assert manager.heard() == {
            "READY": "1",
            "STATUS": "serving; the last reload failed: it ended with status 1",
        }
        assert service.end() == 0
        assert manager.heard() == {"STOPPING": "1", "STATUS": "draining"}
        service.pid = service.process.pid


def test_the_watchdog_is_fed_by_each_process_in_turn(app, manager):
    env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "20000"}
    with succession("app:server", cwd=app, env=env) as service:
        assert manager.heard()["READY"] == "1"
        assert manager.heard(but="") == {"WATCHDOG": "1"}
        service.restart()
        assert service.process.wait(STOP_S) == 0
        for _ in range(100):  # more than waited in the socket
            assert manager.heard(but="")


ACTIVATE = """
import fcntl, os, sys
names, fds, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
kept = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in fds]
for number, fd in enumerate(kept, 3):
    os.dup2(fd, number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


def activating(names: str, *fds: int) -> dict[str, list]:
    """Options of a process that finds these descriptors as a service manager passes them."""
    prefix = [sys.executable, "-c", ACTIVATE, names, ",".join(map(str, fds))]
    return {"prefix": prefix, "fds": list(fds)}


def test_sockets_of_a_service_manager_are_used_and_passed_on(backend, run, app):
    async def main():
        with (
            socket.create_server(("127.0.0.1", 0)) as web,
            socket.create_server(("127.0.0.1", 0)) as admin,
        ):
            port = web.getsockname()[1]
            sockets = activating("web:admin", web.fileno(), admin.fileno())
            options = ["--admin", "127.0.0.1:1", *options_of(backend)]
            with succession("app:server", *options, cwd=app, **sockets) as service:
                assert service.url == f"http://127.0.0.1:{port}"
                admin_url = service.said()
                assert admin_url == f"http://127.0.0.1:{admin.getsockname()[1]}"
                assert get(service, "/readyz", admin_url) == {"status": "ok"}
                visitors = Visitors(lambda: connect(service.ws("/ws")))
                await visitors.many()
                await asyncio.to_thread(service.restart)
                await visitors.many()
                await visitors.end()
                assert (await asyncio.to_thread(get, service))["pid"] == service.pid

    run(main(), deadline=60)


def test_a_unix_socket_of_a_service_manager_is_not_removed(app, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        with succession("app:server", cwd=app, **activating("", sock.fileno())) as service:
            assert service.url == f"unix:{path}"
        assert os.path.exists(path)


def test_a_descriptor_that_does_not_listen_is_one_clear_line(app):
    script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3</dev/null'
    command = [sys.executable, "-m", "glyph_fast", "serve", "app:server"]
    done = subprocess.run(
        ["sh", "-c", script, "sh", *command], cwd=app, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "LISTEN_FDS: descriptor 3 is no socket" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_real_socket_activation_of_systemd(app):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"

    class Knocking(Service):
        """It is started by the first client, here the one that waits for its first line."""

        def _first_line(self) -> str:
            for _ in range(1000):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.01)
            return super()._first_line()

    service = Knocking("app:server", cwd=app, prefix=["systemd-socket-activate", "-l", address])
    try:
        assert service.url == f"http://{address}"
        assert get(service)["pid"] == service.pid
        assert service.end() == 0
    finally:
        service.release()


class TestByItself:
    """What would take long, or another kind of process, to see from outside."""

    def test_a_process_that_never_serves_is_given_up(self, run, monkeypatch):
        monkeypatch.setattr(process, "START_TIMEOUT_S", 0.3)
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        monkeypatch.setattr(process, "own_command", lambda: sleeper)

        async def main():
            with pytest.raises(HandoverError, match="it did not serve within 0.3 s"):
                await process.Process()._start()

        run(main())  # which finds no descriptor left open; the sleeper has been waited for

    def test_the_first_process_of_a_container_stays(self, run, monkeypatch, caplog):
        async def main():
            made = process.Process()
            monkeypatch.setattr(process.os, "getpid", lambda: 1)
            made.restart()

        run(main())
        assert "the first process of a container cannot be replaced" in caplog.text

    def test_in_another_thread_signals_are_left_alone(self, run):
        before = signal.getsignal(signal.SIGHUP)

        async def main():
            def other() -> None:
                with made.signals():
                    assert signal.getsignal(signal.SIGHUP) is before

            made = process.Process()
            await asyncio.to_thread(other)
            with made.signals():
                assert signal.getsignal(signal.SIGHUP) is not before
            assert signal.getsignal(signal.SIGHUP) is before

        run(main())


def test_large_messages_find_the_memory_of_those_before(backend, app):
    """Else glibc asks the kernel for it again and again: hundreds of page faults a message."""
    text = "x" * 2**20
    with contextlib.ExitStack() as stack:
        options = ("--max-message-size=2MiB", *options_of(backend))
        server = stack.enter_context(serving("app:server", *options, cwd=app))
        clients = [
            stack.enter_context(connect_now(server.ws("/ws"), compression=None, max_size=None))
            for _ in range(8)
        ]

        def echo() -> None:
            for client in clients:
                client.send(text)
            for client in clients:
                assert client.recv() == text

        for _ in range(10):
            echo()
        before = minor_faults(server.process.pid)
        for _ in range(30):
            echo()
        assert (minor_faults(server.process.pid) - before) / (30 * len(clients)) < 50


def minor_faults(pid: int) -> int:
    """Page faults of a process that needed no disk."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


# --- the first process of a container


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def signal_the_first(started: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the process that `unshare` has forked."""
    pid = started.pid
    os.kill(int(Path(f"/proc/{pid}/task/{pid}/children").read_text()), number)


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "workers"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_first_process_of_a_container(app, number, options):
    with first_of_a_container(app, program(1), *options) as started:
        try:
            line = started.stdout.readline().decode()
            port = int(line.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), WITHIN_S) as client:
                client.sendall(UPGRADE)
                received = b""
                while b"\r\n\r\n" not in received:
                    received += client.recv(4096)
                signal_the_first(started, number)
                assert client.recv(4096)[0] == 0x88  # a close frame, which is not answered
                signal_the_first(started, number)
                assert client.recv(4096) == b""
            assert started.wait(STOP_S) == 128 + number
        finally:
            started.kill()


def test_the_first_process_of_a_container_can_be_ended_while_it_loads(app):
    loading = "import time\nprint('loading', flush=True)\ntime.sleep(60)\n"
    with first_of_a_container(app, loading) as started:
        try:
            assert started.stdout.readline() == b"loading\n"
            signal_the_first(started, signal.SIGTERM)
            assert started.wait(STOP_S) == 128 + signal.SIGTERM
        finally:
            started.kill()


def test_where_the_kernel_ignores_a_signal_the_status_tells_it(monkeypatch):
    """As above, on systems without namespaces."""
    statuses: list[int] = []
    former = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(process.signal, "raise_signal", lambda number: None)
    monkeypatch.setattr(process.os, "_exit", statuses.append)
    try:
        process.end_at_once(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert statuses == [143]
