"""Clients that mean harm, by the thousand, while one that behaves is served."""

from __future__ import annotations

import resource
import zlib
from contextlib import suppress

import pytest

from glyph_fast.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.abuse.site import UPGRADE, Client, Site, frame

pytestmark = pytest.mark.both_cores

MIB = 1 << 20
OFFER = "permessage-deflate; client_max_window_bits"


def test_half_open_heads_are_closed(site, tell, rounds):
    """1,000 peers that begin a request and do not end it (slowloris)."""
    with site.bystander() as bystander:
        for _ in range(rounds):
            clients = [site.client().write(UPGRADE[:40]) for _ in range(1000)]
            for client in clients:
                client.write(b"a")
            for client in clients:
                assert client.rest().startswith(b"HTTP/1.1 408 ")
            site.leave()
    tell(bystander)


def test_peers_that_never_read_hold_up_nobody_in_their_room(site, tell, rounds):
    """1,000 members of a room that read nothing, while the room is fed."""
    with site.bystander() as bystander:
        for _ in range(rounds):
            feed_a_room_of_silent_peers(site)
            site.leave()
    tell(bystander)


def feed_a_room_of_silent_peers(site: Site) -> None:
    others = site.descriptors()
    before = site.memory()
    silent = site.open_many(1000, narrow=True)
    for client in silent:
        client.send(TEXT, "join r")
    for client in silent:
        assert client.frame() == (TEXT, b"join r")
    member = site.open().send(TEXT, "join r")
    assert member.frame() == (TEXT, b"join r")
    feeder = site.open()
    for _ in range(10):
        feeder.send(TEXT, "feed r 20 4096")
        for number in range(20):
            assert member.frame() == (TEXT, f"{number} ".ljust(4096, "x").encode())
        assert feeder.frame() == (TEXT, b"feed r 20 4096")
    # The frames are shared; only the asyncio engine's transports copy, 64 KiB at most.
    assert site.memory() - before < 1000 * 96 * 1024
    site.until(lambda: site.descriptors() <= others + 2)  # the slow consumers are closed


def test_a_flood_of_tiny_frames_is_echoed_in_order(site, tell, rounds):
    """One-byte frames, as many as fit into the buffers, from ten peers."""
    flood = b"".join(frame(BINARY, bytes((n % 256,))) for n in range(5000))
    with site.bystander() as bystander:
        clients = [site.open() for _ in range(10)]
        for _ in range(rounds):
            for client in clients:
                client.write(flood)
            for client in clients:
                for n in range(5000):
                    assert client.frame() == (BINARY, bytes((n % 256,)))
    tell(bystander)


def test_a_message_of_65536_fragments_arrives(site, tell, rounds):
    parts = [frame(CONTINUATION, b"x", fin=False)] * 65534
    message = frame(TEXT, b"x", fin=False) + b"".join(parts) + frame(CONTINUATION, b"x")
    with site.bystander() as bystander:
        client = site.open()
        for _ in range(rounds):
            client.write(message)
            assert client.frame() == (TEXT, b"x" * 65536)
    tell(bystander)


def test_empty_fragments_without_end_are_cut(site, tell, rounds):
    """They hold no memory, so their number is bounded."""
    empty = frame(CONTINUATION, b"", fin=False) * 70_000
    with site.bystander() as bystander:
        before = site.memory()
        for _ in range(rounds):
            clients = [site.open().send(TEXT, b"", fin=False) for _ in range(4)]
            for client in clients:
                with suppress(ConnectionError):  # the server may be done with us before we are
                    client.write(empty)
            for client in clients:
                assert client.close_code() == 1008
        assert site.memory() - before < 16 * MIB
    tell(bystander)


def test_a_frame_announced_and_never_sent_costs_nothing(large_site, tell, rounds):
    """200 peers announce 16 MiB each and send a byte of it."""
    announced = b"\x82\xff" + (16 * MIB).to_bytes(8, "big") + b"\1\2\3\4" + b"x"
    with large_site.bystander() as bystander:
        before = large_site.memory()
        for _ in range(rounds):
            for client in large_site.open_many(200):
                client.write(announced)
            served = bystander.count() + 50
            large_site.until(lambda served=served: bystander.count() >= served)
            assert large_site.memory() - before < 16 * MIB
            large_site.leave()
    tell(bystander)


def test_fragments_without_end_stop_at_the_message_limit(large_site, tell, rounds):
    fragment = frame(CONTINUATION, bytes(64 * 1024), fin=False)
    with large_site.bystander() as bystander:
        before = large_site.memory()
        for _ in range(rounds):
            client = large_site.open().send(BINARY, b"", fin=False)
            with suppress(ConnectionError):
                for _ in range(600):  # 37.5 MiB, where 32 are allowed
                    client.write(fragment)
            assert client.close_code() == 1009
            client.close()
            assert large_site.memory() - before < 96 * MIB
    tell(bystander)


