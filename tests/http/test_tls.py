"""What an application learns of a TLS session, from a server with real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import ssl

import pytest
from websockets.asyncio.client import connect

from glyph_fast.engine import base
from glyph_fast.http.tls import Tls
from glyph_fast.options.config import Config
from glyph_fast.server.server import Server
from tests.backend import Backend
from tests.engine.certificates import make_certificate
from tests.engine.peers import eventually
from tests.running import Run

pytestmark = pytest.mark.both_cores


@pytest.fixture
def files(tmp_path):
    """The server's certificate, and one that a client may show."""
    return make_certificate(tmp_path, "localhost"), make_certificate(tmp_path, "ada")


def trusting(server, client=None, alpn=()) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.cert)
    if client is not None:
        context.load_cert_chain(*client)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def telling_server(server, **options) -> Server:
    made = Server(Config(tls_cert=server.cert, tls_key=server.key, **options))

    @made.on_connect
    def tell(conn):
        tls = conn.request.tls
        conn.send_json(
            [conn.identity, tls.version, tls.alpn, tls.subject, [list(each) for each in tls.names]]
        )

    @made.get("/")
    def of_request(request):
        return {"cipher": request.tls.cipher, "certificate": request.tls.certificate is not None}

    return made


async def serving(backend: Backend, server: Server, test) -> None:
    run = Run(server, backend, {})
    url = await run.url()
    await test(url.replace("https", "wss", 1).replace("127.0.0.1", "localhost") + "/ws")
    await server.shutdown()
    await run.task


async def answer(url: str, context: ssl.SSLContext) -> list:
    async with connect(url, ssl=context) as client:
        return json.loads(await client.recv())


NAMES = [["DNS", "localhost"], ["IP Address", "127.0.0.1"]]


def test_a_client_s_certificate_says_who_it_is(backend, run, files):
    server, ada = files

    async def test(url):
        identity, version, alpn, subject, names = await answer(url, trusting(server, ada))
        assert (identity, version, alpn) == ("ada", "TLSv1.3", None)
        assert subject == {"organizationName": "Test", "commonName": "ada"}
        assert names == NAMES

    run(serving(backend, telling_server(server, tls_client_ca=ada.cert), test))


def test_an_authenticator_sees_the_certificate_and_decides(backend, run, files):
    server, ada = files
    made = telling_server(server, tls_client_ca=ada.cert)

    @made.authenticate
    def who(request):
        return {"user": request.tls.identity}

    async def test(url):
        assert (await answer(url, trusting(server, ada)))[0] == {"user": "ada"}

    run(serving(backend, made, test))


@pytest.mark.parametrize(("origin", "brings"), [("https://evil.example", False), (None, True)])
def test_a_page_that_only_the_star_lets_in_never_brings_its_visitor_s_certificate(
    backend, run, files, origin, brings
):
    server, ada = files
    options = {"tls_client_ca": ada.cert, "allowed_origins": ["*"]}
    made = Server(Config(tls_cert=server.cert, tls_key=server.key, **options))
    made.on_message()(lambda ctx: ctx.reply_json(ctx.conn.request.tls is not None))

    async def test(url):
        async with connect(url, ssl=trusting(server, ada), origin=origin) as client:
            await client.send("whose certificate is this?")
            assert json.loads(await client.recv()) is brings

    run(serving(backend, made, test))


def test_without_a_client_s_certificate_there_is_nobody_to_name(backend, run, files):
    server, _ = files

    async def test(url):
        identity, version, _, subject, names = await answer(url, trusting(server))
        assert (identity, version, subject, names) == (None, "TLSv1.3", {}, [])

    run(serving(backend, telling_server(server), test))


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)],
)
def test_http_1_1_is_agreed_by_alpn(backend, run, files, offered, agreed):
    server, _ = files

    async def test(url):
        assert (await answer(url, trusting(server, alpn=offered)))[2] == agreed

    run(serving(backend, telling_server(server), test))


def test_http_requests_tell_it_too(backend, run, files):
    server, _ = files

    async def test(url):
        host, port = "127.0.0.1", int(url.rpartition(":")[2].removesuffix("/ws"))
        reader, writer = await asyncio.open_connection(
            host, port, ssl=trusting(server), server_hostname="localhost"
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        body = json.loads((await reader.read()).split(b"\r\n\r\n")[1])
        assert body["cipher"].startswith("TLS_") and body["certificate"] is False
        writer.close()
        await writer.wait_closed()

    run(serving(backend, telling_server(server), test))


def test_plain_connections_have_none(run, backend):
    made = Server()
    made.on_connect(lambda conn: conn.send_json(conn.request.tls))

    async def main():
        first = Run(made, backend, {})
        async with connect((await first.url()).ws("/ws")) as client:
            assert await client.recv() == "null"
        await made.shutdown()
        await first.task

    run(main())


def test_a_renewed_certificate_is_shown_to_those_who_come(
    backend, run, files, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(base, "RENEWAL_LOOK_S", 0.0)
    caplog.set_level("INFO")
    server, renewed = files
    made = telling_server(server, head_timeout=0.02)  # which also makes sweeps frequent

    @made.on_message()
    def echo(ctx):
        ctx.conn.send(ctx.message.raw)

    def replace(source: str, target: str) -> None:
        """As certbot does: another file under the same name."""
        with open(source, "rb") as old, open(f"{target}.new", "wb") as new:
            new.write(old.read())
        os.replace(f"{target}.new", target)

    async def works(url, context) -> bool:
        try:
            return bool(await answer(url, context))
        except ssl.SSLError:
            return False

    async def test(url):
        former, latter = trusting(server), ssl.create_default_context(cafile=renewed.cert)
        async with connect(url, ssl=former) as staying:
            await staying.recv()
            assert await works(url, former) and not await works(url, latter)

            (tmp_path / "broken").write_text("not PEM")
            kept = (tmp_path / "localhost.pem").read_bytes()
            replace(str(tmp_path / "broken"), server.cert)
            await eventually(lambda: "the former certificate stays" in caplog.text)
            (tmp_path / "former.pem").write_bytes(kept)
            assert await works(url, former)

            replace(renewed.key, server.key)
            replace(renewed.cert, server.cert)
            await eventually(lambda: "certificate renewed" in caplog.text)
            assert await works(url, latter) and not await works(url, former)
            await staying.send("still here")
            assert await staying.recv() == "still here"

    run(serving(backend, made, test))
    assert caplog.text.count("not PEM") == 0


def test_a_certificate_may_have_no_common_name():
    class Session:
        def getpeercert(self):
            return {"subject": (), "subjectAltName": (("URI", "spiffe://example/ada"),)}

        def cipher(self):
            return None

    tls = Tls(Session())
    assert (tls.identity, tls.cipher) == ("spiffe://example/ada", None)
