"""`glyph-fast serve` up to the point where the server runs: a fake stands in for that."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator

import click
import pytest

from glyph_fast import core
from glyph_fast.cli import main
from glyph_fast.cli import serve as serve_module
from glyph_fast.errors import ConfigError, ListenError
from glyph_fast.logs import SERVER
from glyph_fast.options.config import NOT_YET, OPTIONS, Config


class FakeServer:
    """Records how it was run; `act` happens in `run`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.served: Config | None = None
        self.act: Callable[[Callable[[str], None]], None] = lambda announce: None

    def run(self, config: Config, *, announce: Callable[[str], None]) -> None:
        self.served = config
        self.act(announce)

    def routes(self) -> list[object]:
        return []


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No options from outside, the process's own limits, and the loggers as they were."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GLYPH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GLYPH_FAST_CORE", core.NAME)
    monkeypatch.setattr(serve_module, "raise_open_file_limit", lambda: None)
    before = SERVER.handlers[:], SERVER.level, SERVER.propagate
    yield
    SERVER.handlers[:], level, SERVER.propagate = before
    SERVER.setLevel(level)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """What any target turns out to be."""
    fake = FakeServer(Config())

    def load(target: str | None, config: Config) -> FakeServer:
        if target is None:  # the chat and Glyph programs are made with the given options
            fake.config = config
        return fake

    monkeypatch.setattr(serve_module, "load_target", load)
    return fake


def test_server_is_run_with_the_options_of_the_command_line(server):
    arguments = ["serve", "--port", "0", "--ping-interval", "1m", "--client-broadcast-all"]
    arguments += ["--allowed-origin", "https://a.example", "--allowed-origin", "https://b.example"]
    assert main(arguments) == 0
    assert server.served == server.config.replace(port=0)
    assert server.served == Config(
        port=0,
        ping_interval=60,
        client_broadcast_all=True,
        allowed_origins=["https://a.example", "https://b.example"],
        core=core.NAME,
    )


def test_options_of_the_program_stand_unless_given_outside(server, tmp_path, monkeypatch):
    server.config = Config(port=1, host="::1", max_connections=7, ping_interval=5, queue_bytes=9)
    monkeypatch.setenv("GLYPH_FAST_MAX_CONNECTIONS", "8")
    (tmp_path / "glyph-fast.toml").write_text("ping_interval = 6\nmax_connections = 6")
    assert main(["serve", "app:server", "--port", "8080"]) == 0
    assert server.served == Config(
        port=8080,  # the default, but given
        host="::1",
        max_connections=8,
        ping_interval=6,
        queue_bytes=9,
        core=core.NAME,
    )


def test_a_switch_of_the_file_is_turned_off_by_its_negation(server, tmp_path):
    (tmp_path / "glyph-fast.toml").write_text("client_broadcast_all = true")
    assert main(["serve", "--no-client-broadcast-all"]) == 0
    assert server.served is not None and not server.served.client_broadcast_all


def test_announcement_is_all_there_is_on_stdout(server, capsys):
    server.act = lambda announce: announce("glyph-fast listening on http://127.0.0.1:9")
    assert main(["serve"]) == 0
    assert capsys.readouterr().out == "glyph-fast listening on http://127.0.0.1:9\n"