def test_pings_by_the_thousand_are_answered(site, tell, rounds):
    """Every ping is, as long as the peer reads; their order is kept."""
    with site.bystander() as bystander:
        clients = [site.open() for _ in range(5)]
        for start in range(0, 2000 * rounds, 30):
            for client in clients:
                client.write(b"".join(frame(PING, b"%d" % n) for n in range(start, start + 30)))
            for client in clients:
                for n in range(start, start + 30):
                    assert client.frame() == (PONG, b"%d" % n)
    tell(bystander)


def test_pings_of_a_peer_that_does_not_read_take_no_memory(site, tell, rounds):
    pings = frame(PING, bytes(125)) * 4000
    with site.bystander() as bystander:
        before = site.memory()
        clients = site.open_many(20, narrow=True)
        for client in clients:
            client.sock.setblocking(False)
        for _ in range(10 * rounds):
            for client in clients:
                with suppress(BlockingIOError, ConnectionError):
                    client.sock.send(pings)
        served = bystander.count() + 20
        site.until(lambda: bystander.count() >= served)
        assert site.memory() - before < 32 * MIB
    tell(bystander)


def bomb(size: int) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -12)
    zeros = bytes(MIB // 2)
    data = b"".join(deflater.compress(zeros) for _ in range(size // len(zeros)))
    return (data + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_compressed_bombs_are_cut(site, tell, rounds):
    """64 MiB in 64 KiB, from eight peers; half a MiB is allowed, and no more is inflated."""
    packed = bomb(64 * MIB)
    with site.bystander() as bystander:
        before = site.memory()
        for _ in range(rounds):
            clients = [site.open(offer=OFFER) for _ in range(8)]
            for client in clients:
                client.send(BINARY, packed, rsv1=True)
            for client in clients:
                assert client.close_code() == 1009
        assert site.memory() - before < 32 * MIB
    tell(bystander)


def test_many_large_messages_in_few_bytes_are_shared_out(site, tell, rounds):
    """Messages within the limit, half a MiB in half a KiB each, two hundred in one write."""
    packed = bomb(MIB // 2)
    with site.bystander() as bystander:
        clients = [site.open(offer=OFFER + "; client_no_context_takeover") for _ in range(4)]
        for _ in range(rounds):
            for client in clients:
                client.write(frame(BINARY, packed, rsv1=True) * 50)
            for client in clients:
                for _ in range(50):
                    assert client.frame()[0] == BINARY
    tell(bystander)


def test_a_storm_of_connects_and_resets_leaves_nothing_behind(site, tell, rounds):
    stages = (b"", UPGRADE[:30], UPGRADE + b"\r\n", UPGRADE + b"\r\n" + frame(TEXT, b"x")[:4])
    with site.bystander() as bystander:
        before = site.descriptors()
        for n in range(1000 * rounds):
            Client(site.process.port).write(stages[n % 4]).reset()
        site.until(lambda: site.descriptors() <= before)
    tell(bystander)


def test_a_peer_that_sends_on_after_the_close_is_not_heard(site, tell, rounds):
    with site.bystander() as bystander:
        for _ in range(rounds):
            clients = [site.open() for _ in range(20)]
            for client in clients:
                client.send(CLOSE, b"\x03\xe8")
                with suppress(ConnectionError):
                    for _ in range(20):
                        client.send(TEXT, "x" * 10_000)
            for client in clients:
                assert client.frame() == (CLOSE, b"\x03\xe8")
                assert client.rest() == b""
    tell(bystander)


def test_pipelined_requests_whose_answers_nobody_reads_are_not_answered(site, tell, rounds):
    """5,000 requests in each write, and no answer is read."""
    requests = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 5000
    with site.bystander() as bystander:
        before = site.memory()
        clients = [site.client(narrow=True) for _ in range(20)]
        for client in clients:
            client.sock.setblocking(False)
        for _ in range(10 * rounds):
            for client in clients:
                with suppress(BlockingIOError, ConnectionError):
                    client.sock.send(requests)
        served = bystander.count() + 20
        site.until(lambda: bystander.count() >= served)
        assert site.memory() - before < 48 * MIB
    tell(bystander)


def test_descriptors_run_out_and_come_back(backend, tell, rounds):
    """A server that cannot accept serves those it has, and accepts again when some leave."""
    site = Site(backend)
    try:
        pid = site.process.process.pid
        limit = site.descriptors() + 60
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
        with site.bystander() as bystander:
            for _ in range(rounds):
                clients = [site.client().ask() for _ in range(80)]
                for first, end in ((0, 40), (40, 80)):
                    for client in clients[first:end]:
                        client.accepted()
                    for client in clients[first:end]:
                        client.reset()
        assert site.process.log().count("cannot accept connections") >= 1
        tell(bystander)
    finally:
        site.end()
