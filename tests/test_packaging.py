"""What is installed: the public names, the command, the marker for type checkers; and the build.

The smoke tests here are the ones `ci/dist` runs against each wheel in an environment of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

import glyph_fast
from tests.serving import serving

ROOT = Path(__file__).parent.parent


def python(*arguments: str, cwd: Path | None = None, **environment: str) -> str:
    """What a fresh interpreter writes, both streams; it has to end with status 0."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- names --------------------------------------------------------------------------------------


@pytest.mark.smoke
def test_importing_the_package_imports_neither_asyncio_nor_orjson_nor_a_core() -> None:
    loaded = python("-c", "import glyph_fast, sys; print(*sys.modules, sep='\\n')").splitlines()
    costly = {"asyncio", "orjson", "uvloop", "glyph_fast._core", "glyph_fast._pure"}
    assert not costly & set(loaded)


def test_a_server_loads_nothing_of_what_few_servers_use() -> None:
    program = "import sys; from glyph_fast import Server; Server(); print(*sys.modules, sep='\\n')"
    loaded = set(python("-c", program).splitlines())
    assert "glyph_fast.server.server" in loaded
    few = {
        "glyph_fast.asgi.mounts", "glyph_fast.broker.workers", "glyph_fast.admin.port",
        "glyph_fast.glyph", "glyph_fast.auth.tokens", "glyph_fast.websocket.deflate", "httpx",
    }  # fmt: skip
    assert not loaded & few


@pytest.mark.smoke
@pytest.mark.parametrize("name", glyph_fast.__all__)
def test_every_public_name_loads_and_has_a_docstring(name: str) -> None:
    value = getattr(glyph_fast, name)
    assert name == "__version__" or value.__doc__


def test_every_public_name_has_its_module() -> None:
    assert sorted(glyph_fast._MODULES) == sorted(set(glyph_fast.__all__) - {"__version__"})


def test_the_names_for_the_type_checker_are_those_of_run_time() -> None:
    source = (ROOT / "glyph_fast/__init__.py").read_text()
    block = source[source.index("if TYPE_CHECKING:") : source.index("__version__ =")]
    found = {}
    for module, names in re.findall(r"from \.([\w.]+) import (\([^)]*\)|.*)", block):
        found.update(dict.fromkeys(re.findall(r"\w+", names), module))
    assert found == glyph_fast._MODULES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'glyph_fast' has no attribute 'Nothing'"):
        glyph_fast.Nothing  # noqa: B018


@pytest.mark.smoke
def test_the_installed_version_is_the_source_s() -> None:
    assert importlib.metadata.version("glyph-fast") == glyph_fast.__version__


@pytest.mark.smoke
def test_type_checkers_find_the_marker() -> None:
    assert importlib.resources.files("glyph_fast").joinpath("py.typed").is_file()


# --- the command --------------------------------------------------------------------------------


@pytest.mark.smoke
@pytest.mark.both_cores
def test_the_command_tells_version_core_loop_and_engine() -> None:
    script = shutil.which("glyph-fast", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)
    assert glyph_fast.__version__ in done.stdout
    assert os.environ["GLYPH_FAST_CORE"] in done.stdout


@pytest.mark.smoke
@pytest.mark.both_cores
def test_serve_without_a_target_serves_the_chat_s_page() -> None:
    with serving() as server, urlopen(server.url, timeout=20) as answer:
        assert answer.status == 200
        assert answer.headers.get_content_type() == "text/html"
        assert b"<html" in answer.read().lower()
        with urlopen(f"{server.url}/glyph-fast.js", timeout=20) as script:
            assert script.headers.get_content_type() == "text/javascript"
            assert b"glyphFast" in script.read()


@pytest.mark.smoke
@pytest.mark.both_cores
def test_a_python_server_echoes_to_a_foreign_client(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(
        "from glyph_fast import MessageType, Server\n"
        "server = Server()\n"
        "@server.on_message(MessageType.TEXT)\n"
        "def echo(ctx):\n"
        "    ctx.reply(MessageType.TEXT, ctx.message.data)\n"
    )
    with serving("echo:server", cwd=tmp_path) as server, connect(server.ws("/ws")) as client:
        client.send("hello")
        assert client.recv(timeout=20) == "hello"


@pytest.mark.smoke
@pytest.mark.both_cores
def test_a_glyph_program_answers_a_foreign_client(tmp_path: Path) -> None:
    (tmp_path / "hello.glyph").write_text('@ GET /hello/:name {\n  > {text: "Hello " + name}\n}\n')
    with serving("hello.glyph", cwd=tmp_path) as server:
        with urlopen(f"{server.url}/hello/you", timeout=20) as answer:
            assert json.load(answer) == {"text": "Hello you"}


# --- what is not installed ----------------------------------------------------------------------

HIDDEN = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(',')));"
    "from glyph_fast.cli import main; sys.exit(main(sys.argv[2:]))"
)


