"""The command as a whole: its subcommands, its exit statuses, what it imports."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

import glyph_fast
from glyph_fast import cli
from glyph_fast.cli import COMMANDS, main
from glyph_fast.errors import ConfigError
from tests.serving import ServeProcess

DEADLINE_S = 60


def run(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """`python -m glyph_fast` in a process of its own, without options from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GLYPH_")}
    package = str(Path(glyph_fast.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-m", "glyph_fast", *arguments],
        cwd=cwd,
        env={**kept, "PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: glyph-fast {name} ")


def test_help_lists_the_commands_without_loading_them(tmp_path):
    code = (
        "import sys; from glyph_fast.cli import main; main(['--help'])\n"
        "print(*(name for name in sys.modules if name.startswith('glyph_fast.cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S
    )
    *text, loaded = done.stdout.splitlines()
    assert loaded == "", done.stderr
    for name, (_, line) in COMMANDS.items():
        assert any(each.split() == [name, *line.split()] for each in text)


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after that."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print('loaded:', *sys.modules)"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    *_, last = done.stdout.splitlines() or [done.stderr]
    assert last.startswith("loaded: sys "), done.stderr
    return set(last.split())


# What only some features need, and takes a while to load.
HEAVY = {
    *("difflib", "email.utils", "encodings.idna", "mimetypes", "secrets", "tomllib"),
    *("cryptography", "google.protobuf", "h11", "hiredis", "httpx", "jwt", "msgspec", "nats"),
    *("opentelemetry", "picows", "prometheus_client", "redis", "rich", "watchfiles"),
    *("glyph_fast.admin", "glyph_fast.asgi.mounts", "glyph_fast.auth.tokens"),
    *("glyph_fast.broker.nats", "glyph_fast.broker.redis", "glyph_fast.centrifuge"),
    *("glyph_fast.chat", "glyph_fast.client", "glyph_fast.dev", "glyph_fast.documents"),
    *("glyph_fast.glyph", "glyph_fast.http.static", "glyph_fast.load", "glyph_fast.otel"),
    *("glyph_fast.server.main", "glyph_fast.websocket.deflate"),
}


def test_the_package_alone_loads_next_to_nothing():
    loaded = loaded_by("import glyph_fast")
    assert [name for name in loaded if name.startswith("glyph_fast.")] == []
    assert not {"asyncio", "click", "logging", "ssl", *HEAVY} & loaded


def test_version_loads_neither_asyncio_nor_the_server():
    loaded = loaded_by("from glyph_fast.cli import main; assert main(['--version']) == 0")
    assert "glyph_fast.cli.parts" in loaded
    assert not {"asyncio", "uvloop", "ssl", "glyph_fast.server", *HEAVY} & loaded


def test_a_server_loads_nothing_that_only_some_features_need():
    loaded = loaded_by(
        "import glyph_fast.cli.serve, glyph_fast.server.succession;"
        "from glyph_fast import Config, Server;"
        "Server(Config(port=0)).on_message()(lambda ctx: None)"
    )
    assert "glyph_fast.server.server" in loaded
    assert not HEAVY & loaded


def test_collections_go_on_once_a_command_is_loaded():
    code = "import gc; from glyph_fast.cli import main; main(['serve', '--help'])"
    code += "; assert gc.isenabled()"
    assert "glyph_fast.cli.serve" in loaded_by(code)


def test_without_a_command_help_goes_to_stderr_and_the_status_is_2(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("Usage: glyph-fast ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["srve"], "No such command 'srve'."),
        (["--prot"], "No such option '--prot'."),
        (["routes", "a:b", "c"], "Got unexpected extra argument (c)"),
    ],
)
def test_bad_usage_is_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"glyph-fast: {message}")


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (cli.Failure("no luck"), 1, "glyph-fast: no luck\n"),
        (cli.Failure("in\n  two lines", cli.NOT_LISTENING), 3, "glyph-fast: in two lines\n"),
        (ConfigError("bad"), 2, "glyph-fast: bad\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_goes_wrong_is_a_line_and_a_status(raised, status, line, monkeypatch, capsys):
    def fail(*args: object, **options: object) -> None:
        raise raised

    monkeypatch.setattr(cli.command, "main", fail)
    assert main(["serve"]) == status
    assert capsys.readouterr().err == line


# --- in a process of its own


def test_module_runs_as_the_command(tmp_path):
    done = run("--version", cwd=tmp_path, GLYPH_FAST_CORE="python")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"glyph-fast {glyph_fast.__version__} (core: python, ")


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["serve", "nope:server"], 1, "no module named 'nope' in "),
        (["serve", "app:nothing"], 1, "app has no attribute 'nothing'"),
        (
            ["serve", "app:number"],
            1,
            "app:number is of type int, not a Server or an ASGI application",
        ),
        (["serve", "app"], 2, "app: expected FILE.glyph, module:attribute or module:function()"),
        (["serve", "--max-room-name", "x"], 2, "--max-room-name: expected a size"),
        (["serve", "--jwt-secret", "hush"], 2, "--jwt-secret: HS256 needs a secret of at least 32"),
        (["serve", "--jwt-audience", "a"], 2, "--jwt-audience needs --jwt-secret or --jwt-jwks"),
        (["serve", "--uds", "s", "--tls-cert", "app.py"], 2, "--uds and --tls-cert do not go"),
        (["routes", "nope:server"], 1, "no module named 'nope' in "),
    ],
)
def test_error_of_a_user_is_one_line_without_traceback(arguments, status, line, tmp_path):
    (tmp_path / "app.py").write_text("number = 5\n")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert done.stdout == "" and "hush" not in done.stderr
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"glyph-fast: {line}")


