"""What applications are told of requests, as gunicorn's suite asks for it."""

from __future__ import annotations

import json

import pytest

from glyph_fast import Server
from tests.asgi.apps import body, exchange, get, only, parts, start
from tests.running import running


async def dump(scope, receive, send):
    """Answers with its scope."""
    told = {
        key: value.decode("latin-1") if isinstance(value, bytes) else value
        for key, value in scope.items()
        if key not in ("state", "headers")
    }
    told["headers"] = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]]
    assert isinstance(scope["headers"], list)
    await send(start())
    await send(body(json.dumps(told).encode()))


def scope_of(data, backend, run, **options):
    async def main():
        server = Server()
        server.mount("/", only("http", dump))
        async with running(server, backend, **options) as url:
            return json.loads(parts(await exchange(url, data))[2]), url

    return run(main())


def test_the_scope_of_a_plain_request(backend, run):
    scope, url = scope_of(get("/a/b?x=1&y=%20", "X-Upper: V"), backend, run)
    assert scope.pop("client")[0] == "127.0.0.1"
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "server": list(url.address),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": "/a/b",
        "raw_path": "/a/b",
        "query_string": "x=1&y=%20",
        "headers": [["host", "test"], ["x-upper", "V"], ["connection", "close"]],
        "extensions": {
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
            "http.response.early_hint": {},
            "http.response.trailers": {},
        },
    }


@pytest.mark.parametrize(
    ("target", "path", "raw_path"),
    [
        ("/a%20b%2Fc", "/a b/c", "/a%20b%2Fc"),
        ("/h%C3%A9", "/hé", "/h%C3%A9"),
        ("//", "//", "//"),
        ("http://test/x?y", "/x", "/x"),
    ],
)
def test_raw_path(backend, run, target, path, raw_path):
    scope, _ = scope_of(get(target), backend, run)
    assert (scope["path"], scope["raw_path"]) == (path, raw_path)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_scope_method(backend, run, method):
    assert scope_of(get(method=method), backend, run)[0]["method"] == method


def test_repeated_fields_stay_in_their_order(backend, run):
    scope, _ = scope_of(get("/", "Cookie: a=1", "X: 1", "cookie: b=2"), backend, run)
    assert [v for n, v in scope["headers"] if n == "cookie"] == ["a=1", "b=2"]


def test_proxy_headers_forwarded(backend, run):
    fields = ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"]
    scope, _ = scope_of(get("/", *fields), backend, run, trusted_proxies=["127.0.0.1"])
    assert (scope["client"], scope["scheme"]) == (["192.0.2.7", 0], "https")
    scope, _ = scope_of(get("/", *fields), backend, run)
    assert (scope["client"][0], scope["scheme"]) == ("127.0.0.1", "http")


def test_a_unix_socket_has_no_client(backend, run, tmp_path):
    path = str(tmp_path / "s")
    scope, _ = scope_of(get(), backend, run, uds=path)
    assert scope["client"] is None and scope["server"] == [path, None]
