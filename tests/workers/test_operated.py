"""Workers with TLS, and under a service manager."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.certificates import make_certificate
from tests.manager import Manager
from tests.serving import serving
from tests.succession import program, succession
from tests.workers.clients import APP, children_of, clients_of_each, eventually


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(program(1))
    return tmp_path


def test_every_worker_speaks_tls_also_one_that_comes_later(tmp_path: Path) -> None:
    files = make_certificate(tmp_path, "localhost")
    tls = ssl.create_default_context(cafile=files.cert)
    tls.check_hostname = False
    options = "--workers", "2", "--tls-cert", str(files.cert), "--tls-key", str(files.key)
    with serving("program:server", *options, cwd=APP) as server:
        url = server.ws("/ws")
        assert url.startswith("wss://")
        for _ in range(2):
            with clients_of_each(url, 2, tls=tls) as ((here,), (there,)):
                here.join("blue")
                there.join("blue")
                here.ask({"event": "say", "room": "blue", "data": "hello"})
                assert here.next() == there.next() == "hello"
            before = server.log().count("a worker serves again")
            os.kill(there.pid, signal.SIGKILL)
            eventually(lambda n=before: server.log().count("a worker serves again") > n)


def test_a_service_manager_hears_of_the_main_process_alone(app: Path, manager: Manager) -> None:
    env = {"NOTIFY_SOCKET": manager.path}
    with succession("app:server", "--workers", "2", cwd=app, env=env) as service:
        assert manager.heard() == {"READY": "1", "STATUS": "serving"}
        service.restart()
        assert manager.heard()["RELOADING"] == "1"
        assert manager.heard() == {
            "MAINPID": str(service.pid), "READY": "1", "STATUS": "serving"
        }  # fmt: skip
        (app / "app.py").write_text("1 / 0")
        os.kill(service.pid, signal.SIGHUP)
        assert manager.heard()["RELOADING"] == "1"
        assert manager.heard()["STATUS"].startswith("serving; the last reload failed")
        assert service.end() == 0
        assert manager.heard() == {"STOPPING": "1", "STATUS": "draining"}
        assert manager.is_quiet()
        service.pid = service.process.pid


def test_the_watchdog_is_fed_while_a_worker_hangs(app: Path, manager: Manager) -> None:
    env = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "20000"}
    with succession("app:server", "--workers", "2", cwd=app, env=env) as service:
        assert manager.heard()["READY"] == "1"
        stopped = children_of(service.pid)[0]
        os.kill(stopped, signal.SIGSTOP)
        try:
            for _ in range(100):  # more than waited in the socket
                assert manager.heard(but="") == {"WATCHDOG": "1"}
        finally:
            os.kill(stopped, signal.SIGCONT)
