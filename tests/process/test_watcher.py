"""`--reload`, in real processes: a change is served, and a bad one leaves what served before."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from glyph_fast.errors import ConfigError
from glyph_fast.options.config import Config
from glyph_fast.process import watcher
from glyph_fast.process.handover import VARIABLE
from glyph_fast.server.server import Server
from tests.serving import STOP_S, serving
from tests.succession import Service, get, program, succession

GLYPH = """
@ GET /version {
  > {version: VERSION}
}

@ ws /ws {
  on message {
    ws.send(input)
  }
}
"""


SLOW_TO_REPORT = """

def announce(line):
    print(line, flush=True)
    time.sleep(1)


if __name__ == "__main__":
    import time
    server.run(reload=True, port=0, announce=announce)
"""


def glyph(version: int) -> str:
    return GLYPH.replace("VERSION", str(version))


PROGRAMS = {"python": ("app.py", "app:server", program), "glyph": ("app.glyph", "app.glyph", glyph)}


@pytest.fixture(params=PROGRAMS)
def kind(request):
    """File, target and source of a program in each of the languages."""
    return PROGRAMS[request.param]


async def version_is(service: Service, version: int) -> None:
    async with asyncio.timeout(20):
        while (await asyncio.to_thread(get, service))["version"] != version:
            await asyncio.sleep(0.02)


def test_a_change_is_served_and_a_bad_one_leaves_the_former(run, tmp_path, kind):
    file, target, source = kind
    (tmp_path / file).write_text(source(1))

    async def main():
        with succession(target, "--reload", cwd=tmp_path) as service:
            first = await connect(service.ws("/ws"))
            (tmp_path / file).write_text(source(2) + "\n")
            await asyncio.to_thread(service.logged, "changed files=")
            with pytest.raises(ConnectionClosed):
                await first.recv()
            assert (first.close_code, first.close_reason) == (1012, "server is restarting")
            await version_is(service, 2)

            async with connect(service.ws("/ws")) as second:
                (tmp_path / file).write_text(source(3) + "} ) (\n")
                await asyncio.to_thread(service.logged, "not reloaded; the former .* status=1")
                assert f"{file}" in service.log()
                await second.send("7")
                assert await second.recv() == "7"
                await version_is(service, 2)

                (tmp_path / file).write_text(source(40))
                with pytest.raises(ConnectionClosed):
                    await second.recv()
                assert second.close_code == 1012
            await version_is(service, 40)

    run(main(), deadline=90)


def test_nobody_is_refused_while_it_reloads(run, tmp_path):
    (tmp_path / "app.py").write_text(program(1))

    async def main():
        with succession("app:server", "--reload", cwd=tmp_path) as service:
            stop = threading.Event()
            versions = set()

            def ask() -> None:
                while not stop.is_set():
                    versions.add(get(service)["version"])

            asking = [asyncio.create_task(asyncio.to_thread(ask)) for _ in range(3)]
            for version in (2, 3):
                (tmp_path / "app.py").write_text(program(version) + "#" * version)
                await asyncio.to_thread(service.logged, "reloaded")
                await version_is(service, version)
            stop.set()
            await asyncio.gather(*asking)  # which raise what was refused
            assert versions == {1, 2, 3}

    run(main(), deadline=90)


def test_a_glyph_file_loaded_from_elsewhere_is_watched(run, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (there / "app.glyph").write_text(glyph(1))
    (here / "app.py").write_text(
        "from glyph_fast import GlyphServer\n\nserver = GlyphServer()\n"
        "server.load('../there/app.glyph')\n"
    )

    async def main():
        with succession("app:server", "--reload", cwd=here) as service:
            await version_is(service, 1)
            await asyncio.to_thread(service.logged, f"watching .*{there}")
            (there / "app.glyph").write_text(glyph(22))
            await version_is(service, 22)

    run(main(), deadline=60)


def test_a_program_that_does_not_load_at_first_is_waited_for(tmp_path):
    (tmp_path / "app.py").write_text("1 / 0")
    process = subprocess.Popen(
        [sys.executable, "-m", "glyph_fast", "serve", "app:server", "--reload", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        for line in process.stderr:
            if "not started; waiting for a change" in line:
                break
        (tmp_path / "app.py").write_text(program(1))
        process.send_signal(signal.SIGHUP)  # one more reason to look
        assert process.stdout.readline().startswith("glyph-fast listening on http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_server_that_crashes_is_started_again_by_the_next_change(run, tmp_path):
    (tmp_path / "app.py").write_text(program(1))

    async def main():
        with succession("app:server", "--reload", cwd=tmp_path) as service:
            os.kill((await asyncio.to_thread(get, service))["pid"], signal.SIGKILL)
            await asyncio.to_thread(service.logged, "the server ended; waiting for a change")
            # The socket is open still: this one waits until somebody serves it.
            asked = asyncio.create_task(asyncio.to_thread(get, service))
            (tmp_path / "app.py").write_text(program(22))
            assert (await asked)["version"] == 22

    run(main(), deadline=60)


def test_the_server_ends_with_its_watcher(run, tmp_path):
    (tmp_path / "app.py").write_text(program(1))

    async def main():
        with serving("app:server", "--reload", cwd=tmp_path) as service:
            async with connect(service.ws("/ws")) as client:
                service.kill()
                with pytest.raises(ConnectionClosed):
                    await client.recv()
                assert client.close_code == 1001

    run(main())


def test_the_server_ends_with_a_watcher_that_has_not_heard_it_is_ready(tmp_path):
    """What lies unread when an end of a socket is closed resets the other end."""
    (tmp_path / "app.py").write_text(program(1))
    starter, channel = socket.socketpair()
    given = {"channel": channel.fileno(), "is_watched": True, "places": {}}
    process = subprocess.Popen(
        [sys.executable, "-m", "glyph_fast", "serve", "app:server", "--reload", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, VARIABLE: json.dumps(given)},
        pass_fds=[channel.fileno()],
        stdout=subprocess.PIPE,
    )
    with starter, channel, process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            channel.close()
            select.select([starter], [], [], STOP_S)  # READY is there, and stays unread
            starter.close()
            assert process.wait(STOP_S) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--port", "x"], 2, "--port"),
        (["--host", "192.0.2.1"], 3, "could not listen"),
    ],
)
def test_what_no_change_repairs_ends_it(tmp_path, arguments, status, message):
    (tmp_path / "app.py").write_text(program(1))
    done = subprocess.run(
        [sys.executable, "-m", "glyph_fast", "serve", "app:server", "--reload", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, message in done.stderr) == (status, True)
    assert "Traceback" not in done.stderr


def test_a_script_that_runs_itself_reloads_as_well(run, tmp_path):
    script = "\n\nif __name__ == '__main__':\n    server.run(reload=True, port=0)\n"
    (tmp_path / "app.py").write_text(program(1) + script)

    async def main():
        with succession(script="app.py", cwd=tmp_path) as service:
            (tmp_path / "app.py").write_text(program(22) + script)
            await version_is(service, 22)

    run(main(), deadline=60)


def test_a_server_that_just_began_to_accept_drains_when_its_watcher_is_stopped(tmp_path):
    (tmp_path / "app.py").write_text(program(1) + SLOW_TO_REPORT)
    with succession(script="app.py", cwd=tmp_path) as service:  # the watcher waits for its word
        assert service.stop() == 0
        assert "stopped" in service.log()


def test_a_program_that_is_still_loading_ends_with_its_watcher(tmp_path):
    (tmp_path / "app.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "glyph_fast", "serve", "app:server", "--reload", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "loading\n"
        process.terminate()
        assert process.wait(STOP_S) == 0
    finally:
        process.kill()
        process.communicate()


def test_without_watchfiles_it_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(watcher.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs watchfiles: pip install 'glyph-fast\[reload\]'"):
        Server().run(reload=True)


def test_it_is_refused_where_it_cannot_work(run, monkeypatch):
    with pytest.raises(ConfigError, match="for run"):
        run(Server(Config(reload=True)).serve())
    monkeypatch.setattr(watcher.sys, "platform", "win32")
    with pytest.raises(ConfigError, match="Windows"):
        watcher.check_watching()