def test_keys_of_tokens_that_are_none_are_an_error_of_the_user_too(tmp_path):
    (tmp_path / "keys.json").write_text("none")
    done = run("serve", "--jwt-jwks", "keys.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("glyph-fast: cannot use the keys of keys.json: ")
    assert "Traceback" not in done.stderr


PROGRAM = """
from glyph_fast import core
from glyph_fast.options.config import Config

class server:
    config = Config(port=1, host="::1")

    @staticmethod
    def run(config, *, announce):
        announce(f"{core.NAME} {config.url(config.port)}")

    @staticmethod
    def routes():
        return []
"""


def test_core_asked_for_is_loaded_before_the_program(core, tmp_path):
    name = {"_core": "compiled", "_pure": "python"}[core.__name__.rpartition(".")[2]]
    (tmp_path / "app.py").write_text(PROGRAM)
    done = run("serve", "app:server", "--core", name, "--port", "2", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{name} http://[::1]:2\n"), done.stderr
    assert f"core={name}" in done.stderr


def test_core_asked_for_in_the_file_is_loaded_too(tmp_path):
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "glyph-fast.toml").write_text('core = "python"')
    done = run("serve", "app:server", cwd=tmp_path)
    assert done.stdout == "python http://[::1]:1\n", done.stderr


def test_core_the_program_asks_for_too_late_is_refused(tmp_path):
    used, other = "compiled", "python"
    if importlib.util.find_spec("glyph_fast._core") is None:
        used, other = other, used
    (tmp_path / "app.py").write_text(PROGRAM.replace("port=1", f"core={other!r}"))
    done = run("serve", "app:server", "--core", used, cwd=tmp_path)
    assert done.returncode == 0  # the option given outside wins
    done = run("serve", "app:server", cwd=tmp_path)
    assert done.returncode == 2
    assert f"core {other!r} was asked for, but {used!r} is in use" in done.stderr


def test_output_to_a_reader_that_is_gone_ends_without_a_word():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "glyph_fast", "--help"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_S,
        )
    assert (done.returncode, done.stderr) == (1, b"")


# --- whatever the standard streams are


OK = "@ GET /status {\n  > {a: 1}\n}\n"
NOT_OK = '@ GET /x { > {a: "\u00fc\U0001f600\x1b[31m\n'
STREAMS = ["<&- >&- 2>&-", ">/dev/full", "2>/dev/full"]
LINES = {
    "version": (["--version"], 0),
    "check what is wrong": (["check", "wrong.glyph"], 1),
    "fmt what is wrong": (["fmt", "wrong.glyph"], 1),
    "routes": (["routes", "ok.glyph"], 0),
    "routes of nothing": (["routes", "\udcff\x1b[31m:x"], 2),
    "serve what is wrong": (["serve", "wrong.glyph"], 1),
    "serve where nobody can": (["serve", "ok.glyph", "--host", "192.0.2.1"], 3),
    "top": (["top", "127.0.0.1:1"], 1),
    "bench": (["bench", "ws://127.0.0.1:1/", "-c", "1"], 1),
    "connect": (["connect", "ws://127.0.0.1:1/"], 1),
}


def run_with(streams: str, arguments: list[str], cwd: Path, **environ: str):
    """The command in a shell that redirects as `streams` says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GLYPH_")}
    package = str(Path(glyph_fast.__file__).parent.parent)
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-m", "glyph_fast", *arguments],
        cwd=cwd,
        env={**kept, "PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
    )


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "ok.glyph").write_text(OK)
    (folder / "wrong.glyph").write_text(NOT_OK)
    return folder


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("name", LINES)
def test_streams_that_are_closed_or_full_change_no_more_than_they_must(name, streams, programs):
    arguments, status = LINES[name]
    done = run_with(streams, arguments, programs)
    writes = name in ("version", "routes")
    assert done.returncode == (1 if writes and ">/dev/full" in streams.split() else status)
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("name", LINES)
def test_a_narrow_encoding_changes_no_status_and_nothing_commands_the_terminal(name, programs):
    arguments, status = LINES[name]
    done = run_with("", arguments, programs, PYTHONIOENCODING="cp1252")
    assert done.returncode == status
    text = (done.stdout + done.stderr).decode("cp1252")
    assert "Traceback" not in text
    assert all(line.replace("\t", "").isprintable() for line in text.splitlines())


def test_a_server_without_standard_streams_serves(programs):
    closing = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh"]
    server = ServeProcess("ok.glyph", cwd=programs, prefix=closing)
    try:
        with urlopen(f"{server.url}/status", timeout=20) as answer:
            assert answer.read().strip() == b'{"a":1}'
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()
        server.release()


def test_the_command_leaves_the_choice_of_the_core_to_its_options() -> None:
    program = (
        "import sys, glyph_fast.cli.serve;"
        "print([name for name in sys.modules if name in ('glyph_fast.core', 'glyph_fast._core')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
