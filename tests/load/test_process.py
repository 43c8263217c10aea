"""What a process costs, as the kernel tells."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from glyph_fast.load.meter import Meter, Usage
from glyph_fast.load.process import ServerProcess, find_listener


def test_the_cpu_clock_of_a_process_is_the_one_it_reads_itself() -> None:
    code = "import sys, time\nfor _ in sys.stdin: print(time.process_time_ns(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None and child.stdout is not None

        def own_clock() -> int:
            child.stdin.write(b"\n")
            child.stdin.flush()
            return int(child.stdout.readline())

        before = own_clock()
        seen = ServerProcess(child.pid).cpu_ns()
        after = own_clock()
        child.stdin.close()
    assert before <= seen <= after


def test_a_child_counts_with_its_parent() -> None:
    code = "import sys; print(sum(range(3_000_000)), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        us, alone = ServerProcess(os.getpid()), ServerProcess(child.pid)
        assert child.pid in us.pids()
        assert us.cpu_ns() >= alone.cpu_ns() > 0
        assert us.rss_bytes() > alone.rss_bytes() > 0
        child.communicate(b"")


def test_a_process_that_is_gone_is_an_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait(20)
    with pytest.raises(ProcessLookupError):
        ServerProcess(child.pid).cpu_ns()


def test_an_open_descriptor_is_counted() -> None:
    us = ServerProcess(os.getpid())
    before = us.descriptor_count()
    with socket.socket():
        assert us.descriptor_count() == before + 1


def test_the_process_that_listens_is_found_by_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert find_listener(listener.getsockname()[1]) == os.getpid()


def test_nobody_is_found_where_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert find_listener(sock.getsockname()[1]) is None


@pytest.mark.parametrize(
    "client, server, limit",
    [(0.2, 1.0, "server"), (0.99, 0.5, "client"), (1.0, 1.0, "both"), (0.1, None, "neither")],
)
def test_whoever_has_no_time_left_is_the_limit(
    client: float, server: float | None, limit: str
) -> None:
    second = 1_000_000_000
    used = None if server is None else int(server * second)
    assert Usage(second, int(client * second), used).limit == limit


def test_a_meter_without_a_server_measures_the_client() -> None:
    usage = Meter(None).elapsed()
    assert usage.server_busy is None
    assert usage.wall_ns >= 0 <= usage.client_ns
