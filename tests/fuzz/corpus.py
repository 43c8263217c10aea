"""Inputs worth keeping, a line of hex each: in corpus/TARGET, or crashes/TARGET if one broke it.

python -m tests.fuzz.corpus unpack FOLDER      a file each in FOLDER/TARGET, with seeds added
python -m tests.fuzz.corpus pack FOLDER        the files of FOLDER/TARGET become the corpus
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from glyph_fast.json import dumps
from tests.centrifugal.vectors import COMMANDS as SAID
from tests.fuzz.conversations import conversation
from tests.vectors import FRAMES, VIOLATIONS

HERE = Path(__file__).parent
KINDS = ("corpus", "crashes")
GLYPH_CASES = HERE.parent / "glyph/cases"

HEADS = [
    b"GET /chat?x=%20 HTTP/1.1\r\nHost: example.com:80\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b'Sec-WebSocket-Version: 13\r\nOrigin: https://example.com\r\nCookie: a=b; c="d"\r\n'
    b"Sec-WebSocket-Protocol: chat, a\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9\r\n\r\n",
    b"POST http://a.example/ HTTP/1.0\r\nHost: [::1]\r\nContent-Length: 5\r\n\r\nhello",
    b"\r\nOPTIONS * HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
]
PROXIED = [
    b'for=192.0.2.1;proto=https;by="[::1]:1", For="[2001:db8::1]:4711";host="a, b"',
    b'for="192.0.2.1\n10.0.0.2, unknown',
    b"198.51.100.1, 10.0.0.2, [::1]:80, ::ffff:1.2.3.4",
    b'host="\\"a\\"";for=_x\n"',
    b"PROXY TCP4 192.0.2.1 203.0.113.9 50000 443\r\nGET",
    b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xcb\0\x71\x09\xc3\x50\1\xbbGET",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
]
FORMS = [
    b'--b\nContent-Disposition: form-data; name="a"\n\nhello\n--b\n'
    b'Content-Disposition: form-data; name="f"; filename="a.txt"\nContent-Type: text/plain\n\n'
    b"line\n--bx\n--b--\n",
    b"--b\nContent-Disposition: form-data; name=a\n\n\xff\n--b--",
    b"--b\nContent-Disposition: form-data; name=a; filename*=x\nA: b\n\n\n--b \t\n\n",
    b"--b--\nafter",
    b"\n\n--b\n\n",
]
TEXTS = [
    b'{"type":"join_room","room":"a"}',
    b'{"event":"e","data":{"a":[1,2.5,null,true,"\\ud83c\\udf89"]},"id":"1","metadata":{}}',
    b'{"type":"binary","data":"AAAA","timestamp":"2024-01-01T00:00:00Z"}',
    b"[1]",
    b" plain",
]


def kept(target: str) -> list[bytes]:
    """The inputs kept for a target."""
    return [data for kind in KINDS for data in _read(HERE / kind / target)]


def _read(path: Path) -> Iterator[bytes]:
    if path.exists():
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                yield bytes.fromhex(line)


def seeds(target: str) -> list[bytes]:
    """Inputs to begin with."""
    if target in ("frames", "ends"):
        prefix = 1 if target == "frames" else 5
        talks = [conversation(seed, deflate=seed % 2 > 0)[0] for seed in range(60)]
        talks += [each.masked for each in FRAMES] + [each.data for each in VIOLATIONS]
        return [Random(i).randbytes(prefix) + talk[:2000] for i, talk in enumerate(talks)]
    if target in ("heads", "requests", "extensions"):
        return HEADS
    if target == "proxies":
        return PROXIED
    if target == "bodies":
        return [b"\xff5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", b"\0" + bytes(50)]
    if target == "forms":
        return FORMS
    if target == "inflate":
        return [b"\x80\xf2\x48\xcd\xc9\xc9\x07\x00\xff\xfe\xf2\x00\x11\x00\x00", b"\x06\x00"]
    if target == "envelopes":
        return TEXTS
    if target == "centrifuge":
        return [bytes.fromhex(data) for _, data in SAID] + [dumps(said) for said, _ in SAID]
    if target == "glyph":
        return [path.read_bytes()[:3000] for path in sorted(GLYPH_CASES.glob("**/*.glyph"))]
    return [bytes(range(40))]


def unpack(folder: Path, target: str) -> None:
    """Write what is kept for a target, and its seeds, as files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in [*kept(target), *seeds(target)]:
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def pack(folder: Path, target: str) -> None:
    """Make the files in `folder` the corpus of a target, short ones first."""
    inputs = {path.read_bytes() for path in folder.iterdir()}
    lines = sorted((data.hex() for data in inputs), key=lambda line: (len(line), line))
    (HERE / "corpus").mkdir(exist_ok=True)
    (HERE / "corpus" / target).write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    action, folder, *targets = sys.argv[1:]
    for name in targets:
        {"unpack": unpack, "pack": pack}[action](Path(folder) / name, name)
