"""The growth curves: their points, what surrounds them, their page."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from bench.growth import SERIES, page, surroundings
from glyph_fast.load.swarm import LoadError
from tests.foreign import serving


@pytest.mark.parametrize("series", SERIES, ids=lambda series: series.name)
def test_points_grow(series: object) -> None:
    xs = [point.x for point in series.points]  # type: ignore[attr-defined]
    assert xs == sorted(set(xs))


def test_a_hundred_thousand_rooms_are_all_joined() -> None:
    (rooms,) = (series for series in SERIES if series.name == "rooms")
    for point in rooms.points:
        joined = sum(int(path.rpartition("/")[2]) for path in point.around)
        assert joined == point.x


def test_surroundings_are_open_while_the_block_runs() -> None:
    with serving() as url, surroundings(urlsplit(url).port or 0, ["/idle"] * 70) as serve:
        serve()


def test_surroundings_that_cannot_be_opened_are_an_error() -> None:
    with serving() as url:
        port = urlsplit(url).port or 0
    with pytest.raises(LoadError), surroundings(port, ["/idle"]):
        pytest.fail("nobody listens")


def test_the_page_shows_what_was_measured() -> None:
    points = [{"x": x, "cpu_us": 1.0, "rss_bytes": 5e6} for x in (10, 100, 1000)]
    found = {"date": "2030-01-01", "machine": {"cpus": 2}, "series": {"rooms": points}}
    text = page(found)
    assert text.count("<svg") == 2
    assert "1,000" in text
