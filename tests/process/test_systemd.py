"""The two protocols of a service manager, by hand."""

from __future__ import annotations

import os
import socket

import pytest

from glyph_fast.errors import ConfigError
from glyph_fast.process import systemd
from glyph_fast.process.systemd import Notifier, activated_sockets


@pytest.fixture
def from_fd(monkeypatch):
    """Lets the passed descriptors begin elsewhere than at 3, which pytest needs."""
    monkeypatch.setattr(systemd, "FIRST_FD", 900)
    yield 900
    for fd in range(900, 904):
        try:
            os.close(fd)
        except OSError:
            pass


def variables(count: object, names: str = "", pid: object = None) -> dict[str, str]:
    found = {"LISTEN_PID": str(os.getpid() if pid is None else pid), "LISTEN_FDS": str(count)}
    return {**found, "LISTEN_FDNAMES": names, "HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "1"}, variables(1, pid=1), variables("x"), variables(""), variables("²")],
)
def test_what_is_not_for_this_process_is_left_alone(environ):
    assert activated_sockets(environ) == {}
    assert not {*environ} & {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}


def test_sockets_come_by_their_names(from_fd):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    for number, sock in enumerate(listeners, from_fd):
        os.dup2(sock.fileno(), number)
    found = activated_sockets(variables(3, "one:admin"))
    ports = {name: [sock.getsockname()[1] for sock in sockets] for name, sockets in found.items()}
    one, admin, other = (sock.getsockname()[1] for sock in listeners)
    assert ports == {"": [one, other], "admin": [admin]}
    for sock in (*listeners, *(sock for sockets in found.values() for sock in sockets)):
        assert not sock.get_inheritable()
        sock.close()


def test_what_does_not_listen_is_a_configuration_error(from_fd):
    with socket.socket() as sock:
        os.dup2(sock.fileno(), from_fd)
        with pytest.raises(ConfigError, match="is no stream socket that listens"):
            activated_sockets(variables(1))
    read, write = os.pipe()
    os.dup2(read, from_fd)
    os.close(read)
    os.close(write)
    with pytest.raises(ConfigError, match="descriptor 900 is no socket"):
        activated_sockets(variables(1))
    os.close(from_fd)
    with pytest.raises(ConfigError, match="descriptor 900 is no socket"):
        activated_sockets(variables(1))


@pytest.mark.parametrize("abstract", [False, True])
def test_states_are_datagrams(tmp_path, abstract):
    path = f"glyph-fast-test-{os.getpid()}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{path}" if abstract else path)
        manager.settimeout(10)
        notifier = Notifier({"NOTIFY_SOCKET": f"@{path}" if abstract else path})
        notifier.ready("serving")
        assert manager.recv(1000) == b"READY=1\nSTATUS=serving"
        notifier.stopping()
        assert manager.recv(1000) == b"STOPPING=1\nSTATUS=draining"
        notifier.handed_over(7)
        assert manager.recv(1000) == b"MAINPID=7\nREADY=1\nSTATUS=serving"
        notifier.stopping()  # of the service's former process: nobody's concern
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(1000)


def test_a_manager_that_is_gone_is_no_error(tmp_path):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("serving")
    Notifier({}).ready("serving")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000", "NOTIFY_SOCKET": "x"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "NOTIFY_SOCKET": "x", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "NOTIFY_SOCKET": "x", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "3000000"}, None),
        ({"WATCHDOG_USEC": "0", "NOTIFY_SOCKET": "x"}, None),
        ({"WATCHDOG_USEC": "soon", "NOTIFY_SOCKET": "x"}, None),
        ({"NOTIFY_SOCKET": "x"}, None),
    ],
)
def test_the_watchdog_s_interval_is_read(environ, seconds):
    assert Notifier(environ).watchdog_s == seconds
