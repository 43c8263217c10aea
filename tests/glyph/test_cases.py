"""Programs with what clients see of them, served for real, and with the code generated for them.

`cases/NAME.glyph` has its dialogue in `NAME.json` and its Python code in `NAME.py.txt`, which
nobody runs: it is there to be read, and to show in a diff what a change of the compiler does. With
`GLYPH_UPDATE_CASES=1` in the environment those files are written anew.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glyph_fast import Config, GlyphServer
from glyph_fast.glyph.checks.checks import check_program
from glyph_fast.glyph.compiler.compiler import compile_module
from glyph_fast.glyph.runtime.runtime import new_globals
from glyph_fast.glyph.serving.load import GlyphLoadError, load_program
from glyph_fast.glyph.syntax.source import Source
from tests.glyph.dialogue import Dialogue

CASES = Path(__file__).parent / "cases"
PROGRAMS = sorted(path for path in CASES.glob("*.glyph") if path.with_suffix(".json").exists())

_OWN_NAME = re.compile(r"(v|f|c|value|check)\d*_|(t\d+|_|event|steps|depth)$")
_DANGEROUS = (ast.Attribute, ast.Import, ast.ImportFrom, ast.Lambda, ast.ClassDef, ast.Global)


def dialogue_of(program: Path) -> dict[str, Any]:
    return json.loads(program.with_suffix(".json").read_text())


SERVED = [path for path in PROGRAMS if "steps" in dialogue_of(path)]
REFUSED = [path for path in PROGRAMS if "load_error" in dialogue_of(path)]


async def hold(program: Path, engine: str, environment: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        server = GlyphServer(Config(port=0, engine=engine))
        server.load(program)
    lines: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.ensure_future(server.serve(announce=lines.put_nowait))
    waiting = asyncio.ensure_future(lines.get())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        waiting.cancel()
        serving.result()
    try:
        port = int((await waiting).rpartition(":")[2])
        await Dialogue(port).run(dialogue_of(program)["steps"])
    finally:
        await server.shutdown(timeout=1)
        await serving


@pytest.mark.parametrize("program", SERVED, ids=lambda path: path.stem)
def test_clients_see_what_the_dialogue_says(
    program: Path, backend: Any, run: Callable[..., Any]
) -> None:
    environment = dialogue_of(program).get("environment", {})
    run(hold(program, backend.engine, environment), deadline=60)


@pytest.mark.parametrize("program", REFUSED, ids=lambda path: path.stem)
def test_program_is_refused_with_its_places(program: Path) -> None:
    with pytest.raises(GlyphLoadError) as caught:
        load_program(program)
    for text in dialogue_of(program)["load_error"]:
        assert text in str(caught.value)


def generated(program: Path) -> list[ast.FunctionDef]:
    modules = check_program(Source(program.name, program.read_text(), program))
    return compile_module(modules[-1], is_main=True).functions


@pytest.mark.parametrize("program", SERVED, ids=lambda path: path.stem)
def test_generated_code_is_what_was_read_before(program: Path) -> None:
    code = "\n\n\n".join(ast.unparse(function) for function in generated(program))
    code = f"# Generated from {program.name}.\n\n{code}\n" if code else ""
    expected = program.with_suffix(".py.txt")
    if os.environ.get("GLYPH_UPDATE_CASES"):
        expected.write_text(code)
    assert code == expected.read_text()


@pytest.mark.parametrize("program", SERVED, ids=lambda path: path.stem)
def test_generated_code_reaches_nothing_by_itself(program: Path) -> None:
    offered = new_globals().keys() - {"__builtins__"}
    for function in generated(program):
        for node in ast.walk(function):
            assert not isinstance(node, _DANGEROUS)
            if isinstance(node, ast.Name):
                assert node.id in offered or _OWN_NAME.match(node.id), node.id
            if isinstance(node, ast.Call):
                assert isinstance(node.func, ast.Name)
