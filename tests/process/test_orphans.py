"""Processes whose parent has ended, where the server is the first process of a container."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from glyph_fast.process.orphans import reap_orphans
from tests.serving import STOP_S
from tests.succession import WITHIN_S, first_of_a_container, program
from tests.workers.clients import children_of, eventually

LEAVING = """
import subprocess


@server.get("/leave")
def leave(request):
    subprocess.run(["sh", "-c", "sleep 0.2 &"])  # whose parent ends at once
    return "left"
"""


def test_the_main_process_of_workers_reaps_them_and_keeps_its_workers(tmp_path: Path) -> None:
    with first_of_a_container(tmp_path, program(1) + LEAVING, "--workers", "2") as started:
        try:
            assert started.stdout is not None
            url = started.stdout.readline().decode().split()[-1]
            (main,) = children_of(started.pid)
            workers = children_of(main)
            for _ in range(3):
                with urllib.request.urlopen(f"{url}/leave", timeout=WITHIN_S) as answer:
                    assert answer.read() == b"left"
            eventually(lambda: children_of(main) == workers)
            os.kill(workers[0], signal.SIGKILL)
            eventually(lambda: {*children_of(main)} - {*workers})  # there is another after a while
            eventually(lambda: workers[0] not in children_of(main))
            os.kill(main, signal.SIGTERM)
            assert started.wait(STOP_S) == 0
        finally:
            started.kill()


def test_any_other_process_leaves_its_children_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        reap_orphans(())
        assert os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        reap_orphans(children_of(os.getpid()))  # and those of other tests
        assert child.wait() == 0  # it was asked about by who started it
