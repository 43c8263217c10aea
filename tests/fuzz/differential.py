"""One random conversation after the other, until a disagreement shows or the time is over.

    python -m tests.fuzz.differential --seconds 600 [--seed N]

What two readings of the RFCs disagree about is found here: the model's and those of wsproto and
websockets. The twins have to do what the model says, at the very byte.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from glyph_fast import _core, _pure
from tests.fuzz import oracles
from tests.fuzz.conversations import conversation
from tests.fuzz.decisions import DECISIONS
from tests.fuzz.model import judge
from tests.fuzz.oracles import ours

TWINS = (_core, _pure)


def check(seed: int, *, deflate: bool) -> None:
    """Fail unless everybody agrees on the conversation of `seed`, or a decision says why not."""
    data, pieces = conversation(seed, deflate=deflate)
    judgement = judge(data, deflate=deflate)
    where = f"seed {seed}, {deflate=}, rule {judgement.rule!r}"
    for twin in TWINS:
        heard = ours(twin, pieces, deflate=deflate)
        assert heard == judgement.heard, f"{where}: {twin.__name__} {heard} {judgement.heard}"
        if judgement.rule:
            before = ours(twin, [data[: judgement.at - 1]], deflate=deflate)
            assert before.close is None, f"{where}: {twin.__name__} refuses too early"
            heard = ours(twin, [data[: judgement.at]], deflate=deflate)
            assert heard == judgement.heard, f"{where}: {twin.__name__} refuses too late"
    for oracle in (oracles.wsproto, oracles.websockets):
        # Up to the byte that decides: what they do with the rest of the same read does not count.
        theirs = oracle([data[: judgement.at]], deflate=deflate)
        assert theirs == judgement.heard or any(
            row.oracle == oracle.__name__ and row.applies(judgement, theirs) for row in DECISIONS
        ), f"{where}: {oracle.__name__} {theirs} {judgement.heard}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="where to begin; random if not given")
    options = parser.parse_args()
    seed = random.SystemRandom().getrandbits(48) if options.seed is None else options.seed
    print(f"from seed {seed}", flush=True)
    end = time.monotonic() + options.seconds
    count = 0
    while time.monotonic() < end:
        for _ in range(100):
            check(seed + count, deflate=False)
            check(seed + count, deflate=True)
            count += 1
    print(f"{2 * count} conversations, no disagreement without a decision")
    return 0


if __name__ == "__main__":
    sys.exit(main())
