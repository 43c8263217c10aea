"""What docs/deploy.md and `deploy/` say, done: real proxies, a real checker, the commands as shown.

Files are used as they lie in `deploy/`; only paths, ports and the host's name are exchanged for
those of the test. What needs systemd or Docker to be running is not run, and the page says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.engine.certificates import Certificate, make_certificate
from tests.engine.peers import eventually
from tests.serving import ROOT, ServeProcess, serving

DEPLOY = ROOT / "deploy"
PAGE = ROOT / "docs/deploy.md"
START_S = 30.0
TOKENS = {"Ada's-token": "ada", "Bob's-token": "bob"}
PROXY_TIMEOUT_S = 1  # in place of the 75 s of nginx.conf


def changed(text: str, changes: Mapping[str, str]) -> str:
    """The text with parts exchanged, each of which must be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"{process.args} does not listen\n{log.read_text()}", pytrace=False)
            time.sleep(0.01)


# Proxies ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("deploy")


@pytest.fixture(scope="module")
def certificate(folder) -> Certificate:
    return make_certificate(folder, "localhost")


@pytest.fixture(scope="module")
def app(folder) -> Iterator[ServeProcess]:
    """The application with its own configuration; pings come soon enough for the short time-out."""
    for name in ("app.py", "glyph-fast.toml"):
        shutil.copy(DEPLOY / name, folder)
    lines = [f"{token} {user}\n" for token, user in TOKENS.items()]
    (folder / "tokens").write_text("".join(lines))
    options = ["--admin", "127.0.0.1:0", "--ping-interval", f"{PROXY_TIMEOUT_S * 300}ms"]
    with serving("app:server", *options, cwd=folder) as server:
        yield server


@contextmanager
def running(command: list[str], port: int, log: Path, **env: str) -> Iterator[int]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **env}, cwd=log.parent
        )
    try:
        until_listening(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait(START_S)


@contextmanager
def nginx(folder: Path, app: ServeProcess, certificate: Certificate) -> Iterator[int]:
    port = free_port()
    live = "/etc/letsencrypt/live/chat.example.com"
    snippet = changed(
        (DEPLOY / "nginx.conf").read_text(),
        {
            "127.0.0.1:8080": f"127.0.0.1:{app.port}",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "chat.example.com;": "localhost;",
            f"{live}/fullchain.pem": certificate.cert,
            f"{live}/privkey.pem": certificate.key,
            "proxy_read_timeout 75s": f"proxy_read_timeout {PROXY_TIMEOUT_S}s",
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/nginx-{kind};\n" for kind in kinds)
    config = folder / "nginx-test.conf"
    config.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nworker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{snippet}}}\n"
    )
    log = folder / "nginx.log"
    subprocess.run(["nginx", "-t", "-e", str(log), "-c", str(config)], check=True, timeout=START_S)
    with running(["nginx", "-e", str(log), "-c", str(config)], port, log):
        yield port


@contextmanager
def caddy(folder: Path, app: ServeProcess, certificate: Certificate) -> Iterator[int]:
    port = free_port()
    site = changed(
        (DEPLOY / "Caddyfile").read_text(),
        {
            "chat.example.com {": f"https://localhost:{port} {{\n\tbind 127.0.0.1\n"
            f"\ttls {certificate.cert} {certificate.key}",
            "127.0.0.1:8080": f"127.0.0.1:{app.port}",
        },
    )
    config = folder / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with running(command, port, folder / "caddy.log", **home):
        yield port


PROXIES = {"nginx": nginx, "caddy": caddy}


class Site:
    """The service as its users see it, behind a proxy."""

    def __init__(self, port: int, certificate: Certificate) -> None:
        self.origin = f"https://localhost:{port}"
        self._url = f"wss://localhost:{port}/rooms/blue"
        self.trusting = ssl.create_default_context(cafile=certificate.cert)

    def connect(self, token: str = "Ada's-token", **options):
        headers = options.pop("headers", {})
        if token:
            headers = {"Authorization": f"Bearer {token}", **headers}
        options.setdefault("origin", self.origin)
        return connect(self._url, ssl=self.trusting, additional_headers=headers, **options)


@pytest.fixture(scope="module", params=PROXIES)
def site(request, folder, app, certificate) -> Iterator[Site]:
    with PROXIES[request.param](folder, app, certificate) as port:
        yield Site(port, certificate)


async def receive(client: ClientConnection):
    async with asyncio.timeout(10):
        return json.loads(await client.recv())


