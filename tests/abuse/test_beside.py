"""What attacks are compared with is well-behaved, and the comparison runs."""

from __future__ import annotations

import os
import sys

import pytest

from glyph_fast import json
from tests.abuse import beside
from tests.abuse.attacks import attacks
from tests.abuse.company import company_of, plain_json
from tests.abuse.pinning import apart
from tests.abuse.reader import desk

COMPANIES = {company_of(name, data): name for name, data in attacks().items()}


@pytest.mark.parametrize("name", COMPANIES.values())
def test_good_company_sends_as_much_and_is_served(name):
    data = attacks()[name]
    _, good = company_of(name, data)
    assert abs(len(good) - len(data)) < 2000
    if b"POST" not in good[:4]:  # which needs a loop
        answer = bytes(desk().client().send(good).pipe.data)
        assert answer.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 200 ")), answer[:80]


def test_plain_json_is_json():
    for size in (1000, 60_000, 500_000):
        assert len(plain_json(size)) == size and json.loads(plain_json(size))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_who_is_pinned_is_let_go():
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        with apart(lambda: os.sched_getaffinity(0)) as first:
            assert len(first | os.sched_getaffinity(0)) == 2
    assert os.sched_getaffinity(0) == before


def test_the_comparison_prints_the_table_that_is_kept(monkeypatch, capsys):
    words = ["ci/bystander", "--seconds", "0.1", "--rounds", "1", "head: Range"]
    monkeypatch.setattr(sys, "argv", words)
    beside.main()
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if line.startswith("| head: ")]
    heads = lines[lines.index(row) - 2]
    assert heads.count("|") == row.count("|") == 9
    assert all(float(cell.strip(" !")) > 0 for cell in row.split("|")[2:-1])
    assert "--seconds 0.1" in "".join(lines) and "within three times" in lines[-1]
