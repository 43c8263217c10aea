"""What becomes of a server when one of its processes dies, stops, or blocks."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from contextlib import ExitStack

from tests.serving import serving
from tests.workers.clients import (
    APP,
    children_of,
    client_of,
    clients_of_each,
    eventually,
    is_running,
)


def test_a_worker_that_is_killed_is_replaced_and_nobody_else_notices() -> None:
    with serving("program:server", "--workers", "2", cwd=APP) as server:
        with clients_of_each(server.ws("/ws"), 2) as ((near,), (far,)):
            near.join("blue")
            far.join("blue")
            former = children_of(server.process.pid)
            os.kill(far.pid, signal.SIGKILL)
            for n in range(100):
                near.ask({"event": "say", "room": "blue", "data": n})
                assert near.next() == n
            eventually(lambda: "a worker serves again" in server.log())
            now = children_of(server.process.pid)
            assert len(now) == 2 and near.pid in now and now != former
            assert "it was ended by SIGKILL" in server.log()
        with clients_of_each(server.ws("/ws"), 2) as ((one,), (other,)):
            one.join("blue")
            other.join("blue")
            one.ask({"event": "say", "room": "blue", "data": "whole again"})
            assert one.next() == other.next() == "whole again"


def test_clients_that_wait_for_a_dead_worker_are_served_by_the_next() -> None:
    with serving("program:server", "--workers", "1", cwd=APP):
        pass  # byte code is compiled
    with serving("program:server", "--workers", "2", cwd=APP) as server:
        one, other = children_of(server.process.pid)
        os.kill(other, signal.SIGSTOP)  # so that what comes for it waits
        waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        os.kill(other, signal.SIGKILL)
        for each in waiting:
            each.settimeout(20)
            each.sendall(b"GET /pid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert all(each.recv(4096).startswith(b"HTTP/1.1 200") for each in waiting)
        for each in waiting:
            each.close()


def test_a_worker_that_says_nothing_is_killed_and_replaced() -> None:
    with serving("program:server", "--workers", "2", "--worker-timeout", "2s", cwd=APP) as server:
        with clients_of_each(server.ws("/ws"), 2) as ((near,), (far,)):
            near.join("blue")
            far.join("blue")
            os.kill(far.pid, signal.SIGSTOP)
            end = time.monotonic() + 20
            while is_running(far.pid):
                near.ask({"event": "say", "room": "blue", "data": "x" * 1000})
                assert near.next() == "x" * 1000  # others are not held up
                assert time.monotonic() < end
            eventually(lambda: "a worker serves again" in server.log())
            assert "a worker says nothing and is killed" in server.log()


def test_a_worker_whose_handler_blocks_for_good_is_replaced() -> None:
    with (
        ExitStack() as stack,
        serving("program:server", "--workers", "2", "--worker-timeout", "2s", cwd=APP) as server,
    ):
        client = stack.enter_context(client_of(server.ws("/ws")))
        client.ask({"event": "block", "data": 3600})
        eventually(lambda: not is_running(client.pid))
        eventually(lambda: "a worker serves again" in server.log())


def test_a_worker_without_descriptors_keeps_clients_waiting_and_loses_none() -> None:
    with (
        serving("program:server", "--workers", "2", cwd=APP) as server,
        clients_of_each(server.ws("/ws"), 2) as ((near,), (far,)),
        ExitStack() as stack,
    ):
        far.join("blue")
        far.ask({"event": "starve"})
        assert far.next()["data"] > 0
        waiting = []
        for _ in range(40):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            sock.sendall(b"GET /pid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            waiting.append(sock)
        for n in range(50):  # who is connected notices nothing, in either worker
            near.ask({"event": "say", "room": "blue", "data": n})
            assert far.next() == n
        far.ask({"event": "starve", "data": 1024})
        far.next()
        for sock in waiting:
            sock.settimeout(20)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")


def test_no_descriptor_is_left_of_workers_that_died() -> None:
    with serving("program:server", "--workers", "2", cwd=APP) as server:
        main = server.process.pid

        def descriptors() -> int:
            return len(os.listdir(f"/proc/{main}/fd"))

        before = descriptors()
        os.kill(children_of(main)[0], signal.SIGKILL)
        eventually(lambda: "a worker serves again" in server.log())
        assert descriptors() == before


def test_a_worker_that_is_asked_to_end_drains_and_is_replaced() -> None:
    with ExitStack() as stack, serving("program:server", "--workers", "2", cwd=APP) as server:
        client = stack.enter_context(client_of(server.ws("/ws")))
        os.kill(client.pid, signal.SIGTERM)
        eventually(lambda: "a worker serves again" in server.log())
        assert urllib.request.urlopen(f"{server.url}/pid").status == 200
