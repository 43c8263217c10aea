"""The messages of a run: known in advance, all different, so that an answer can be checked.

Receiving is checked by position: the n-th message must equal the n-th sent. The payloads repeat
after `len(script)` messages, always more than are outstanding, so a message that is missing,
doubled or out of order never looks like the one expected; a count at the end catches the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import repeat
from random import Random

_MEMORY = 16 * 1024 * 1024  # bytes for the payloads of one script
_MIN, _MAX = 4, 4096
_JSON = '{"id":"', '"}'
_EVENT = '{{"note":"{}","x":1024.5,"y":-77.25,"tags":["fast","blue"]}}'

Payload = str | bytes
Script = Sequence[Payload]


def make_script(
    size: int,
    in_flight: int,
    *,
    binary: bool,
    tag: int = 0,
    words: bool = False,
    as_json: bool = False,
) -> Script:
    """A power of two of payloads of `size` bytes; `tag` tells publishers apart.

    Plain ASCII that does not look like JSON. Payloads shorter than 10 bytes cannot all differ.
    `words` makes each of other words, so that it compresses like prose or JSON: some two
    times. `as_json` makes each an object with one member, which takes 9 of the bytes.
    """
    count = _MIN
    while count < _MAX and (count <= 2 * in_flight or 2 * count * size <= _MEMORY):
        count *= 2
    if as_json:
        size = max(1, size - len(_JSON[0]) - len(_JSON[1]))
    bodies = _prose(tag, size) if words else repeat(_PANGRAM * (size // len(_PANGRAM) + 1))
    texts = (_text(tag, number, size, next(bodies)) for number in range(count))
    if as_json:
        texts = (text.join(_JSON) for text in texts)
    return [text.encode("ascii") for text in texts] if binary else list(texts)


def make_events(name: str, size: int, in_flight: int) -> tuple[Script, list[str]]:
    """Envelopes of an event, each of `size` bytes, and how the answer to each must begin.

    That is by the same data, as JSON without blanks: an answer says more behind it, such as a time.
    """
    around = f'{{"type":"json","event":{json.dumps(name)},"data":'
    fixed = len(around.encode()) + len(_EVENT.format("")) + len("}")
    texts = make_script(max(16, size - fixed), in_flight, binary=False)
    datas = [_EVENT.format(text) for text in texts]
    answers = [f'{{"type":"json","data":{data},' for data in datas]
    return [f"{around}{data}}}" for data in datas], answers


def tag_of(payload: Payload) -> int:
    """The tag a payload was made with. Raises ValueError for a foreign one."""
    start = len(_JSON[0]) if payload[:1] in ("{", b"{") else 0
    return int(payload[start : start + 2], 16)


_PANGRAM = "the quick brown fox jumps over the lazy dog, "


def _text(tag: int, number: int, size: int, body: str) -> str:
    return (f"{tag:02x}.{number:06x}." + body)[:size].ljust(size, ".")


def _prose(seed: int, size: int) -> Iterator[str]:
    """Stretches of at least `size` characters of one long text, for ever."""
    random = Random(seed)
    syllables = [a + b for a in "bdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "er", "in")]
    words = ["".join(random.choices(syllables, k=random.randint(1, 4))) for _ in range(1000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]  # some are said often, as in prose
    said = random.choices(words, weights, k=30_000 + size // 4)
    text = " ".join(f"{word} {random.randrange(1000)}" for word in said)
    while True:
        start = random.randrange(len(text) - size)
        yield text[start : start + size]
