"""How many workers `auto` is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glyph_fast import Config, ConfigError
from glyph_fast.options import processors as module
from glyph_fast.options.processors import processors


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Eight processors, and control groups in a folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    own = tmp_path / "own"
    own.write_text("1:cpu:/old\n0::/a/b\n")
    groups = tmp_path / "groups"
    (groups / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(module, "_OWN_GROUP", own)
    monkeypatch.setattr(module, "_GROUPS", groups)
    return groups


def test_auto_is_what_the_affinity_allows() -> None:
    assert Config(workers="auto").workers == 8


@pytest.mark.parametrize(
    ("own", "above", "count"),
    [("max 100000", "max 100000", 8), ("250000 100000", "max 100000", 3),
     ("max 100000", "100000 100000", 1), ("10000 100000", "400000 100000", 1),
     ("1600000 100000", "max 100000", 8), ("nonsense", "max 100000", 8)],
)  # fmt: skip
def test_a_quota_of_the_control_group_counts(eight: Path, own: str, above: str, count: int) -> None:
    (eight / "a" / "b" / "cpu.max").write_text(own + "\n")
    (eight / "a" / "cpu.max").write_text(above + "\n")
    assert processors() == count


def test_a_machine_without_control_groups_has_its_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_OWN_GROUP", tmp_path / "absent")
    assert processors() == 8


@pytest.mark.parametrize("value", [0, -1, 257, "many", 1.5, True])
def test_a_bad_number_of_workers_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="workers: expected a whole number .* or auto, found"):
        Config(workers=value)  # type: ignore[arg-type]