class TestBehindAProxy:
    def test_people_meet_in_a_room(self, run, site):
        async def main():
            async with site.connect() as ada, site.connect("Bob's-token") as bob:
                assert (await receive(ada))["you"] == "ada"
                assert (await receive(bob))["you"] == "bob"
                await ada.send("hello")
                for client in (ada, bob):
                    assert await receive(client) == {"user": "ada", "text": "hello"}

        run(main())

    def test_who_has_no_token_gets_no_further(self, run, site):
        async def main():
            with pytest.raises(InvalidStatus) as refused:
                await site.connect("another")
            assert refused.value.response.status_code == 401
            assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"
            async with site.connect("", headers={"Cookie": "token=Ada's-token"}) as client:
                assert (await receive(client))["you"] == "ada"

        run(main())

    def test_the_origin_rule_holds(self, run, site):
        async def main():
            for origin in ("https://evil.example", site.origin + "0"):
                with pytest.raises(InvalidStatus) as refused:
                    await site.connect(origin=origin)
                assert refused.value.response.status_code == 403

        run(main())

    def test_the_client_s_address_is_the_client_s(self, run, site):
        lies = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9",
                "X-Forwarded-Host": "evil.example"}  # fmt: skip

        async def main():
            local = ("127.0.0.2", 0)
            for headers in ({}, lies):
                async with site.connect(local_addr=local, headers=headers) as client:
                    assert (await receive(client))["from"] == "127.0.0.2"

        run(main())

    def test_a_large_message_gets_through_and_a_larger_one_is_1009(self, run, site):
        async def main():
            async with site.connect(compression=None) as client:
                await receive(client)
                await client.send("x" * 60_000)
                assert (await receive(client))["text"] == "x" * 60_000
                await client.send("x" * 70_000)
                await asyncio.wait_for(client.wait_closed(), 10)
                assert client.close_code == 1009

        run(main())

    def test_pings_keep_an_idle_connection_open(self, run, site):
        async def main():
            async with site.connect(ping_interval=None) as client:
                await receive(client)
                await asyncio.sleep(2.2 * PROXY_TIMEOUT_S)  # the wait is what is tested
                await client.send("still here")
                assert (await receive(client))["text"] == "still here"

        run(main())

    def test_too_many_messages_end_the_connection(self, run, site, app):
        async def main():
            before = app.log().count('"code": 1008')
            async with site.connect() as client:
                with suppress(ConnectionClosed):
                    for _ in range(100):
                        await client.send("spam")
                # The close lies behind the messages that were let through.
                async with asyncio.timeout(10):
                    with suppress(ConnectionClosed):
                        async for _ in client:
                            pass
                    await client.wait_closed()
                # A proxy that still has messages to pass on may lose the close frame over them.
                assert client.close_code in (1008, 1006)
            await eventually(lambda: app.log().count('"code": 1008') > before)

        run(main())


# Files --------------------------------------------------------------------------------------------


@pytest.fixture
def units(tmp_path) -> list[str]:
    """The units; their program, which is not installed here, is one that is."""
    program = "/opt/glyph-fast/venv/bin/glyph-fast"
    service = changed((DEPLOY / "glyph-fast.service").read_text(), {program: sys.executable})
    (tmp_path / "glyph-fast.service").write_text(service)
    shutil.copy(DEPLOY / "glyph-fast.socket", tmp_path)
    return [str(tmp_path / f"glyph-fast.{kind}") for kind in ("service", "socket")]


def test_systemd_finds_nothing_wrong_with_the_units(units):
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=START_S
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_calls_the_service_well_confined(units):
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", units[0]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S)
    assert done.returncode == 0, done.stdout[-200:]


def test_the_unit_waits_longer_than_a_drain_takes():
    service = (DEPLOY / "glyph-fast.service").read_text()
    options = (DEPLOY / "glyph-fast.toml").read_text()
    assert "drain" not in options  # the default of ten seconds
    assert int(re.search(r"TimeoutStopSec=(\d+)s", service)[1]) > 2 * 10
    assert int(re.search(r"LimitNOFILE=(\d+)", service)[1]) > 5000
    assert "max_connections = 5000" in options


@pytest.fixture(scope="module")
def venv(folder) -> Path:
    """Where the first of two tests installs the package afresh and the second once more."""
    return folder / "venv"


def plain_environ() -> dict[str, str]:
    """The environment without what the tests themselves set for glyph-fast."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("GLYPH_FAST_", "PYTHON"))}  # fmt: skip


def dockerfile() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text()
    return re.findall(r"^([A-Z]+) (.*)", text, re.MULTILINE)


@contextmanager
def source_tree(target: Path) -> Iterator[None]:
    """What `COPY . .` takes of a fresh checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    yield


