"""The floors: imports point one way, and every module has its tests.

The order is the one that docs/architecture.md shows. An import written for the type checker counts
as well: whoever needs a type from the right has found a cut in the wrong place.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import glyph_fast

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "glyph_fast"


def floors_of(page: str) -> list[str]:
    """The names of the page's floors, from left to right."""
    block = re.search(r"^## Floors\n.*?\n\n((?: {4}.+\n)+)", page, re.MULTILINE | re.DOTALL)
    assert block, "docs/architecture.md has lost its floors"
    return [name for name in block[1].split() if name != "|"]


ORDER = floors_of((ROOT / "docs/architecture.md").read_text())

# Modules of the standard library and floors to the left that a floor still must not know.
BANNED = {
    "core": {"asyncio", "http", "json", "logging", "uvloop"},
    "engine": {"hub", "handlers", "opening"},
    "hub": {"engine", "socket"},
    "glyph": {"engine", "core", "opening"},
}

# Tested through something else, which is named.
TESTED_BY = {
    "_core.pyx": "core/test_parity.py",
    "_numbers.pyx": "test_numbers.py",
    "quick_json.py": "websocket/test_json.py",
    **{f"_pure/{path.name}": "core/test_parity.py" for path in (PACKAGE / "_pure").glob("*.py")},
    "__init__.py": "test_packaging.py",
    "__main__.py": "test_packaging.py",
    "reading_time.py": "test_publisher.py",
    **dict.fromkeys(
        [
            f"load/{name}.py"
            for name in "churn connect echo fanout opening runner steady swarm".split()
        ],
        "load/test_modes.py",
    ),
    "client/clock.py": "client/test_link.py",
    **dict.fromkeys(
        [f"client/{name}.py" for name in "outbox presence sequence stream types".split()],
        "client/test_room.py",
    ),
    "client/listening.py": "typing/test_typing.py",
    "client/questions.py": "client/test_client.py",
    "engine/newcomers.py": "engine/test_asyncio.py",
    "client/tasks.py": "client/test_handlers.py",
    "_pyinstaller/hook-glyph_fast.py": "test_frozen.py",
    "asgi/hosted/engine.py": "asgi/hosted/test_servers.py",
    "asgi/hosted/http.py": "asgi/hosted/test_servers.py",
    "asgi/hosted/websocket.py": "asgi/hosted/test_servers.py",
    "server/hosted.py": "asgi/hosted/test_servers.py",
    **{
        f"centrifuge/{name}.py": f"centrifugal/test_{test}.py"
        for test, names in {
            "commands": "calling commands publishing recovery",
            "session": "codes door identity server session",
            "wireformat": "fields protobuf wireformat",
        }.items()
        for name in names.split()
    },
    **dict.fromkeys(
        [
            f"broker/nodes/{name}.py"
            for name in "attending broker interest messages peers receiving".split()
        ],
        "broker/nodes/test_nodes.py",
    ),
    "broker/nats/connection.py": "broker/nats/test_bus.py",
    "centrifuge/streaming.py": "centrifuge/test_streams.py",
    "centrifuge/streams.py": "centrifuge/test_streams.py",
    "broker/channels_crossing.py": "workers/test_channels.py",
    **{
        f"broker/redis/{name}.py": "broker/redis/test_bus.py"
        for name in "connection finding link login".split()
    },
    **{
        f"broker/redis/cluster/{name}.py": "broker/redis/cluster/test_cluster.py"
        for name in "adopting bus leading routing shard shards streams subscriber".split()
    },
    "broker/redis/making.py": "broker/redis/test_broker.py",
    "broker/redis/beyond.py": "broker/redis/test_workers.py",
    "broker/redis/locating.py": "broker/redis/test_broker.py",
    "broker/redis/places.py": "broker/redis/test_broker.py",
    "broker/redis/scripts.py": "broker/redis/test_streams.py",
    "broker/choosing.py": "broker/redis/test_broker.py",
    "server/joining.py": "broker/redis/test_broker.py",
    "hub/declared.py": "hub/test_room.py",
    "hub/rooms.py": "hub/test_room.py",
    "hub/shares.py": "handlers/test_shares.py",
    "hub/stream.py": "handlers/test_streams.py",
    "options/declaration.py": "options/test_config.py",
    "handlers/jobs.py": "handlers/test_dispatcher.py",
    "handlers/shapes.py": "typing/test_typing.py",
    "opening/guests.py": "asgi/test_mounts.py",
    "opening/handshakes.py": "opening/test_opening.py",
    "opening/mounting.py": "asgi/test_mounts.py",
    "opening/site.py": "opening/test_opening.py",
    "process/worker.py": "workers/test_serving.py",
    "process/workers.py": "workers/test_faults.py",
    "testing/peer.py": "testing/test_websocket.py",
    "server/handler.py": "server/test_lifecycle.py",
    "server/hooks.py": "server/test_application.py",
    "server/main.py": "workers/test_serving.py",
    "server/routes.py": "server/test_application.py",
    "server/run.py": "server/test_server.py",
    "load/live.py": "load/test_cli.py",
    "load/options.py": "load/test_cli.py",
    "load/meter.py": "load/test_process.py",
    "load/comparison.py": "load/test_report.py",
    "load/machine.py": "load/test_report.py",
    "load/page.py": "load/test_report.py",
    "load/plot.py": "load/test_report.py",
}

