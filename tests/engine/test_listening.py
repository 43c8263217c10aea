"""Sockets that listen: addresses, ports, and files that are left or taken."""

from __future__ import annotations

import errno
import os
import socket
import stat

import pytest

from glyph_fast.engine import listening
from glyph_fast.engine.listening import bind_tcp, bind_unix, spread


@pytest.fixture
def bound():
    """Closes what a test binds."""
    opened = []

    def keep(listening):
        opened.append(listening)
        return listening

    yield keep
    for each in opened:
        each.close()


def connects(address, family=socket.AF_INET) -> bool:
    with socket.socket(family) as sock:
        sock.settimeout(10)
        return sock.connect_ex(address) == 0


def test_port_0_is_a_free_port(bound):
    one, other = bound(bind_tcp("127.0.0.1", 0)), bound(bind_tcp("127.0.0.1", 0))
    assert 0 < one.port != other.port > 0


def test_nobody_connects_before_it_starts(bound):
    here = bound(bind_tcp("127.0.0.1", 0))
    assert not connects(("127.0.0.1", here.port))
    here.start()
    assert connects(("127.0.0.1", here.port))
    here.close()
    assert not connects(("127.0.0.1", here.port))


def test_a_taken_port_is_an_error(bound):
    taken = bound(bind_tcp("127.0.0.1", 0))
    taken.start()
    with pytest.raises(OSError) as caught:
        bind_tcp("127.0.0.1", taken.port)
    assert caught.value.errno == errno.EADDRINUSE


def addresses(monkeypatch, *found):
    """Let every name have these addresses."""

    def getaddrinfo(host, port, **_):
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in found]

    monkeypatch.setattr(listening.socket, "getaddrinfo", getaddrinfo)