@pytest.mark.slow
def test_the_dockerfile_s_commands_make_and_start_a_server(tmp_path, venv):
    """Each as written, in folders of the test, but without compiling: that is for ci/dist."""
    folders = {"/opt/venv": venv, "/src": tmp_path / "src", "/app": tmp_path / "app"}
    folders["/src"].mkdir()
    folders["/app"].mkdir()

    def here(command: str) -> str:
        for path, folder in folders.items():
            command = command.replace(path, str(folder))
        return command

    environ = plain_environ()
    place, ran, exposed = tmp_path, [], 0
    with source_tree(folders["/src"]):
        for word, rest in dockerfile():
            if word == "WORKDIR":
                place = folders[rest]
            elif word == "ENV":
                assert rest == "GLYPH_FAST_BUILD=yes"
                environ["GLYPH_FAST_BUILD"] = "no"
            elif word == "COPY" and rest.startswith("deploy/"):
                source, target = rest.split()
                shutil.copy(ROOT / source, place / target)
            elif word == "RUN" and rest.startswith("apt-get"):
                assert shutil.which(rest.split()[-2])  # gcc, the first of what it installs
            elif word == "RUN":
                subprocess.run(shlex.split(here(rest)), cwd=place, env=environ, check=True)
                ran.append(rest)
            elif word == "EXPOSE":
                exposed = int(rest)
            elif word == "HEALTHCHECK":
                check = json.loads(rest.partition("CMD ")[2])
    assert len(ran) == 3
    (start,) = (json.loads(rest) for word, rest in dockerfile() if word == "CMD")
    assert start[-2:] == ["--port", str(exposed)]
    port = free_port()
    (place / "tokens").write_text("t ada\n")
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [here(each).replace(str(exposed), str(port)) for each in start],
            cwd=place, env=environ, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        until_listening(port, process, log)
        command = [here(each).replace(str(exposed), str(port)) for each in check]
        subprocess.run(command, check=True, env=environ, timeout=START_S)
    finally:
        process.terminate()
        assert process.wait(START_S) == 0


# The page -----------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_names_every_file():
    named = re.findall(r"\(\.\./deploy/([\w.-]+)\)", PAGE.read_text())
    assert {*named} == {file.name for file in DEPLOY.iterdir() if file.is_file()}


@pytest.mark.slow
def test_the_page_s_commands_work_as_written(tmp_path, venv):
    """The blocks in order, by a shell; folders, ports and systemd's tool are the test's own."""
    opt, etc, port = tmp_path / "opt", tmp_path / "etc", free_port()
    etc.mkdir()
    bin = tmp_path / "bin"  # `systemctl` would ask a systemd that is not there
    bin.mkdir()
    (bin / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/systemctl.calls\n')
    (bin / "systemctl").chmod(0o755)
    for name in ("systemd/system", "nginx/conf.d", "caddy"):
        (etc / name).mkdir(parents=True)
    commands = "".join(blocks("sh"))
    for old, new in {
        "/opt/glyph-fast/venv": str(venv),
        "/opt/glyph-fast": f"{opt}/glyph-fast",
        "/etc/": f"{etc}/",
        ":8080": f":{port}",
    }.items():
        assert old in commands, old
        commands = commands.replace(old, new)
    source = tmp_path / "source"
    source.mkdir()
    environ = {
        **plain_environ(), "PATH": f"{bin}:{os.environ['PATH']}", "GLYPH_FAST_BUILD": "no",
        "GLYPH_FAST_PORT": str(port),
    }  # fmt: skip
    (opt / "glyph-fast").mkdir(parents=True)
    (opt / "glyph-fast/venv").symlink_to(venv)
    with source_tree(source):
        toml = source / "deploy/glyph-fast.toml"
        toml.write_text(toml.read_text().replace("127.0.0.1:9090", "127.0.0.1:0"))
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", commands],
            cwd=source, env=environ, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert '{"status":"ok"}' in done.stdout.replace(" ", "")
    assert '"you":"ada"' in done.stdout.replace(" ", "")
    calls = (tmp_path / "systemctl.calls").read_text().splitlines()
    assert calls == ["daemon-reload", "enable --now glyph-fast.socket glyph-fast.service",
                     "reload nginx", "reload caddy", "reload glyph-fast"]  # fmt: skip
    for name in ("glyph-fast.service", "glyph-fast.socket"):
        assert (etc / "systemd/system" / name).read_text() == (DEPLOY / name).read_text()
    assert oct((etc / "glyph-fast/tokens").stat().st_mode)[-3:] == "600"
