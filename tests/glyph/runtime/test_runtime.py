"""What generated code can reach."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.checks.signatures import BUILTINS, SOCKET
from glyph_fast.glyph.runtime import runtime
from glyph_fast.glyph.runtime.values import Failure, Stop


def test_there_are_no_builtins() -> None:
    names = runtime.new_globals()
    assert names["__builtins__"] == {}
    with pytest.raises(NameError):
        exec("print(1)", names)
    with pytest.raises(ImportError):
        exec("import os", runtime.new_globals())


def test_every_program_has_names_of_its_own() -> None:
    first = runtime.new_globals()
    first["f_x"] = 1
    assert "f_x" not in runtime.new_globals()


def test_every_function_a_program_may_call_is_there() -> None:
    names = runtime.new_globals()
    assert {f"b_{name.replace('.', '_')}" for name in BUILTINS} <= names.keys()
    assert {f"ws_{name}" for name in SOCKET} <= names.keys()


def test_ways_to_end_a_handler() -> None:
    with pytest.raises(Stop) as stopped:
        runtime.stop(404, "no")
    assert (stopped.value.status, stopped.value.text) == (404, "no")
    with pytest.raises(Failure, match="assertion failed"):
        runtime.assertion_failed()
    with pytest.raises(Failure, match="5"):
        runtime.assertion_failed(5)
