"""What every test may ask for: `core`, `backend`, `loop_factory`, `run`.

The suite covers core × engine × loop. Which core serves is decided once per process
(`GLYPH_FAST_CORE`), so `ci/test` runs pytest once per core; within one process `backend` walks the
engines. Tests of the core itself take `core` and get both twins, whatever the process runs.

    def test_pong_answers_ping(backend, run):       # per engine, and per core by `ci/test`
        async def main():
            ...
        run(main())                                 # on the backend's loop, with a deadline

A missing part (no extension, no uvloop, no browser) is a failure, never a skip; to go without one
on purpose, deselect it: `--core python`, `--backend asyncio-uvloop`.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any, TypeVar

import pytest

from tests.backend import Backend, backends
from tests.serving import ServeProcess

T = TypeVar("T")

DEADLINE_S = 20.0  # for one `run`; a test that needs more says so
GRACE_S = 1.0  # for tasks that are about to end when the test's coroutine returns
CORES = {"compiled": "_core", "python": "_pure"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("glyph-fast")
    group.addoption(
        "--core",
        choices=["compiled", "python", "all"],
        default="all",
        help="deselect the tests of the other twin; `python` also makes the process run it",
    )
    group.addoption(
        "--backend",
        action="append",
        metavar="ENGINE-LOOP",
        help="deselect the other backends, say native-uvloop; may be repeated",
    )
    group.addoption(
        "--both-cores",
        action="store_true",
        help="deselect what does not depend on the process's core: the second pass of ci/test",
    )

    group.addoption(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="start the servers of applications with so many workers; deselect all other tests",
    )


def pytest_configure(config: pytest.Config) -> None:
    ServeProcess.workers = config.getoption("--workers")
    # `auto` would let a build that went missing pass as a run of the pure twin.
    if not os.environ.get("GLYPH_FAST_CORE"):
        only = config.getoption("--core")
        os.environ["GLYPH_FAST_CORE"] = "python" if only == "python" else "compiled"
    core = os.environ["GLYPH_FAST_CORE"]
    if core == "compiled" and not importlib.util.find_spec("glyph_fast._core"):
        raise pytest.UsageError("no compiled core: run ci/build, or go without by --core python")
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"  # every peer is on the loopback
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the servers would inherit that nohup ignores it
    known = backends(core)
    if unknown := set(config.getoption("--backend") or ()) - set(map(str, known)):
        names = ", ".join(map(str, known))
        raise pytest.UsageError(f"no backend {min(unknown)!r} in this process, only {names}")


def pytest_report_header() -> str:
    return f"glyph-fast core: {os.environ['GLYPH_FAST_CORE']}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    option = metafunc.config.getoption
    if "core" in metafunc.fixturenames:
        wanted = list(CORES) if option("--core") == "all" else [option("--core")]
        metafunc.parametrize("core", wanted, indirect=True, scope="session")
    if "backend" in metafunc.fixturenames:
        chosen = option("--backend")
        found = [
            each
            for each in backends(os.environ["GLYPH_FAST_CORE"])
            if not chosen or str(each) in chosen
        ]
        if metafunc.definition.get_closest_marker("over_tls"):
            found += [replace(each, tls=True) for each in found]
        metafunc.parametrize(
            "backend",
            [
                pytest.param(backend, id=str(backend), marks=pytest.mark.both_cores)
                for backend in found
            ],
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--workers") > 1:
        serving = [item for item in items if item.get_closest_marker("application")]
        kept = [item for item in serving if not item.get_closest_marker("one_process")]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    if config.getoption("--both-cores"):
        dropped = [item for item in items if not item.get_closest_marker("both_cores")]
        items[:] = [item for item in items if item.get_closest_marker("both_cores")]
        config.hook.pytest_deselected(items=dropped)


@pytest.fixture(scope="session")
def core(request: pytest.FixtureRequest) -> ModuleType:
    """Each twin of the core in turn."""
    return importlib.import_module(f"glyph_fast.{CORES[request.param]}")


@pytest.fixture
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes loops of the backend's kind; asyncio's own for a test without `backend`."""
    if "backend" in request.fixturenames:
        backend: Backend = request.getfixturevalue("backend")
        return backend.new_event_loop
    return asyncio.new_event_loop


@pytest.fixture
def run(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> Iterator[Callable[..., Any]]:
    """Runs one coroutine on a fresh loop: `run(main())`, or `run(main(), deadline=60)`.

    Fails when it does not end in time, when it leaves tasks behind, when anything was reported to
    the loop's exception handler, or when descriptors are still open after the loop was closed.
    """

    def run(coro: Coroutine[Any, Any, T], *, deadline: float = DEADLINE_S) -> T:
        reported: list[str] = []
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.get_loop().set_exception_handler(
                lambda _, context: reported.append(describe(context))
            )
            before = open_descriptors()  # not earlier: libuv keeps what its first loop opens
            result = runner.run(bounded(coro, deadline))
        if reported:
            pytest.fail("reported to the loop:\n" + "\n".join(reported))
        if open_descriptors() - before:
            gc.collect()  # what only a reference cycle keeps open is no leak
        if left := open_descriptors() - before:
            pytest.fail(f"descriptors left open: {sorted(left)}")
        return result

    yield run


async def bounded(awaitable: Awaitable[T], deadline: float) -> T:
    """The result, or a failure that shows where every task stands."""
    task = asyncio.ensure_future(awaitable)
    done, _ = await asyncio.wait({task}, timeout=deadline)
    if not done:
        stacks = dump(asyncio.all_tasks() - {asyncio.current_task()})
        task.cancel()
        pytest.fail(f"not done after {deadline:g} s\n{stacks}", pytrace=False)
    result = task.result()
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        _, pending = await asyncio.wait(others, timeout=GRACE_S)
        if pending:
            pytest.fail(f"tasks left running\n{dump(pending)}", pytrace=False)
    return result


def dump(tasks: set[asyncio.Task[Any]]) -> str:
    """For each task its name and the line it waits at."""
    lines = []
    for task in tasks:
        frames = task.get_stack(limit=4)
        where = ", ".join(f"{f.f_code.co_filename}:{f.f_lineno}" for f in frames)
        lines.append(f"  {task.get_name()} {task.get_coro()!r} at {where or 'its end'}")
    return "\n".join(lines)


def describe(context: dict[str, Any]) -> str:
    return f"  {context.get('message')}: {context.get('exception')!r}"


def open_descriptors() -> set[tuple[int, str]]:
    """Number and target of each open descriptor; the empty set where the system does not tell."""
    found = set()
    if os.path.isdir("/proc/self/fd"):
        for name in os.listdir("/proc/self/fd"):
            try:
                found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
            except FileNotFoundError:
                pass  # the one that listed the directory
    return found
