"""`ci/attack`: what it runs exists, and its exit status tells what was found."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def attack() -> ModuleType:
    """The command, as a module."""
    loader = importlib.machinery.SourceFileLoader("attack", str(ROOT / "ci/attack"))
    spec = importlib.util.spec_from_loader("attack", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def run(attack, monkeypatch, arguments, *, finds=""):
    """Its exit status, and which attacks ran on which core; `finds` is a file that fails."""
    ran = []

    def pytest_run(command, **options):
        ran.append((command[-1], options["env"]["GLYPH_FAST_CORE"]))
        return SimpleNamespace(returncode=int(command[-1] == finds), stdout="1 passed in 1s\n")

    monkeypatch.setattr(attack.subprocess, "run", pytest_run)
    monkeypatch.setattr(sys, "argv", ["ci/attack", *arguments])
    return attack.main(), ran


def test_every_attack_is_there_and_is_told_of(attack):
    for name, arguments in attack.ATTACKS.items():
        assert f"\n    {name} " in attack.__doc__, name
        for file in arguments:
            assert file in ("-m", "soak") or (ROOT / file).exists(), file
    assert set(attack.SHORT) <= set(attack.ATTACKS)


def test_each_runs_once_on_each_core(attack, monkeypatch):
    status, ran = run(attack, monkeypatch, ["--minutes", "0", "mixed", "memory"])
    files = ["tests/abuse/test_mixed.py", "tests/faults/test_memory_limit.py"]
    assert (status, ran) == (0, [(file, core) for file in files for core in attack.CORES])


def test_a_minute_has_the_attacks_at_once(attack, monkeypatch):
    _, ran = run(attack, monkeypatch, ["--minutes", "0"])
    assert ("tests/abuse/test_mixed.py", "compiled") in ran


def test_what_is_found_is_the_exit_status(attack, monkeypatch, capsys):
    file = "tests/faults/test_memory_limit.py"
    status, ran = run(attack, monkeypatch, ["--minutes", "0", "memory", "mixed"], finds=file)
    assert status == 1 and len(ran) == 4  # the others run all the same
    assert "4 attacks, 2 with findings" in capsys.readouterr().out


def test_an_attack_nobody_knows_is_named(attack, monkeypatch, capsys):
    assert run(attack, monkeypatch, ["mixd"]) == (2, [])
    assert "no attack 'mixd'" in capsys.readouterr().out


def test_the_sanitizers_get_what_leaves_malloc_alone(attack, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(attack.subprocess, "call", lambda command, **_: ran.append(command) or 0)
    assert run(attack, monkeypatch, ["--sanitize", "--minutes", "9"]) == (0, [])
    ((_, _, *files),) = ran
    assert set(files) == {
        file for name in ("threads", "misuse", "mixed", "clients") for file in attack.ATTACKS[name]
    }
    assert run(attack, monkeypatch, ["--sanitize", "allocations"]) == (2, [])
    assert "run it without --sanitize" in capsys.readouterr().out
    assert len(ran) == 1
