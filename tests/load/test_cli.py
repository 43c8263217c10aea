"""The command of the load generator."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner

from glyph_fast.cli import main
from glyph_fast.engine.tls import server_context
from glyph_fast.load.cli import bench
from glyph_fast.load.options import Options
from tests.engine.certificates import Certificate, make_certificate
from tests.hostile import ANSWERS, FRAMES, SOUND, assert_one_line, hostile

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


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """What draws on terminals is not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "glyph_fast.load.live", raising=False)
    monkeypatch.delattr("glyph_fast.load.live", raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)


@pytest.mark.parametrize("terminal", [False, True])
def test_json_alone_needs_nothing_that_draws(
    foreign: Foreign, bare: None, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setattr("glyph_fast.load.cli._is_terminal", lambda: True)
    with foreign() as url:
        done = CliRunner().invoke(bench, [url + "/echo", "-c", "2", "--json", "-", *SHORT])
    assert json.loads(done.stdout)["options"]["connections"] == 2
    assert done.stderr == ""


@pytest.mark.parametrize("drawn", [[], ["--json", "-", "--progress"]], ids=["table", "progress"])
def test_what_draws_is_missed_before_anything_is_opened(
    bare: None, capfd: pytest.CaptureFixture[str], drawn: list[str]
) -> None:
    assert main(["bench", "ws://127.0.0.1:1/", *drawn]) == 2
    needed = "glyph-fast bench needs rich: pip install 'glyph-fast[tools]'"
    assert capfd.readouterr().err == f"glyph-fast: {needed}\n"


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
        (["http://127.0.0.1:1/"], "begins with ws:// or wss://"),
        (["ws://127.0.0.1:abc/"], "expected a URL, found"),
        (["ws://127.0.0.1:99999/"], "expected a URL, found"),
        (["ws://[::1/"], "expected a URL, found"),
        (["wss://127.0.0.1:1/", "--ca", "x", "--insecure"], "do not go together"),
        (["ws://127.0.0.1:1/", "--ca", "x"], "are for wss://"),
        (["ws://127.0.0.1:1/", "--insecure"], "are for wss://"),
        (["ws://127.0.0.1:1/{}", "--mode", "fan-out", "--rooms", "9", "-c", "2"], "a member that"),
        (["ws://127.0.0.1:1/", "--timeout", "0"], "more than 0"),
        (["ws://127.0.0.1:1/", "--html", "/no/such/place/x.html"], "cannot be written"),
        (["ws://127.0.0.1:1/", "--json", "/"], "cannot be written"),
        (["ws://127.0.0.1:1/", "--compare", "/no/such/file"], "does not exist"),
        (["ws://127.0.0.1:1/", "--compare", __file__], "is not the JSON of a run"),
        (["ws://127.0.0.1:1/", "-c", "0"], "at least 1"),
        (["ws://127.0.0.1:1/", "-s", "1000000000000"], "at most 67108864"),
        (["ws://127.0.0.1:1/", "-p", "5000"], "at most 2048"),
        (["ws://127.0.0.1:1/", "-d", "nan"], "expected 0 or more"),
        (["ws://127.0.0.1:1/", "--rate", "inf"], "expected 0 or more"),
        (["ws://127.0.0.1:1/", "--timeout", "nan"], "more than 0"),
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


def test_a_room_in_the_url_is_no_field_of_the_progress_line(foreign: Foreign) -> None:
    with foreign() as url:
        arguments = [url + "/room/{}", "--mode", "churn", "-c", "2", "--rooms", "2", "--progress"]
        done = CliRunner().invoke(bench, [*arguments, *SHORT])
    assert done.exit_code == 0, done.output
    assert "churn ws://127.0.0.1:" in done.stderr


def test_a_run_is_compared_with_the_one_before(foreign: Foreign, tmp_path: Path) -> None:
    file, page = tmp_path / "before.json", tmp_path / "report.html"
    with foreign() as url:
        CliRunner().invoke(bench, [url + "/echo", "-c", "1", "--json", str(file), *SHORT])
        arguments = [url + "/echo", "-c", "1", "--compare", str(file), "--html", str(page), *SHORT]
        done = CliRunner().invoke(bench, arguments)
    assert done.exit_code == 0, done.output
    assert "Compared" in done.stdout and "messages/s" in done.stdout
    assert "<h2>Compared</h2>" in page.read_text() and "<h2>Processor</h2>" in page.read_text()


def test_a_password_is_shown_nowhere(foreign: Foreign, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with foreign() as url:
        url = url.replace("ws://", "ws://ada:s3cret@") + "/echo"
        arguments = [url, "-c", "1", "--progress", "--json", "-", "--html", str(page), *SHORT]
        done = CliRunner().invoke(bench, arguments)
    assert done.exit_code == 0, done.output
    assert "s3cret" not in done.output + done.stderr + page.read_text()


def bench_at(port: int, *options: str, scheme: str = "ws") -> int:
    short = ["-c", "1", "-d", "0.1", "--warm-up", "0", "--timeout", "0.3", "--no-progress"]
    return main(["bench", f"{scheme}://127.0.0.1:{port}/", *short, *options])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_broken_answer_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with hostile(ANSWERS[name]) as port:
        assert bench_at(port) == 1
    assert_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("name", {**FRAMES, **SOUND})
def test_frames_nobody_asked_for_are_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile({**FRAMES, **SOUND}[name], accepts=True) as port:
        assert bench_at(port) == 1
    assert_one_line(capsys.readouterr().err)


def test_a_server_that_speaks_first_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for first in (b"220 mail.example ESMTP\r\n", b"SSH-2.0-x\r\n\r\n"):
        with hostile(
            lambda client, first=first: (client.send(first), client.wait()), reads=False
        ) as port:
            assert bench_at(port) == 1
        assert_one_line(capsys.readouterr().err)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "server")


class TestTls:
    @pytest.mark.parametrize("mode", ["echo", "connect", "churn"])
    def test_a_server_with_tls_is_measured(
        self, mode: str, foreign: Foreign, certificate: Certificate,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        tls = server_context(certificate.cert, certificate.key)
        with foreign(tls=tls) as url:
            url = url.replace("ws://", "wss://") + ("/room/a" if mode == "churn" else "/echo")
            short = ["-c", "3", "-p", "2", "-s", "40000", "--hold", "0.1", *SHORT]
            assert main(["bench", url, "--mode", mode, "--ca", certificate.cert, *short]) == 0
            assert main(["bench", url, "--mode", mode, "--insecure", *short]) == 0
        assert "rate" in capsys.readouterr().out

    def test_a_certificate_of_nobody_is_one_line(
        self, certificate: Certificate, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tls = server_context(certificate.cert, certificate.key)
        with hostile(b"", tls=tls) as port:
            assert bench_at(port, scheme="wss") == 1
        said = capsys.readouterr().err
        assert_one_line(said)
        assert "self-signed certificate (--ca, --insecure)" in said

    @pytest.mark.parametrize("name", ["nothing", "a reset", "silence", "zeros", "a page"])
    def test_a_server_without_tls_is_one_line(
        self, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with hostile(ANSWERS[name], reads=False) as port:
            assert bench_at(port, "--insecure", scheme="wss") == 1
        assert_one_line(capsys.readouterr().err)

    def test_authorities_that_cannot_be_used_are_bad_usage(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert bench_at(1, "--ca", "/no/such/file", scheme="wss") == 2
        assert_one_line(capsys.readouterr().err)


def test_ipv6_and_hosts_that_are_not_there_are_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for url in ("ws://[::1]:1/", "ws://host.invalid/", "ws://localhost:1/"):
        assert main(["bench", url, "-c", "1", "--timeout", "1"]) == 1
        assert_one_line(capsys.readouterr().err)


def test_every_field_of_the_options_has_its_flag() -> None:
    flags = {parameter.name for parameter in bench.params}
    assert set(Options.__dataclass_fields__) <= flags
