"""The cost of being watched: that the watchers watch, and that a claim needs samples apart."""

from __future__ import annotations

import pytest

from bench.overhead import judge, markdown, watching, works
from bench.rivals.process import RunFailed, free_port
from tests.serving import ROOT, serving

ECHO, *_, IDLE = (work.figures[0] for work in works(100))


def test_the_watchers_are_told_by_a_real_server() -> None:
    with serving("--admin", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        port = int(server.process.stdout.readline().decode().rpartition(":")[2])
        with watching(port) as watchers:
            while not watchers.scrapes or watchers.figures < 2:
                assert not watchers.failures
        assert watchers.scrapes and watchers.figures


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_watchers_that_are_not_answered_are_an_error() -> None:
    with pytest.raises(RunFailed, match="nobody was told"), watching(free_port()):
        pass


def test_a_difference_counts_only_where_the_samples_stand_apart() -> None:
    assert judge(ECHO, {"off": [10.0, 10.1], "on": [11.0, 11.1]}) == "+10.0%"
    within = judge(ECHO, {"off": [10.0, 10.2], "on": [10.1, 10.3]})
    assert within == "+1.0%, within the spread"


def test_standing_by_is_told_as_a_share_of_a_cpu() -> None:
    sides = {"off": [1.0, 1.0], "on": [11.0, 11.0]}
    assert judge(IDLE, sides) == "+1.00% of a CPU"
    document = {"date": "2030-01-01", "commit": "abc", "machine": {"cpus": 2}, "repetitions": 2,
                "figures": {"idle": sides}}  # fmt: skip
    assert "100 idle connections | ms | 1 (1–1) | 11 (11–11) | +1.00% of a CPU |" in markdown(
        document, [IDLE]
    )


def test_the_page_says_how_it_is_measured_and_where_the_result_is() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert "python -m bench.overhead" in page
    assert list((ROOT / "bench/results").glob("*-overhead.md"))
