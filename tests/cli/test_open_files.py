"""The limit on open files."""

from __future__ import annotations

import resource

import pytest

from glyph_fast.cli.open_files import MARGIN, is_too_low, raise_open_file_limit


class FakeResource:
    def __init__(self, soft: int, hard: int, *, refuses: bool = False) -> None:
        self.limits = (soft, hard)
        self.refuses = refuses

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == resource.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        if self.refuses:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "refuses", "after", "answer"),
    [
        (1024, 4096, False, (4096, 4096), 4096),
        (4096, 4096, False, (4096, 4096), 4096),
        (256, resource.RLIM_INFINITY, True, (256, resource.RLIM_INFINITY), 256),
        (256, resource.RLIM_INFINITY, False, (resource.RLIM_INFINITY,) * 2, None),
    ],
)
def test_soft_limit_is_raised_to_the_hard_one(soft, hard, refuses, after, answer, monkeypatch):
    fake = FakeResource(soft, hard, refuses=refuses)
    monkeypatch.setattr(resource, "getrlimit", fake.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", fake.setrlimit)
    assert raise_open_file_limit() == answer
    assert fake.limits == after


def test_there_is_no_limit_on_windows(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    assert raise_open_file_limit() is None


@pytest.mark.parametrize(
    ("limit", "too_low"), [(None, False), (1000 + MARGIN, False), (999 + MARGIN, True)]
)
def test_limit_has_to_cover_connections_and_a_margin(limit, too_low):
    assert is_too_low(limit, 1000) is too_low
