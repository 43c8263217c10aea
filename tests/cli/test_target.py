"""TARGET: what it may be, and every way in which it does not load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from glyph_fast.cli import LOAD_FAILED, Failure
from glyph_fast.cli.target import load_target
from glyph_fast.errors import ConfigError, GlyphSyntaxError
from glyph_fast.options.config import Config

FAKE = """
from glyph_fast.options.config import Config

class FakeServer:
    def __init__(self, config=None):
        self.config = config or Config()

    def run(self, config=None, *, announce=None):
        raise NotImplementedError

    def routes(self):
        return []
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with `fake.py`; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "fake.py").write_text(FAKE)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def program(directory: Path, content: str, name: str = "app.py") -> None:
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_text(content)


def failure(target: str | None) -> str:
    with pytest.raises(Failure) as caught:
        load_target(target, Config())
    assert caught.value.status == LOAD_FAILED
    return str(caught.value)


# --- module:attribute


def test_server_of_a_module_in_the_working_directory_is_loaded(directory):
    program(directory, "import fake\nserver = fake.FakeServer(fake.Config(port=5))")
    assert load_target("app:server", Config(port=9)).config.port == 5
    assert sys.path[0] == str(directory)


def test_module_and_attribute_may_be_dotted(directory):
    (directory / "pkg").mkdir()
    program(directory, "import fake\nclass site: chat = fake.FakeServer()", "pkg/app.py")
    assert load_target("pkg.app:site.chat", Config()).config == Config()


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("app", "; did you mean app:server?"),
        ("app.py", "; did you mean app:server?"),
        ("app.py:chat", "; did you mean app:chat?"),
        ("pkg/app.py", "; did you mean pkg.app:server?"),
        ("app:", "; did you mean app:server?"),
        ("app.py:make()", "; did you mean app:make()?"),
        ("app.glph", "; did you mean app.glyph?"),
        ("pages/app.Glyph", "; did you mean pages/app.glyph?"),
        ("app:make(1)", ""),
        ("app:make()()", ""),
        ("app:ser ver", ""),
        (":server", ""),
        ("2fast:server", ""),
        ("", ""),
    ],
)
def test_target_that_is_not_written_as_one_is_bad_usage(target, hint):
    with pytest.raises(click.UsageError) as caught:
        load_target(target, Config())
    expected = "expected FILE.glyph, module:attribute or module:function()"
    assert caught.value.message == f"{target}: {expected}{hint}"


@pytest.mark.parametrize(
    ("target", "missing"), [("nope:server", "nope"), ("pkg.nope:server", "pkg.nope")]
)
def test_missing_module_is_one_line(target, missing, directory, capsys):
    program(directory, "", "pkg/__init__.py")
    assert failure(target) == f"no module named {missing!r} in {directory} or on the path of Python"
    assert capsys.readouterr().err == ""


def test_missing_attribute_is_one_line(directory):
    program(directory, "x = 1")
    assert failure("app:server") == "app has no attribute 'server'"


def test_missing_attribute_hints_at_a_server_that_is_there(directory):
    program(directory, "import fake\nchat = fake.FakeServer()")
    expected = "app has no attribute 'server'; did you mean app:chat?"
    assert failure("app:server") == expected


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server = 5", "of type int"),
        ("server = None", "of type NoneType"),
        ("from fake import FakeServer as server", "the class FakeServer"),
        ("import fake as server", "a module"),
    ],
)
def test_attribute_of_another_type_is_one_line(code, kind, directory):
    program(directory, code)
    assert failure("app:server") == f"app:server is {kind}, not a Server or an ASGI application"


@pytest.mark.parametrize(
    "code", ["def make(): ...", "make = lambda: 5", "import json.decoder as j; make = j.scanstring"]
)
def test_a_function_is_taken_for_one_that_makes_a_server(code, directory):
    program(directory, code)
    assert failure("app:make").endswith(
        ", not a Server or an ASGI application; if it makes one, write app:make()"
    )


