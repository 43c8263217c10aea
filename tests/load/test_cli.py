"""The command of the load generator."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner

from glyph_fast.load.cli import bench
from glyph_fast.load.options import Options

Foreign = Callable[..., AbstractContextManager[str]]
SHORT = ["--duration", "0.2", "--warm-up", "0", "--timeout", "3", "--pid", str(os.getpid())]


def test_it_prints_a_summary(foreign: Foreign) -> None:
    with foreign() as url:
        done = CliRunner().invoke(bench, [url + "/echo", "-c", "2", *SHORT])
    assert done.exit_code == 0, done.output
    assert "closed loop" in done.output
    assert "server CPU" in done.output


def test_json_goes_to_stdout_alone(foreign: Foreign) -> None:
    with foreign() as url:
        done = CliRunner().invoke(bench, [url + "/echo", "-c", "2", "--json", "-", *SHORT])
    assert json.loads(done.stdout)["options"]["connections"] == 2


def test_the_page_is_written(foreign: Foreign, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with foreign() as url:
        CliRunner().invoke(bench, [url + "/echo", "-c", "2", "--html", str(page), *SHORT])
    assert "<svg" in page.read_text()


def test_progress_is_drawn_on_stderr(foreign: Foreign) -> None:
    with foreign() as url:
        arguments = [url + "/echo", "-c", "2", "--progress", "--json", "-", *SHORT]
        done = CliRunner().invoke(bench, arguments)
    assert "µs of server CPU each" in done.stderr
    assert json.loads(done.stdout)


def test_a_failed_run_is_one_line_and_status_1(foreign: Foreign) -> None:
    with foreign("altered") as url:
        done = CliRunner().invoke(bench, [url + "/echo", "-c", "1", *SHORT, "--duration", "5"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: connection 0 received")
    nobody = CliRunner().invoke(bench, ["ws://127.0.0.1:1/", *SHORT])
    assert nobody.exit_code == 1
    assert nobody.stderr == "Error: cannot connect: connection refused\n"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["http://127.0.0.1:1/"], "must be ws://"),
        (["wss://127.0.0.1:1/"], "wss is not measured"),
        (["ws://127.0.0.1:abc/"], "must be ws://"),
        (["ws://127.0.0.1:99999/"], "must be ws://"),
        (["ws://[::1/"], "must be ws://"),
        (["ws://127.0.0.1:1/", "--timeout", "0"], "more than 0"),
        (["ws://127.0.0.1:1/", "--html", "/no/such/place/x.html"], "cannot be written"),
        (["ws://127.0.0.1:1/", "--json", "/"], "cannot be written"),
        (["ws://127.0.0.1:1/", "-c", "0"], "at least 1"),
        (["ws://127.0.0.1:1/", "--rooms", "2"], "need a URL with {}"),
        (["ws://127.0.0.1:1/", "--stalled", "1"], "below 1"),
        (["ws://127.0.0.1:1/", "--mode", "connect", "--rate", "5"], "no open loop"),
        (["ws://127.0.0.1:1/", "--mode", "dance"], "dance"),
    ],
)
def test_bad_usage_is_status_2(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(bench, arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_every_field_of_the_options_has_its_flag() -> None:
    flags = {parameter.name for parameter in bench.params}
    assert set(Options.__dataclass_fields__) <= flags
