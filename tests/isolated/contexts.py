"""Prints how many bytes the two contexts of a connection take, with the largest windows.

`python -m tests.isolated.contexts isal` (or `zlib`, as if isal was not installed); on a second line
comes what is stated about it.
"""

from __future__ import annotations

import os
import sys
import zlib

if sys.argv[1] == "zlib":
    sys.modules["isal"] = None  # type: ignore[assignment]

from glyph_fast.core import Frame
from glyph_fast.websocket.deflate import DEDICATED_BYTES, Deflate
from tests.isolated.footprint import heap

COUNT = 200
OFFER = "permessage-deflate"  # without a word on windows: the client's stay at 32 KiB


def main() -> None:
    deflate = Deflate("dedicated", 0)
    payload = os.urandom(50_000)
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    frame = Frame(payload).data
    held = []
    for number in range(COUNT + 1):
        if number == 1:  # the first brings what is made once for all
            before = heap()
        agreement = deflate.agree([OFFER])
        assert agreement is not None
        agreement.codec.pack(frame)  # type: ignore[union-attr]
        agreement.codec.decode(packed, 1 << 20)
        held.append(agreement)
    print((heap() - before) // COUNT)
    print(DEDICATED_BYTES)


if __name__ == "__main__":
    main()
