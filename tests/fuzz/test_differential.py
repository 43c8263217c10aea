"""Random conversations: both twins against the RFCs, these against wsproto and websockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glyph_fast import _core, _pure
from tests.fuzz import oracles
from tests.fuzz.conversations import conversation
from tests.fuzz.decisions import DECISIONS, Decision
from tests.fuzz.differential import check
from tests.fuzz.model import judge
from tests.fuzz.oracles import Heard, ours
from tests.vectors import VIOLATIONS

SEEDS = 600
BATCH = 100

ORACLES: dict[str, Callable[..., Heard]] = {
    "wsproto": oracles.wsproto,
    "websockets": oracles.websockets,
}


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_random_conversations_are_heard_as_the_rfcs_say(first):
    for seed in range(first, first + BATCH):
        check(seed, deflate=False)
        check(seed, deflate=True)


@pytest.mark.parametrize("row", DECISIONS, ids=lambda row: f"{row.oracle} {row.name}")
def test_decision_is_about_what_the_others_really_do(row: Decision):
    judgement = judge(row.example, deflate=row.deflate)
    theirs = ORACLES[row.oracle]([row.example], deflate=row.deflate)
    assert theirs.close == row.close
    assert theirs != judgement.heard
    assert row.applies(judgement, theirs)
    for twin in (_core, _pure):
        assert ours(twin, [row.example], deflate=row.deflate) == judgement.heard


@pytest.mark.parametrize("case", VIOLATIONS, ids=lambda case: case.name)
def test_model_knows_the_violations_of_the_table(case):
    if case.code != 1009:  # that one goes by another limit
        assert judge(case.data).heard.close == case.code


def test_conversations_reach_every_rule():
    reached = {
        judge(conversation(seed, deflate=True)[0], deflate=True).rule for seed in range(4000)
    }
    assert reached == {
        "",
        "close code",
        "close reason",
        "continuation of nothing",
        "deflate",
        "fragmented control frame",
        "half a close code",
        "length form",
        "length sign",
        "long control frame",
        "message inside a message",
        "not masked",
        "opcode",
        "reserved bits",
        "size",
        "utf-8",
        "utf-8 in compressed text",
    }
