"""Every input that a fuzzer found worth keeping, and every one that once broke something."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import HERE, KINDS, kept, seeds
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_target_survives_what_is_kept(name: str) -> None:
    inputs = kept(name)
    assert inputs
    for data in inputs:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_target_survives_its_seeds(name: str) -> None:
    for data in seeds(name)[:40]:
        TARGETS[name](data)


def test_nothing_is_kept_for_a_target_that_is_gone() -> None:
    assert {path.name for kind in KINDS for path in (HERE / kind).iterdir()} <= set(TARGETS)
