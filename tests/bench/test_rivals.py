"""The other servers: that they are described right, and that the floor does what a server must."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from bench.rivals import installation
from bench.rivals.catalogue import BY_NAME, RIVALS, SERVERS, TLS_RIVALS, certificate
from bench.rivals.process import RunFailed, serving
from bench.rivals.table import markdown
from bench.rivals.works import FIGURES, WORKS
from glyph_fast.load.payloads import make_events


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that has the floor and nothing else."""
    folder = tmp_path_factory.mktemp("rivals")
    (folder / "bin").mkdir()
    source, target = str(SERVERS / "floor.c"), str(folder / "bin" / "floor")
    flags = ["-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", *flags, "-o", target, source], check=True)
    installation._openssl(folder)
    return folder


FLOORS = pytest.mark.parametrize("name", ["floor-each", "floor-turn", "floor-tls"])


def client(name: str, cache: Path, port: int, path: str) -> Any:
    if not BY_NAME[name].tls:
        return connect(f"ws://127.0.0.1:{port}{path}", compression=None, max_size=None)
    context = ssl.create_default_context(cafile=certificate(cache)[0])
    url = f"wss://127.0.0.1:{port}{path}"
    return connect(url, ssl=context, compression=None, max_size=None)


@FLOORS
def test_the_floor_echoes_every_size(name: str, cache: Path) -> None:
    with serving(BY_NAME[name], cache, None) as (port, _):
        with client(name, cache, port, "/echo") as ws:
            for message in ("", "hi", "x" * 200, "y" * 70_000, b"z" * 2_000_000):
                ws.send(message)
                assert ws.recv(5) == message
            for number in range(300):
                ws.send(str(number) * 20)
            assert [ws.recv(5) for _ in range(300)] == [str(n) * 20 for n in range(300)]
            assert ws.ping().wait(5)
        assert ws.close_code == 1000


@FLOORS
def test_the_floor_sends_to_all_members_but_the_publisher(name: str, cache: Path) -> None:
    with serving(BY_NAME[name], cache, None) as (port, _):
        one, two, three = (client(name, cache, port, "/room/a") for _ in range(3))
        with one, two, three:
            for ws in (one, two, three):
                assert ws.ping().wait(5)  # it has joined
            for number in range(50):
                one.send(f"one {number}")
                two.send(f"two {number}")
            from_two = [one.recv(5) for _ in range(50)]
            from_one = [two.recv(5) for _ in range(50)]
            both = [three.recv(5) for _ in range(100)]
    assert from_one == [f"one {n}" for n in range(50)]
    assert from_two == [f"two {n}" for n in range(50)]
    assert [m for m in both if m in from_one] == from_one
    assert [m for m in both if m in from_two] == from_two


def test_a_server_that_does_not_start_says_why(cache: Path) -> None:
    with pytest.raises(RunFailed), serving(BY_NAME["gorilla"], cache, None):
        pytest.fail("nothing can be listening")


def test_every_program_of_the_catalogue_is_there() -> None:
    for rival in RIVALS + TLS_RIVALS:
        for word in rival.command(Path("/nowhere"), 1):
            if word.startswith(str(SERVERS)):
                assert Path(word).exists(), word
    assert {"c", "python", "bun", "node", "go", "ours"} == {rival.needs for rival in RIVALS}
    assert all(rival.tls for rival in TLS_RIVALS) and not any(rival.tls for rival in RIVALS)


def document(**changes: Any) -> dict[str, Any]:
    names = ["floor-each", "floor-turn", "glyph-fast", "bun"]
    values: dict[str, Any] = {
        "date": "2030-01-01 00:00 UTC",
        "commit": "abc",
        "machine": {
            **{"processor": "P", "cpus": 2, "memory_gib": 4, "virtual": True},
            **{"system": "Linux", "python": "3", "load_average": 0},
        },
        "versions": {"bun": "1.2.3"},
        "plan": {
            **{"repetitions": 3, "server_cpu_seconds": 2.0, "order": names},
            **{"server_on_cpu": 0, "client_on_cpu": 1},
        },
        "titles": {name: BY_NAME[name].title for name in names},
        "figures": {
            "echo-64-1": {"floor-each": [5, 4, 6], "floor-turn": [4, 4, 4], "glyph-fast": [6, 5, 7]}
        },
        "not_run": {"bun": "no npm"},
        "failures": {},
        "reports": [],
    }
    return {**values, **changes}


def test_the_table_shows_medians_their_spread_and_ratios_to_the_better_floor() -> None:
    text = markdown(document())
    assert "| glyph-fast | 6.00 (5.00–7.00) |" in text
    assert "| glyph-fast | 1.50 |" in text
    assert "| C floor, a send each | 1.25 |" in text


def test_what_speaks_tls_is_compared_with_the_floor_that_does() -> None:
    figures = {"floor-turn": [4.0], "glyph-fast": [6.0], "floor-tls": [5.0], "bun-tls": [10.0]}
    names = list(figures)
    plan = document()["plan"] | {"order": names}
    titles = {name: BY_NAME[name].title for name in names}
    text = markdown(document(plan=plan, titles=titles, figures={"echo-64-1": figures}, not_run={}))
    ratios = text.partition("multiples")[2]
    assert "| glyph-fast | 1.50 |" in ratios
    assert "| Bun (uWebSockets, BoringSSL) 1.2.3 | 2.00 |" in ratios


def test_a_server_that_cannot_be_installed_is_a_row_with_the_reason() -> None:
    assert "| Bun (uWebSockets) 1.2.3 | not run: no npm |" in markdown(document())


def test_a_failed_run_is_told_below_the_table() -> None:
    text = markdown(document(failures={"echo-64-1": {"floor-turn": "it fell over"}}))
    assert "failed at echo-64-1: it fell over" in text


def test_figures_have_one_name_each() -> None:
    assert len(FIGURES) == sum(len(work.figures) for work in WORKS)


@pytest.mark.parametrize("path", ["/json", "/json-typed"])
def test_ours_answers_events_with_their_data(path: str, tmp_path: Path) -> None:
    ((event, *_), (beginning, *_)) = make_events("move", 200, 1)
    with serving(BY_NAME["glyph-fast"], tmp_path, None) as (port, _):
        with connect(f"ws://127.0.0.1:{port}{path}") as ws:
            ws.send(event)
            answer = ws.recv(5)
    assert isinstance(answer, str)
    assert answer.startswith(beginning)


def test_a_work_names_servers_that_there_are() -> None:
    for work in WORKS:
        assert work.servers is None or work.servers <= BY_NAME.keys()


def test_there_are_no_multiples_of_a_floor_that_was_not_run() -> None:
    figures = {"json-1": {"bun": [6.0]}}
    text = markdown(document(figures=figures, not_run={}))
    assert "JSON event" in text
    assert "multiples" not in text