SOURCES = sorted(path for suffix in ("py", "pyx") for path in PACKAGE.rglob(f"*.{suffix}"))
MODULES = [path for path in SOURCES if path != PACKAGE / "__init__.py"]


CORE = {"_core", "_pure"}  # the chooser and the twins are one floor
GLYPH = ["syntax", "checks", "runtime", "compiler", "serving"]  # the floors within the language


def floor(path: Path) -> str:
    """The floor a source file belongs to: its package below glyph_fast, else its own name."""
    name = path.relative_to(PACKAGE).parts[0].removesuffix(path.suffix)
    return floor_of_name(name.replace("__main__", "cli"))


def floor_of_name(name: str) -> str:
    return "core" if name in CORE else {"_numbers": "numbers"}.get(name, name)


def imports(path: Path) -> Iterator[str]:
    """Dotted names a file imports, absolute: `glyph_fast.hub.Hub`, `asyncio`."""
    text = path.read_text()
    if path.suffix == ".pyx":  # Cython is no Python; its import lines are
        lines = re.findall(r"^\s*((?:from [\w.]+ )?c?import [\w.]+)", text, re.MULTILINE)
        text = "\n".join(line.replace("cimport", "import") for line in lines)
    package = ["glyph_fast", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = [*base, node.module] if node.module else base
            yield from (".".join([*start, alias.name]) for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_only_what_stands_to_its_left(path: Path) -> None:
    here = floor(path)
    assert here in ORDER, f"{here} has no place among the floors of docs/architecture.md"
    for target in imports(path):
        top, *rest = target.split(".")
        if top == "glyph_fast" and rest[0] != "__version__":
            there = floor_of_name(glyph_fast._MODULES.get(rest[0], rest[0]).split(".")[0])
            assert there in ORDER[: ORDER.index(here)] or there == here, f"{here} → {target}"
            if here == there == "glyph" and len(path.relative_to(PACKAGE).parts) > 2:
                near, far = path.parent.name, rest[1]
                assert GLYPH.index(far) <= GLYPH.index(near), f"glyph.{near} → {target}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_knows_nothing_it_must_not_know(path: Path) -> None:
    known = {target.removeprefix("glyph_fast.").split(".")[0] for target in imports(path)}
    assert not known & BANNED.get(floor(path), set())


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_has_its_test_file(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if other := TESTED_BY.get(path.name) or TESTED_BY.get(relative.as_posix()):
        assert (ROOT / "tests" / other).exists()
    elif len(relative.parts) > 1:  # glyph_fast/http/router.py: tests/http/test_router.py
        assert (ROOT / "tests" / relative.parent / f"test_{path.stem}.py").exists()
    else:
        assert list((ROOT / "tests").rglob(f"test_{path.stem}.py"))


def places(page: str) -> list[tuple[str, str]]:
    """What the tables at the head of the page name: a path, and a name that stands there."""
    head = page[: page.index("\n## ")]
    found = re.findall(r"`([\w/]+\.\w+)` `(\w+)`", head)
    assert len(found) > 12
    return found


@pytest.mark.parametrize(
    ("path", "name"), places((ROOT / "docs/architecture.md").read_text()), ids=lambda each: each
)
def test_what_the_page_sends_a_reader_to_is_there(path: str, name: str) -> None:
    source = (PACKAGE / path).read_text()
    assert re.search(
        rf"^{name}\b|^ *(?:class|(?:async )?def|cdef [\w ]+) {name}\b", source, re.MULTILINE
    )


def test_every_row_of_those_tables_names_a_place() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| .*\|$", page[: page.index("\n## ")], re.MULTILINE)
    titles = ("| where | path and name |", "| to add | begin at |")
    answers = [row for row in rows if row not in titles]
    assert answers
    assert all(re.search(r"`([\w/]+\.\w+)` `(\w+)`", row) for row in answers)


# What a reader comes with, in words that a row of the tables has.
QUESTIONS = [
    "a ping is sent", "queue policy", "an empty room", "option becomes a variable", "the 101",
    "handler's error", "slow client is evicted", "compression is negotiated", "a built-in message",
    "stream of events", "a broker", "ASGI application",
]  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_tables_answer_what_a_reader_comes_with(question: str) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| ([^|]*) \| [^|]*`[\w/]+\.\w+` `\w+`.*\|$", page, re.MULTILINE)
    assert [row for row in rows if question in row]


# What tests share, and could have a second name; `bench` is a folder of the project's, too.
HELPERS = {path.stem for path in (ROOT / "tests").iterdir()} - sys.stdlib_module_names - {"bench"}
TESTS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "tests").rglob("test_*.py")
}


def names_asked_for(path: Path) -> Iterator[str]:
    """Modules that a test file imports, relative ones with their dots."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_what_tests_share_has_one_root() -> None:
    """`from tests.serving import …`: a helper is one module, whoever asks for it."""
    assert not [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("*.py")
        for name in names_asked_for(path)
        if name.startswith(".") or name.split(".")[0] in HELPERS or name in TESTS
    ], "say from tests.…, and of another test's file nothing"