def test_what_runs_is_said_on_stderr(server, capsys):
    assert main(["serve", "--engine", "asyncio", "--loop", "asyncio"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"core={core.NAME} engine=asyncio loop=asyncio")


def test_logging_is_configured_as_asked(server, capsys):
    assert main(["serve", "--log-format", "json", "--loop", "asyncio"]) == 0
    assert json.loads(capsys.readouterr().err)["loop"] == "asyncio"
    assert main(["serve", "--log-level", "error"]) == 0
    assert capsys.readouterr().err == ""


def test_logging_follows_the_program_s_own_config(server):
    server.config = Config(log_level="error")
    assert main(["serve", "app:server"]) == 0
    assert SERVER.level == logging.ERROR


@pytest.mark.parametrize("limit", [100, 100 + 64])
def test_a_limit_on_open_files_that_is_too_low_is_warned_of(limit, server, monkeypatch, capsys):
    monkeypatch.setattr(serve_module, "raise_open_file_limit", lambda: limit)
    assert main(["serve", "--max-connections", "100", "--log-level", "warning"]) == 0
    warned = f"limit={limit} max_connections=100\n"
    assert capsys.readouterr().err.endswith(warned) == (limit == 100)


def fails_with(exc: Exception) -> Callable[[Callable[[str], None]], None]:
    def act(announce: Callable[[str], None]) -> None:
        raise exc

    return act


@pytest.mark.parametrize(
    ("arguments", "exc", "message"),
    [
        (
            [],
            OSError(errno.EADDRINUSE, "error while attempting to bind on address (...)"),
            "could not listen on 127.0.0.1:8080: address already in use; --port takes another, "
            "0 a free one",
        ),
        (
            ["--host", "::1", "--port", "80"],
            PermissionError(errno.EACCES, "Permission denied"),
            "could not listen on [::1]:80: permission denied",
        ),
        (
            ["--host", "no.example"],
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "could not listen on no.example:8080: name or service not known",
        ),
        (
            ["--uds", "/no/such/s"],
            FileNotFoundError(errno.ENOENT, "No such file or directory"),
            "could not listen on unix:/no/such/s: no such file or directory",
        ),
        ([], OSError("could not bind"), "could not listen on 127.0.0.1:8080: could not bind"),
    ],
)
def test_address_that_cannot_be_listened_on_is_status_3(arguments, exc, message, server, capsys):
    server.act = fails_with(ListenError(*exc.args))
    assert main(["serve", "--log-level", "error", *arguments]) == 3
    assert capsys.readouterr().err == f"glyph-fast: {message}\n"


def test_options_the_server_refuses_are_status_2(server, capsys):
    server.act = fails_with(ConfigError("cannot use the certificate"))
    assert main(["serve", "--log-level", "error"]) == 2
    assert capsys.readouterr().err == "glyph-fast: cannot use the certificate\n"


def test_interrupt_before_the_server_handles_it_is_quiet(server, capsys):
    def act(announce: Callable[[str], None]) -> None:
        raise KeyboardInterrupt

    server.act = act
    assert main(["serve", "--log-level", "error"]) == 130
    assert capsys.readouterr().err == "\n"  # ends the line on which the terminal wrote ^C


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "abc"], "--port: expected a whole number from 0 to 65535, found 'abc'"),
        (["--tls-key", "k"], "--tls-key needs --tls-cert"),
        (["--config", "no.toml"], "--config: no such file: no.toml"),
        (["--resume-window", "2"], "No such option '--resume-window'."),
        (["--port"], "Option '--port' requires an argument."),
        (["--loop", "twisted"], "--loop: expected one of auto, uvloop, asyncio, found 'twisted'"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments, message, server, capsys):
    assert main(["serve", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == f"glyph-fast: {message}\n"
    assert server.served is None


def test_bad_environment_names_the_variable(server, monkeypatch, capsys):
    monkeypatch.setenv("GLYPH_FAST_PORT", "x")
    assert main(["serve"]) == 2
    expected = "expected a whole number from 0 to 65535, found 'x'"
    assert capsys.readouterr().err == f"glyph-fast: GLYPH_FAST_PORT: {expected}\n"


def test_a_variable_that_may_be_a_mistake_is_a_warning(server, monkeypatch, capsys):
    monkeypatch.setenv("GLYPH_FAST_PROT", "1")
    monkeypatch.setenv("GLYPH_FAST_REDIS_MASTER_SERVICE_HOST", "10.0.0.1")
    assert main(["serve", "--log-level", "warning"]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "GLYPH_FAST" in line]
    assert len(warnings) == 1
    warned = "GLYPH_FAST_PROT is not an option; did you mean GLYPH_FAST_PORT?"
    assert warnings[0].endswith(f"warning  {warned}")


def test_options_that_do_not_go_with_the_program_s_own_are_status_2(server, capsys):
    server.config = Config(client_broadcast_all=True)
    assert main(["serve", "app:server", "--client-commands", "none"]) == 2
    assert "needs broadcast in --client-commands" in capsys.readouterr().err


def test_every_option_is_a_flag_that_reaches_the_configuration(monkeypatch):
    seen: dict[str, object] = {}

    def gather(flags: dict[str, object], environ: object) -> None:
        seen.update(flags)
        raise ConfigError("enough")

    monkeypatch.setattr(serve_module, "given_options", gather)
    for each in OPTIONS:
        assert main(["serve", each.flag, *([] if each.is_switch else ["x"])]) == 2
        assert seen[each.name] == (True if each.is_switch else ("x",) if each.repeat else "x")


def help_text(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["serve", "--help"]) == 0
    return click.unstyle(capsys.readouterr().out)


def test_help_shows_every_available_option_under_its_group(capsys):
    text = help_text(capsys)
    for each in OPTIONS:
        assert (f"  {each.flag} " in text) == (each.name not in NOT_YET), each.flag
    assert text.index("\nListening:\n") < text.index("  --port PORT") < text.index("\nLimits:\n")


def test_help_shows_defaults(capsys):
    assert "[default: 8080]" in help_text(capsys)


def test_announcement_survives_a_reader_that_is_gone(monkeypatch):
    """stdout is a pipe whose reading end is closed; fd 1 of the test itself stays as it is."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        serve_module.announce("glyph-fast listening on http://127.0.0.1:9")
        serve_module.announce("glyph-fast admin on http://127.0.0.1:9")


def test_the_help_tells_the_variable_of_an_option_that_may_be_repeated(capsys):
    assert main(["serve", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "in the plural (GLYPH_FAST_ALLOWED_ORIGINS, with commas), save GLYPH_FAST_HOST" in said
