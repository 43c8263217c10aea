"""Room in memory for orjson: what would end the process raises MemoryError, or goes another way."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glyph_fast.headroom import (
    BEGINNING,
    FINITE,
    MARGIN,
    READ,
    ROOM,
    can_read,
    can_write,
    has_room,
    weigh,
)
from glyph_fast.json import _plain

orjson = pytest.importorskip("orjson")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of address space")

ROOT = Path(__file__).parent.parent
PREPARED = """
import gc, os, resource, sys
from {module} import {read} as loads, {write} as dumps

MIB = 1 << 20
SPARES = [0, 2, 5, 12, 24, 40, 64, 128, 256]  # MiB


def limit(spare):
    pages = int(open("/proc/self/statm").read().split()[0])
    size = pages * resource.getpagesize() + spare * MIB
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def attempt(call, value, spare):
    '''What became of it in a child with so little to spare: "done", "no memory", or a signal.'''
    child = os.fork()
    if not child:
        limit(spare)
        try:
            call(value)
        except MemoryError:
            os._exit(7)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return {{0: "done", 7 << 8: "no memory"}}.get(status, f"status {{status}}")


def judge(name, call, value):
    ends = [attempt(call, value, spare) for spare in SPARES]
    assert set(ends) <= {{"done", "no memory"}}, (name, dict(zip(SPARES, ends)))
    assert ends[-1] == "done", (name, ends)
    return name


gc.disable()
"""
READING = """
size = MIB
def many(text): return b"[" + b",".join([text] * (size // (len(text) + 1))) + b"]"
judge("one text", loads, b'"' + b"x" * size + b'"')
judge("characters of four bytes", loads, '"' + "\\U0001f600" * (size // 4) + '"')
judge("texts of Latin", loads, many('"\\u00e9"'.encode()))
judge("lists", loads, many(b"[]"))
judge("objects", loads, many(b"{}"))
judge("objects with a field", loads, many(b'{"":0}'))
judge("objects with six fields", loads, many(b'{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0}'))
judge("deep objects", loads, many(b'{"":' * 500 + b"0" + b"}" * 500))
judge("deep lists", loads, many(b"[" * 500 + b"]" * 500))
judge("numbers", loads, many(b"1.5"))
judge("texts", loads, many(b'"ab"'))
judge("names", loads, b"{" + b",".join(b'"%x":0' % n for n in range(size // 8)) + b"}")
judge("as str", loads, many(b'{"":0}').decode())
"""
WRITING = """
judge("one text", dumps, "x" * MIB)
judge("euros", dumps, "\\u20ac" * MIB)
judge("quotes", dumps, '"' * MIB)
judge("a little text, many times", dumps, ["x" * 10] * 100_000)
judge("texts of a kilobyte", dumps, ["x" * 1000] * 2000)
judge("numbers", dumps, [1.2345678901234567e-300] * 100_000)
judge("nothing", dumps, [None] * 100_000)
judge("objects", dumps, [{"a": 1.5}] * 100_000)
judge("fields", dumps, {str(n): 1.5 for n in range(100_000)})
judge("deep", dumps, [[[["x" * MIB]]]])
"""
OURS = PREPARED.format(module="glyph_fast.json", read="loads", write="dumps")
GLYPHS = PREPARED.format(module="glyph_fast.glyph.runtime.jsontext", read="read", write="write")


@pytest.mark.parametrize("program", [OURS, GLYPHS], ids=["json", "glyph"])
@pytest.mark.parametrize("what", [READING, WRITING], ids=["reading", "writing"])
def test_json_without_memory_never_ends_the_process(program, what):
    done = subprocess.run(
        [sys.executable, "-c", program + what],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_is_room_for_a_little_and_not_for_everything():
    assert has_room(1)
    assert not has_room(1 << 62)
    assert not has_room(1 << 80)


def test_nothing_is_kept_of_what_was_looked_for():
    def size() -> int:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")

    before = size()
    for _ in range(100):
        assert has_room(64 << 20)
    assert size() - before < 64 << 20


@pytest.mark.parametrize("value", ["x", {"a": [1, 2.5, None, True]}, ["x"] * 1000, {}], ids=repr)
def test_what_needs_little_is_not_looked_for(value, monkeypatch):
    monkeypatch.setattr("mmap.mmap", lambda *_args, **_named: pytest.fail("looked for room"))
    assert can_write(value, _plain)
    assert can_read(b"x" * READ)


def test_what_stands_for_other_values_is_weighed_too():
    class Text(str):
        pass

    class Fields(dict):
        pass

    asked = []

    def plain(value):
        asked.append(value)
        return "x" * 1000

    marker = object()
    assert can_write([marker, Text("x"), Fields(a=Text("y")), (1, 2)], plain)
    assert asked == [marker]


def limit(monkeypatch, size):
    monkeypatch.setattr("resource.getrlimit", lambda _kind: (size, size))
    monkeypatch.setattr("resource.getrusage", lambda _who: SimpleNamespace(ru_maxrss=1000))


@pytest.mark.parametrize("size", [1 << 40, resource.RLIM_INFINITY])
def test_a_value_is_weighed_whole_only_where_memory_is_limited(monkeypatch, size):
    asked = []

    def plain(value):
        asked.append(value)
        return 1

    limit(monkeypatch, size)
    assert can_write([object()] * 10_000, plain)
    assert (len(asked) >= 10_000) == (size != resource.RLIM_INFINITY)


def test_a_process_that_has_held_much_weighs_all(monkeypatch):
    limit(monkeypatch, resource.RLIM_INFINITY)
    monkeypatch.setattr("resource.getrusage", lambda _who: SimpleNamespace(ru_maxrss=1 << 50))
    monkeypatch.setattr("mmap.mmap", lambda *_args, **_named: pytest.fail("looked for room"))
    with pytest.raises(pytest.fail.Exception):
        can_write("x" * MARGIN, _plain)


def test_what_holds_itself_is_left_to_the_careful_way(monkeypatch):
    limit(monkeypatch, 1 << 40)
    circle: list[object] = []
    circle += [circle, circle]
    assert not can_write(circle, _plain)
    shared: object = "x" * MARGIN
    for _ in range(64):
        shared = [shared, shared]
    assert not can_write(shared, _plain)


@pytest.mark.parametrize(
    ("value", "is_sure"),
    [
        ({"a": [1.5, -0.0, None, True, "NaN", 2**70]}, True),
        (1e308, True),
        (math.nan, False),
        ({"a": [1, (math.inf,)]}, False),
        ([-math.inf], False),
        ([object()], False),
        ([0] * BEGINNING, False),  # whose end it did not see
    ],
)
def test_what_was_walked_through_without_a_doubt_is_finite(value: Any, is_sure: bool) -> None:
    def plain(value: object) -> object:
        raise TypeError

    assert weigh(value, plain) == (FINITE if is_sure else ROOM)
    assert weigh([0.5], plain) == FINITE  # an earlier doubt is none of a later walk
