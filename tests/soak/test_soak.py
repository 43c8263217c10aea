"""The soak's bookkeeping: a judge that cannot fail would prove nothing."""

from __future__ import annotations

import subprocess
import sys

from tests.serving import ROOT
from tests.soak.clients import Accounts, Member

LOSING_APP = """
from tests.soak.app import server
publish = server.hub.broadcast_to_room
def broadcast(room, message, exclude=None):
    result = publish(room, message, exclude)
    if '"number": 7' in message:  # accepted once more than it was sent
        result = result._replace(sent=result.sent + 1)
    return result
server.hub.broadcast_to_room = broadcast
"""


def test_a_copy_that_did_not_arrive_is_a_loss():
    accounts = Accounts()
    accounts.heard(("s", "room", 1))  # members may hear it before the sender has its answer
    accounts.accepted(("s", "room", 1), 2)
    accounts.heard(("s", "room", 1))
    accounts.accepted(("s", "room", 2), 2)
    accounts.heard(("s", "room", 2))
    accounts.heard(("s", "room", 3))  # whose acknowledgement a restart cut off
    accounts.settle()
    assert accounts.failures == ["lost: 1 copies of message ('s', 'room', 2)"]
    assert accounts.totals["unacknowledged"] == 1


def test_a_gap_is_a_failure():
    accounts = Accounts()
    member = Member(accounts, "", "room", is_counted=False)
    member._hear({"server": "s", "number": 8}, 7, "s")
    assert accounts.failures == []
    member._hear({"server": "s", "number": 10}, 8, "s")
    member._hear({"server": "s", "number": 9}, 10, "s")
    member._hear({"server": "t", "number": 10}, 9, "s")
    assert len(accounts.failures) == 3


def test_a_server_that_loses_a_message_fails_a_soak(tmp_path):
    """The whole of it, for a few seconds."""
    (tmp_path / "losing.py").write_text(LOSING_APP)
    arguments = ["--minutes", "0.1", "--restarts", "0", "--results", str(tmp_path)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.soak", *arguments),
            *("--app", str(tmp_path / "losing.py")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "lost: 1 copies of message" in done.stdout
    assert done.stdout.endswith("soak: failed\n")
    assert len(list(tmp_path.glob("*-soak.*"))) == 2


def test_a_soak_that_outlives_its_terminal_restarts_the_server(tmp_path):
    """`nohup ci/soak &`: SIGHUP is ignored, and the server would have it so."""
    arguments = ["--minutes", "0.1", "--restarts", "1", "--results", str(tmp_path)]
    done = subprocess.run(
        ["nohup", sys.executable, "-m", "tests.soak", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert "SIGHUP: " in done.stdout, done.stdout + done.stderr
    assert "did not hand over" not in done.stdout


def test_a_bad_network_that_cannot_be_had_is_said(tmp_path):
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    (tmp_path / "id").symlink_to("/usr/bin/id")
    done = subprocess.run(
        ["/bin/bash", str(ROOT / "ci/netem")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ci/netem: cannot run: n")