def without(packages: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """The status of a command and what it writes to stderr, as if packages were not there."""
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN, packages, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("package", "extra", "line", "arguments"),
    [
        ("rich", "tools", "glyph-fast top needs rich", ["top", "http://127.0.0.1:1"]),
        ("rich", "tools", "glyph-fast bench needs rich", ["bench", "ws://127.0.0.1:1"]),
        ("jwt", "jwt", "jwt_secret needs pyjwt", ["serve", "--jwt-secret", "s" * 32]),
        ("jwt", "jwt", "jwt_jwks needs pyjwt", ["serve", "--jwt-jwks", "https://id.example"]),
        ("watchfiles", "reload", "--reload needs watchfiles", ["serve", "--reload"]),
    ],
)
def test_a_missing_part_is_one_line_that_names_its_extra(
    package: str, extra: str, line: str, arguments: list[str]
) -> None:
    status, stderr = without(package, *arguments)
    assert status == 2
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1] == f"glyph-fast: {line}: pip install 'glyph-fast[{extra}]'"


@pytest.mark.smoke
@pytest.mark.parametrize("module", ["publisher", "otel"])
def test_a_module_of_an_extra_says_which(module: str) -> None:
    package = {"publisher": "httpx", "otel": "opentelemetry"}[module]
    hide = f"import sys; sys.modules[{package!r}] = None; import glyph_fast.{module}"
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, timeout=60)
    needed = f"glyph_fast.{module} needs {package}: pip install 'glyph-fast[{module}]'"
    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: {needed}"


@pytest.mark.smoke
def test_every_other_command_needs_no_extra() -> None:
    hidden = "rich,prompt_toolkit,jwt,cryptography,isal,httpx,watchfiles,opentelemetry"
    for command in ("serve", "check", "fmt", "routes", "connect"):
        status, stderr = without(hidden, command, "--help")
        assert (status, stderr) == (0, ""), command


def test_the_test_extra_has_every_other_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    own = set(extras) - {"all", "test", "docs", "dev"}
    assert extras["all"] == [f"glyph-fast[{','.join(sorted(own))}]"]
    assert "glyph-fast[all]" in extras["test"]
    assert "glyph-fast[docs,test]" in extras["dev"]


# --- the build ----------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package with our build and a core of one line, so that building takes no time."""
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "README.md").touch()
    package = tmp_path / "glyph_fast"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (package / "_core.pyx").write_text("def checked(x):\n    assert x\n    return True\n")
    return tmp_path


def build(tree: Path, **environment: str) -> tuple[str, list[Path]]:
    """What the build wrote, and the extensions it made."""
    environment.setdefault("GLYPH_FAST_BUILD", "auto")
    output = python("setup.py", "-q", "build_ext", "--inplace", cwd=tree, **environment)
    return output, list((tree / "glyph_fast").glob("_core.*.so"))


@pytest.mark.slow
def test_auto_builds_the_core_where_it_can(tree: Path) -> None:
    output, extensions = build(tree)
    assert len(extensions) == 1
    assert "WARNING" not in output


def test_auto_without_a_compiler_warns_and_stays_pure(tree: Path) -> None:
    output, extensions = build(tree, CC="/bin/false")
    assert not extensions
    assert "WARNING: glyph-fast could not build its compiled core" in output
    assert "CompileError" in output


def test_yes_without_a_compiler_fails(tree: Path) -> None:
    with pytest.raises(AssertionError, match="/bin/false"):
        build(tree, GLYPH_FAST_BUILD="yes", CC="/bin/false")


def test_no_leaves_the_core_out(tree: Path) -> None:
    output, extensions = build(tree, GLYPH_FAST_BUILD="no")
    assert not extensions
    assert "WARNING" not in output


def test_an_unknown_build_mode_is_refused(tree: Path) -> None:
    with pytest.raises(AssertionError, match="GLYPH_FAST_BUILD is 'maybe', expected auto, yes"):
        build(tree, GLYPH_FAST_BUILD="maybe")


@pytest.mark.slow
def test_the_debug_build_keeps_asserts_and_replaces_the_release_build(tree: Path) -> None:
    call = "from glyph_fast._core import checked; print(checked(0))"
    build(tree)
    assert python("-c", call, cwd=tree) == "True\n"
    build(tree, GLYPH_FAST_DEBUG="1")
    with pytest.raises(AssertionError, match="AssertionError"):
        python("-c", call, cwd=tree)


def test_no_folder_is_named_like_the_extension() -> None:
    # Python would take it for a package where the extension is absent, and the chooser's fallback
    # would never be reached.
    assert not (ROOT / "glyph_fast/_core").exists()
