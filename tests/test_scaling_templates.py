"""What docs/scaling.md shows: the example of two nodes serves, and the templates are well made."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/scaling.md").read_text()
WITHIN_S = 50.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def ask(client: ClientConnection, message: Any) -> Any:
    client.send(json.dumps(message))
    return json.loads(client.recv(timeout=WITHIN_S))


def test_the_example_serves_two_nodes_behind_one_address() -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples/two-nodes/run.py"), str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        while b"two servers behind" not in (line := process.stdout.readline()):
            assert line, "the example has ended"
        with ExitStack() as stack:
            # nginx takes them in turn, so two clients are on two nodes.
            clients = [
                stack.enter_context(
                    connect(f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None)
                )
                for _ in range(2)
            ]
            for each in clients:
                answer = ask(each, {"type": "join_room", "room": "notes:a"})
                assert answer["data"]["status"] == "joined"
            heard: Any = None
            for attempt in range(20):  # until the broker knows of both
                ask(clients[0], {"type": "broadcast", "room": "notes:a", "data": attempt, "id": 1})
                try:
                    heard = json.loads(clients[1].recv(timeout=1))
                    break
                except TimeoutError:
                    continue
            assert heard["data"] in range(20)
    finally:
        process.terminate()
        process.wait(WITHIN_S)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_template_for_kubernetes_starts_what_the_command_takes(text: str) -> None:
    from glyph_fast.options.config import FIELDS, OPTIONS

    deployment = yaml.safe_load(text)
    assert deployment["kind"] == "Deployment"
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    flags = {each for each in container["args"] if each.startswith("--")}
    assert flags <= {each.flag for each in OPTIONS}
    variables = {each["name"] for each in container["env"]}
    assert variables <= {each.env for each in OPTIONS}
    drain = {name: container["args"][container["args"].index(name) + 1] for name in flags}
    seconds = sum(
        FIELDS[name].read(drain["--" + name.replace("_", "-")])
        for name in ("drain_delay", "drain_timeout")
    )
    assert spec["terminationGracePeriodSeconds"] > seconds
    matched = deployment["spec"]["selector"]["matchLabels"]
    assert matched == deployment["spec"]["template"]["metadata"]["labels"]
    ports = {each["containerPort"] for each in container["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


def test_the_addition_for_systemd_is_one_that_it_knows(tmp_path: Path) -> None:
    (text,) = blocks("ini")
    unit = tmp_path / "broker-test.service"
    unit.write_text(text + "ExecStart=/bin/true\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=WITHIN_S
    )
    assert "Unknown" not in done.stderr, done.stderr