def test_a_name_with_two_addresses_listens_on_both_with_one_port(bound, monkeypatch):
    addresses(monkeypatch, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"))
    here = bound(bind_tcp("both", 0))
    here.start()
    names = [sock.getsockname() for sock in here.sockets]
    assert names == [("127.0.0.1", here.port), ("127.0.0.2", here.port)]


def test_an_address_this_machine_lacks_is_passed_over(bound, monkeypatch):
    addresses(monkeypatch, (socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "127.0.0.1"))
    here = bound(bind_tcp("half", 0))
    assert [sock.getsockname()[0] for sock in here.sockets] == ["127.0.0.1"]


def test_having_none_of_the_addresses_is_an_error(monkeypatch):
    addresses(monkeypatch, (socket.AF_INET, "192.0.2.1"))
    with pytest.raises(OSError) as caught:
        bind_tcp("elsewhere", 0)
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_port_that_is_free_on_one_address_only_is_not_taken(bound, monkeypatch):
    """Port 0 is tried again when the second address does not have the port of the first."""
    addresses(monkeypatch, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"))
    failures = iter([OSError(errno.EADDRINUSE, "taken")] * 3)
    bind = listening._bind

    def bind_or_fail(family, address):
        if address[0] == "127.0.0.2" and (failure := next(failures, None)):
            raise failure
        return bind(family, address)

    monkeypatch.setattr(listening, "_bind", bind_or_fail)
    assert len(bound(bind_tcp("both", 0)).sockets) == 2


def test_ipv6_does_not_take_the_port_of_ipv4(bound):
    six = bound(bind_tcp("::1", 0))
    bound(bind_tcp("127.0.0.99", six.port)).start()  # where no other test's client has that port
    six.start()
    assert connects(("::1", six.port), socket.AF_INET6)


def names(here) -> list[tuple[int, str]]:
    return [(sock.family, sock.getsockname()[0]) for sock in here.sockets]


def test_several_hosts_listen_on_one_port(bound):
    here = bound(bind_tcp("127.0.0.1", 0, "::1", "127.0.0.3", "127.0.0.1"))
    here.start()
    assert names(here) == [
        (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.3"),
    ]  # fmt: skip
    assert {sock.getsockname()[1] for sock in here.sockets} == {here.port}
    assert connects(("127.0.0.3", here.port)) and connects(("::1", here.port), socket.AF_INET6)


def test_each_of_several_hosts_must_be_had():
    with pytest.raises(OSError) as caught:
        bind_tcp("127.0.0.1", 0, "192.0.2.1")
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_two_colons_are_both_families_and_clients_keep_their_addresses(bound):
    here = bound(bind_tcp("::", 0))
    here.start()
    assert names(here) == [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
    assert connects(("::1", here.port), socket.AF_INET6)
    with socket.create_connection(("127.0.0.1", here.port)):
        here.sockets[1].settimeout(10)
        accepted, peer = here.sockets[1].accept()
        accepted.close()
    assert peer[0] == "127.0.0.1"


def test_a_machine_without_ipv6_has_the_other_family(bound, monkeypatch):
    monkeypatch.setattr(listening.socket, "has_ipv6", False)
    assert names(bound(bind_tcp("::", 0))) == [(socket.AF_INET, "0.0.0.0")]


class TestUnixSockets:
    @pytest.mark.parametrize(("given", "mode"), [({}, 0o660), ({"mode": 0o600}, 0o600)])
    def test_its_mode_says_who_may_connect(self, bound, tmp_path, given, mode):
        path = str(tmp_path / "s")
        former = os.umask(0o022)
        try:
            bound(bind_unix(path, **given))
        finally:
            os.umask(former)
        assert stat.S_IMODE(os.stat(path).st_mode) == mode

    def test_the_file_is_there_while_it_listens(self, bound, tmp_path):
        path = str(tmp_path / "socket")
        here = bound(bind_unix(path))
        here.start()
        assert stat.S_ISSOCK(os.stat(path).st_mode)
        assert connects(path, socket.AF_UNIX)
        here.close()
        assert not os.path.exists(path)

    def test_a_file_nobody_listens_on_is_replaced(self, bound, tmp_path):
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as crashed:
            crashed.bind(path)
        bound(bind_unix(path)).start()
        assert connects(path, socket.AF_UNIX)

    def test_a_socket_somebody_listens_on_is_refused(self, bound, tmp_path):
        path = str(tmp_path / "socket")
        bound(bind_unix(path)).start()
        with pytest.raises(OSError) as caught:
            bind_unix(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert connects(path, socket.AF_UNIX)

    def test_a_file_that_is_no_socket_is_left_alone(self, tmp_path):
        path = tmp_path / "precious"
        path.write_text("data")
        with pytest.raises(OSError):
            bind_unix(str(path))
        assert path.read_text() == "data"

    def test_a_file_of_another_server_is_left_alone_at_the_end(self, bound, tmp_path):
        path = str(tmp_path / "socket")
        here = bound(bind_unix(path))
        os.unlink(path)
        successor = bound(bind_unix(path))
        successor.start()
        here.close()
        assert connects(path, socket.AF_UNIX)

    def test_a_folder_that_is_not_there_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            bind_unix(str(tmp_path / "nowhere" / "socket"))


def test_each_process_gets_a_socket_of_its_own_of_each_address(bound):
    here = bound(bind_tcp("127.0.0.1", 0, "::1"))
    shares = spread(here.sockets, 3)
    everyone = {sock for share in shares for sock in share}
    try:
        assert [[each.family for each in share] for share in shares] == [
            [socket.AF_INET, socket.AF_INET6]
        ] * 3
        sockets = {sock for share in shares for sock in share}
        assert len(sockets) == 6
        assert {sock.getsockname()[1] for sock in sockets} == {here.port}
        for sock in everyone:
            sock.listen()
        with pytest.raises(OSError):
            bind_tcp("127.0.0.1", here.port)
        again = [sock for share in shares for sock in share]
        fewer = spread(again, 2)  # for another number of processes nobody is left out
        assert {sock for share in fewer for sock in share} == sockets
        assert [len(share) for share in fewer] == [4, 2]
    finally:
        for sock in everyone:
            sock.close()


def test_a_socket_that_listens_for_one_process_is_shared(bound):
    here = bound(bind_tcp("127.0.0.1", 0))
    here.start()
    assert spread(here.sockets, 3) == [here.sockets] * 3
    assert spread(here.sockets, 1) == [here.sockets]