def test_a_function_makes_the_server(directory):
    program(directory, "import fake\ndef make(): return fake.FakeServer(fake.Config(port=5))")
    assert load_target("app:make()", Config(port=9)).config.port == 5


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("make = 5", "app:make is of type int, not a function that makes a Server"),
        (
            "def make(): return 5",
            "what app:make() returned is of type int, not a Server or an ASGI application",
        ),
        (
            "def make(): pass",
            "what app:make() returned is of type NoneType, not a Server or an ASGI application",
        ),
        (
            "async def make(): pass",
            "app:make is an `async def`: a function that makes a Server cannot wait",
        ),
        ("def make(): raise SystemExit(3)", "app:make() ended the interpreter (status 3)"),
        ("other = 5", "app has no attribute 'make'"),
    ],
)
def test_a_function_that_makes_no_server_is_one_line(code, message, directory, capsys):
    program(directory, code)
    assert failure("app:make()") == message
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def make():\n    1 / 0", "ZeroDivisionError: division by zero"),
        ("def make(config):\n    pass", "make() missing 1 required positional argument: 'config'"),
    ],
)
def test_an_exception_of_the_function_is_one_of_the_program(code, said, directory, capsys):
    program(directory, code)
    assert failure("app:make()").startswith("could not call app:make(): ")
    trace = capsys.readouterr().err
    assert trace.endswith(f"{said}\n") and "target.py" not in trace


RUNS = {
    "run": "from glyph_fast import Server\nserver = Server()\nserver.run(port=0)\n",
    "serve": "import asyncio\nfrom glyph_fast import Server\nserver = Server()\n"
    "asyncio.run(server.serve(port=0))\n",
    "factory": "from glyph_fast import Server\ndef server():\n    Server().run(port=0)\n",
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_program_that_serves_while_it_is_loaded_is_told_how_not_to(kind, directory, capsys):
    program(directory, RUNS[kind])
    name, target = ("app:server", "app:server()") if kind == "factory" else ("app", "app:server")
    said = failure(target)
    assert f"{name} serves while it is loaded to be served" in said
    assert 'below `if __name__ == "__main__":`' in said
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  File ")]
    assert f'File "{directory}/app.py"' in lines[-1] or "asyncio" in lines[-1]


REFUSED = {
    "a bare get": (
        "@server.get\ndef f(request): ...",
        'get needs a path, as in @server.get("/path")',
    ),
    "a generator": ("@server.on_message\ndef f(ctx): yield", "never yields"),
    "an unknown type": ("server.on_message('texts')", "texts"),
    "a braced parameter": (
        "@server.get('/users/{id}')\ndef f(request): ...",
        "a parameter is written :id, not {id}",
    ),
    "a def in the background": (
        "@server.background\ndef f(): ...",
        "a background task is an `async def`, and f is a `def`",
    ),
    "an unknown option": ("from glyph_fast import Config\nConfig(prot=1)", "did you mean port?"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_at_registration_shows_the_line_of_the_program_last(mistake, directory, capsys):
    code, said = REFUSED[mistake]
    program(directory, f"from glyph_fast import Server\nserver = Server()\n{code}\n")
    assert said in failure("app:server")
    frames = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  File ")]
    assert len(frames) == 1 and frames[0].startswith(f'  File "{directory}/app.py"')


def test_exception_in_the_module_shows_the_frames_of_the_user_only(directory, capsys):
    program(directory, "def fail():\n    raise ValueError('no\\nluck')\n", "part.py")
    program(directory, "import part\npart.fail()\n")
    assert failure("app:server") == "could not import app: ValueError: no\nluck"
    trace = capsys.readouterr().err
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("ValueError: no\nluck\n")
    frames = [line for line in trace.splitlines() if line.startswith("  File ")]
    assert frames == [
        f'  File "{directory}/app.py", line 2, in <module>',
        f'  File "{directory}/part.py", line 2, in fail',
    ]


def test_cause_of_an_exception_is_trimmed_too(directory, capsys):
    program(
        directory, "try:\n    import nope\nexcept ImportError as e:\n    raise OSError('x') from e"
    )
    assert failure("app:server") == "could not import app: OSError: x"
    trace = capsys.readouterr().err
    assert "direct cause" in trace and "frozen" not in trace and "target.py" not in trace


def test_missing_module_that_the_module_imports_is_an_exception_of_the_module(directory, capsys):
    program(directory, "import nope")
    assert failure("app:server").endswith("ModuleNotFoundError: No module named 'nope'")
    assert f'File "{directory}/app.py", line 1' in capsys.readouterr().err


def test_module_that_imports_a_missing_part_of_itself_is_an_exception_too(directory, capsys):
    program(directory, "import app.nope")
    assert failure("app:server").startswith("could not import app: ModuleNotFoundError")
    assert f'File "{directory}/app.py", line 1' in capsys.readouterr().err


def test_syntax_error_shows_the_line(directory, capsys):
    program(directory, "server = = 5")
    assert failure("app:server") == "could not import app: SyntaxError: invalid syntax"
    trace = capsys.readouterr().err
    assert trace.startswith(f'  File "{directory}/app.py", line 1\n    server = = 5\n')
    assert "frozen" not in trace


def test_bad_options_in_the_module_are_an_exception_of_the_module(directory, capsys):
    program(directory, "from glyph_fast.options.config import Config\nConfig(port=-1)")
    assert "ConfigError: port: expected a whole number" in failure("app:server")
    assert f'File "{directory}/app.py", line 2' in capsys.readouterr().err


def test_module_that_ends_the_interpreter_is_one_line(directory):
    program(directory, "import sys; sys.exit(3)")
    assert failure("app:server") == "app ended the interpreter while it was imported (status 3)"


# --- Glyph and the chat


class FakeGlyphServer:
    """Takes the place of the real one, whose tests are elsewhere."""

    error: Exception | None = None

    def __init__(self, config: Config) -> None:
        self.config = config
        self.loaded: list[str] = []

    def load(self, file: str) -> None:
        if self.error is not None:
            raise self.error
        self.loaded.append(file)


@pytest.fixture
def glyph_server(monkeypatch: pytest.MonkeyPatch) -> type[FakeGlyphServer]:
    module = ModuleType("glyph_fast.glyph.serving.server")
    fake = type("FakeGlyphServer", (FakeGlyphServer,), {})
    module.GlyphServer = fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return fake


def test_glyph_file_is_loaded_with_the_given_config(glyph_server):
    server = load_target("dir/a.glyph", Config(port=5))
    assert isinstance(server, glyph_server)
    assert (server.loaded, server.config.port) == (["dir/a.glyph"], 5)


def syntax_error_with_diagnostics() -> GlyphSyntaxError:
    class Diagnostic:
        severity = "error"

        def render(self) -> str:
            return "a.glyph:1:2: bad\n    1 | x\n      |  ^"

    error = GlyphSyntaxError("bad", 1, 2)
    error.diagnostics = [Diagnostic()]  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GlyphSyntaxError("bad", 3, 7), "a.glyph:3:7: bad"),
        (FileNotFoundError(2, "No such file"), "could not read a.glyph: no such file"),
        (PermissionError(13, "Permission denied"), "could not read a.glyph: permission denied"),
        (ConfigError("two routes"), "could not load a.glyph: two routes"),
    ],
)
def test_glyph_file_that_does_not_load_is_one_line(error, message, glyph_server, capsys):
    glyph_server.error = error
    assert failure("a.glyph") == message
    assert capsys.readouterr().err == ""


