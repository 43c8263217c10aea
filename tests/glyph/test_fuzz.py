"""Texts nobody would write: whatever comes in, an answer comes out."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glyph_fast.glyph.serving.load import GlyphLoadError, diagnose, load_source
from glyph_fast.glyph.syntax.declarations import HttpRoute
from glyph_fast.glyph.syntax.format import CannotFormat, format_source
from glyph_fast.glyph.syntax.source import Source, UndecodableSource
from tests.glyph.evaluator import Evaluator, Fails
from tests.glyph.generator import Generator
from tests.glyph.harness import World
from tests.glyph.trees import items_of

CASES = Path(__file__).parent / "cases"
SAMPLES = [path.read_text() for path in sorted(CASES.glob("*.glyph"))]
ALPHABET = (
    "@ : $ + - * / % > >= < <= ! != ? ~ & && | || |> = == => -> . ... , ( ) { } [ ] \n # // ; "
    "GET ws on message connect if else while for in match when async await case default let return "
    'const import from "./x" "a" \'b\' 1 2.5 true null x y input room ws.send length /a /:b _ § \\ '
).split(" ")

quick = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def answer(text: str) -> None:
    """Whatever the text is, loading it either works or raises the one error it may raise."""
    source = Source("fuzz", text)
    for diagnostic in diagnose(source):
        assert diagnostic.render()
        assert diagnostic.line <= text.count("\n") + 1
    try:
        load_source(source, skip_unsupported=True)
    except GlyphLoadError as error:
        assert error.diagnostics
    try:
        formatted = format_source(source)
    except CannotFormat:
        return
    assert format_source(Source("again", formatted)) == formatted


@quick
@given(st.text(max_size=300))
def test_any_text_gets_an_answer(text: str) -> None:
    answer(text)


@quick
@given(st.lists(st.sampled_from(ALPHABET), max_size=120))
def test_any_tokens_get_an_answer(words: list[str]) -> None:
    answer(" ".join(words))


@quick
@given(st.lists(st.sampled_from(ALPHABET), max_size=60))
def test_any_tokens_in_a_body_get_an_answer(words: list[str]) -> None:
    answer("@ GET /x/:room {\n" + " ".join(words) + "\n}\n")


@quick
@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    try:
        source = Source.from_bytes("fuzz", data)
    except UndecodableSource as error:
        assert error.position.line >= 1
    else:
        answer(source.text)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_samples_get_an_answer(seed: int) -> None:
    random = Random(seed)
    text = random.choice(SAMPLES)
    for _ in range(random.randint(1, 6)):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice((0, 0, 1, 1, 2, 5, 40)))
        inserted = random.choice(("", "", *ALPHABET, text[end : end + 20]))
        text = text[:start] + inserted + text[end:]
    answer(text)


@pytest.mark.parametrize("seed", range(120))
def test_compiled_code_does_what_a_plain_evaluator_does(seed: int) -> None:
    text = Generator(seed).program()
    assert outcome_compiled(text) == outcome_plain(text), text


def outcome_compiled(text: str) -> Any:
    world = World(text)
    reply = world.get("/run")
    return "fails" if reply.status == 500 else normal(reply.json)


def outcome_plain(text: str) -> Any:
    items = items_of(text)
    route = next(item for item in items if isinstance(item, HttpRoute))
    try:
        value = Evaluator(items).route(route)
        return normal(json.loads(json.dumps(value, allow_nan=False)))
    except (Fails, ValueError):  # a value that contains itself has no JSON
        return "fails"


def normal(value: Any) -> Any:
    """A JSON value with floats that are whole as integers, as they are written."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    return value


def test_generated_programs_mostly_run_to_their_end() -> None:
    ends = [outcome_compiled(Generator(seed).program()) != "fails" for seed in range(40)]
    assert sum(ends) >= 12
