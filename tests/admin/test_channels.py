"""What a layer of Channels asks the operators' port. What it does: `test_channels.py` above."""

from __future__ import annotations

import httpx
import pytest

from glyph_fast.admin.channels import PATH
from tests.admin.operated import BEARER, operated


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", ""),
        ("[]", "call: expected one of send"),
        ('{"call": 1}', "call: expected one of send"),
        ('{"call": "own", "channel": "a"}', "call: expected one of send"),
        ('{"call": "receive"}', "receive: expected channel, expiry"),
        ('{"call": "receive", "channel": "a", "expiry": true}', "expiry: expected another type"),
        ('{"call": "flush", "prefix": 1}', "prefix: expected another type"),
        (
            '{"call": "group_send", "group": "g", "message": "*", "expiry": 1}',
            "message: expected base64",
        ),
    ],
)
def test_a_bad_question_is_refused(backend, run, body, said):
    async def main():
        async with operated(backend) as site, httpx.AsyncClient(base_url=site.admin) as client:
            answer = await client.post(PATH, content=body, headers=BEARER)
            assert answer.status_code == 400 and said in answer.json()["error"]

    run(main())


def test_it_needs_the_token(backend, run):
    async def main():
        async with operated(backend) as site, httpx.AsyncClient(base_url=site.admin) as client:
            answer = await client.post(PATH, content='{"call": "flush", "prefix": ""}')
            assert answer.status_code == 401

    run(main())