def test_diagnostics_of_a_glyph_file_are_shown(glyph_server, capsys):
    glyph_server.error = syntax_error_with_diagnostics()
    assert failure("a.glyph") == "a.glyph does not load: 1 error"
    assert capsys.readouterr().err == "a.glyph:1:2: bad\n    1 | x\n      |  ^\n"


def test_installation_without_the_glyph_language_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "glyph_fast.glyph.serving.server", None)
    assert failure("a.glyph").startswith("Glyph programs cannot be served: ModuleNotFoundError")


def test_no_target_is_the_bundled_chat_with_the_given_config(monkeypatch):
    chat = ModuleType("glyph_fast.chat")
    chat.create_server = lambda config: ("chat", config)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, chat.__name__, chat)
    assert load_target(None, Config(port=5)) == ("chat", Config(port=5))


def test_installation_without_the_chat_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "glyph_fast.chat", None)
    assert failure(None).startswith("the bundled chat cannot be served: ModuleNotFoundError")


def test_an_asgi_application_is_served_alone(directory):
    program(directory, "async def app(scope, receive, send): ...")
    server = load_target("app:app", Config(port=9))
    assert server.config.port == 9
    assert [(each.kind, each.pattern) for each in server.routes()] == [("asgi", "/*")]


def test_a_function_may_make_an_asgi_application(directory):
    program(
        directory,
        "class App:\n    async def __call__(self, scope, receive, send): ...\n"
        "def make(): return App()",
    )
    assert [each.kind for each in load_target("app:make()", Config()).routes()] == ["asgi"]
