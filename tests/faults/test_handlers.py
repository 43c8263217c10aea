"""Handlers that block, raise, or send what cannot be sent."""

from __future__ import annotations

import time
import urllib.request
from urllib.error import HTTPError

import pytest

from glyph_fast.wire import PING, PONG, TEXT
from tests.faults.app import UNENCODABLE

BLOCK_S = 1.5


def test_a_handler_that_blocks_the_loop_delays_everybody_and_loses_nobody(serve, say):
    """Longer than every deadline: nobody is closed for what the server kept waiting."""
    short = {"write_timeout": "500ms", "head_timeout": "500ms", "close_timeout": "500ms"}
    site = serve(ping_interval="300ms", max_missed_pongs="1", **short)
    clients = [site.open() for _ in range(50)]
    asking = site.client().write(b"GET /figures HTTP/1.1\r\nHost: a\r\n")
    clients[0].send(TEXT, f"block {BLOCK_S}")
    began = time.perf_counter()
    for number, client in enumerate(clients[1:]):
        client.send(TEXT, f"hello {number}")
    asking.write(b"Connection: close\r\n\r\n")
    waits = []
    for number, client in enumerate(clients):
        expected = f"hello {number - 1}" if number else f"block {BLOCK_S}"
        while (got := client.frame())[0] == PING:
            client.send(PONG, got[1])
        assert got == (TEXT, expected.encode())
        waits.append(time.perf_counter() - began)
    assert b'"ended":0' in asking.rest()
    say(f"blocked for {BLOCK_S:g} s; 50 answers after at most {max(waits):.2f} s, nobody closed")


def test_a_handler_that_always_raises_keeps_its_connection(serve, say):
    site = serve()
    with site.bystander() as bystander:
        client = site.open()
        for _ in range(5000):
            client.send(TEXT, "fail")
        client.send(TEXT, "still here")
        assert client.frame() == (TEXT, b"still here")
    assert site.figures()["errors"] == 5000
    lines = site.process.log().count("\n")
    assert lines < 50, "the log grows with each error"
    say(f"5000 errors, {lines} lines of log; bystander: {bystander.figures()}")


def test_data_that_cannot_be_encoded_reaches_nobody(serve):
    site = serve()
    member = site.open().send(TEXT, "join all")
    assert member.frame() == (TEXT, b"join all")
    client = site.open()
    for kind in sorted(UNENCODABLE):
        client.send(TEXT, f"unencodable {kind}").send(TEXT, f"tell all {kind}")
        expected = (TEXT, f"tell all {kind}".encode())
        assert client.frame() == expected
        assert member.frame() == expected
    assert site.figures()["errors"] == len(UNENCODABLE)


def test_an_answer_that_cannot_be_encoded_is_a_500(serve):
    site = serve()
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(f"{site.process.url}/unencodable", timeout=20)
    assert caught.value.code == 500
    caught.value.close()
    assert site.figures()["errors"] == 1
