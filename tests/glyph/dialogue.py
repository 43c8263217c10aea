"""Dialogues: a program, and in JSON beside it what clients say to it and what they must hear.

    {"http": {"method", "path", "headers", "json" | "body"},
     "expect": {"status", "json" | "body", "headers"}, "eventually": true}
    {"connect": NAME, "path": P, "headers": {…}}      with "expect_status": N it must be refused
    {"send": NAME, "json": v | "text": s | "binary_hex": h}
    {"expect": NAME, "json": pattern | "text": exact | "any_order": [patterns]}
    {"expect_none": NAME}        nothing has come: everything before a pong has been seen
    {"expect_close": NAME, "code": N, "reason": s}
    {"close": NAME}

Patterns are JSON values; `{"$match": …}` in one stands for any value of a kind (see `match`),
`{"$ref": NAME}` for one captured before. `eventually` asks again until the answer is right: what
it waits for has no other sign.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

DEADLINE_S = 5.0


class Mismatch(AssertionError):
    """What came is not what had to come."""


def match(want: Any, got: Any, captured: dict[str, Any], where: str = "$") -> None:
    """Compare a value with a pattern. Raises Mismatch."""
    if isinstance(want, dict) and "$match" in want:
        _match_kind(want, got, captured, where)
        return
    if isinstance(want, dict) and "$ref" in want:
        want = captured[want["$ref"]]
    if isinstance(want, dict) and isinstance(got, dict) and want.keys() == got.keys():
        for key, value in want.items():
            match(value, got[key], captured, f"{where}.{key}")
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for index, (a, b) in enumerate(zip(want, got, strict=True)):
            match(a, b, captured, f"{where}[{index}]")
    elif want != got or isinstance(want, bool) != isinstance(got, bool):
        raise Mismatch(f"{where}: want {want!r}, got {got!r}")


def _match_kind(want: dict[str, Any], got: Any, captured: dict[str, Any], where: str) -> None:
    is_number = isinstance(got, int | float) and not isinstance(got, bool)
    match want["$match"]:
        case "any":
            fits = True
        case "int":
            fits = isinstance(got, int) and not isinstance(got, bool)
        case "number":
            fits = is_number
        case "string":
            fits = isinstance(got, str)
        case "bool":
            fits = isinstance(got, bool)
        case "regex":
            fits = isinstance(got, str) and re.fullmatch(want["pattern"], got) is not None
        case "between":
            fits = is_number and want["min"] <= got <= want["max"]
        case "unordered":
            _unordered(want["items"], got, captured, where)
            fits = True
        case kind:
            raise ValueError(f"unknown pattern {kind!r}")
    if not fits:
        raise Mismatch(f"{where}: want {want!r}, got {got!r}")
    if "capture" in want:
        captured[want["capture"]] = got


def _unordered(items: list[Any], got: Any, captured: dict[str, Any], where: str) -> None:
    if not isinstance(got, list) or len(got) != len(items):
        raise Mismatch(f"{where}: want {len(items)} items in any order, got {got!r}")
    rest = list(got)
    for item in items:
        for index, candidate in enumerate(rest):
            try:
                match(item, candidate, captured, where)
            except Mismatch:
                continue
            del rest[index]
            break
        else:
            raise Mismatch(f"{where}: nothing is {item!r} in {rest!r}")


class Dialogue:
    """The clients of one program."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.peers: dict[str, ClientConnection] = {}
        self.captured: dict[str, Any] = {}

    async def run(self, steps: list[dict[str, Any]]) -> None:
        """Go through the steps. Raises Mismatch, naming the one that went wrong."""
        try:
            for number, step in enumerate(steps, 1):
                try:
                    await self._step(step)
                except (Mismatch, TimeoutError, ConnectionClosed, OSError) as error:
                    text = f"step {number} {json.dumps(step)[:200]}: {error!r}"
                    raise Mismatch(text) from None
        finally:
            for peer in self.peers.values():
                await peer.close()

    async def _step(self, step: dict[str, Any]) -> None:
        if "http" in step:
            await self._http(step)
        elif "connect" in step:
            await self._connect(step)
        elif "send" in step:
            await self.peers[step["send"]].send(self._payload(step))
        elif "expect" in step:
            await self._expect(step)
        elif "expect_none" in step:
            await self._expect_none(self.peers[step["expect_none"]])
        elif "expect_close" in step:
            await self._expect_close(step)
        elif "close" in step:
            await self.peers[step["close"]].close()
        else:
            raise ValueError(f"unknown step {step}")

    async def _http(self, step: dict[str, Any]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            answer = await asyncio.to_thread(self._call, step["http"])
            try:
                self._check_http(step.get("expect", {}), *answer)
                return
            except Mismatch:
                if not step.get("eventually") or time.monotonic() > deadline:
                    raise

    def _call(self, call: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        headers, body = dict(call.get("headers", {})), None
        if "json" in call:
            body = json.dumps(call["json"]).encode()
            headers.setdefault("Content-Type", "application/json")
        elif "body" in call:
            body = call["body"].encode()
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            conn.request(call.get("method", "GET"), call["path"], body=body, headers=headers)
            answer = conn.getresponse()
            found = {key.lower(): value for key, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            conn.close()

    def _check_http(
        self, want: dict[str, Any], status: int, headers: dict[str, str], body: bytes
    ) -> None:
        if status != want.get("status", 200):
            raise Mismatch(f"status: want {want.get('status', 200)}, got {status} {body[:200]!r}")
        for name, value in want.get("headers", {}).items():
            if headers.get(name.lower()) != value:
                raise Mismatch(f"{name}: want {value!r}, got {headers.get(name.lower())!r}")
        if "json" in want:
            match(want["json"], json.loads(body), self.captured, "body")
        if "body" in want and body.decode() != want["body"]:
            raise Mismatch(f"body: want {want['body']!r}, got {body!r}")

    async def _connect(self, step: dict[str, Any]) -> None:
        url = f"ws://127.0.0.1:{self.port}{step['path']}"
        headers = step.get("headers")
        try:
            self.peers[step["connect"]] = await connect(
                url, compression=None, proxy=None, additional_headers=headers
            )
        except InvalidStatus as error:
            if error.response.status_code != step.get("expect_status"):
                raise Mismatch(f"refused with {error.response.status_code}") from None
        else:
            if "expect_status" in step:
                raise Mismatch(f"accepted, want {step['expect_status']}")

    def _payload(self, step: dict[str, Any]) -> str | bytes:
        if "json" in step:
            return json.dumps(step["json"])
        return bytes.fromhex(step["binary_hex"]) if "binary_hex" in step else step["text"]

    async def _expect(self, step: dict[str, Any]) -> None:
        peer = self.peers[step["expect"]]
        if "any_order" in step:
            frames = [json.loads(await self._next(peer)) for _ in step["any_order"]]
            _unordered(step["any_order"], frames, self.captured, "$")
            return
        frame = await self._next(peer)
        if not isinstance(frame, str):
            raise Mismatch(f"want a text frame, got {frame!r}")
        if "text" in step and frame != step["text"]:
            raise Mismatch(f"want {step['text']!r}, got {frame!r}")
        if "json" in step:
            match(step["json"], json.loads(frame), self.captured)

    async def _next(self, peer: ClientConnection) -> str | bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await peer.recv()

    async def _expect_none(self, peer: ClientConnection) -> None:
        received = asyncio.ensure_future(peer.recv())
        async with asyncio.timeout(DEADLINE_S):
            await (await peer.ping())
        if received.done():
            raise Mismatch(f"unexpected frame {received.result()!r}")
        received.cancel()
        await asyncio.wait({received})

    async def _expect_close(self, step: dict[str, Any]) -> None:
        try:
            frame = await self._next(self.peers[step["expect_close"]])
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
            want = (step.get("code", code), step.get("reason", reason))
            if want != (code, reason):
                raise Mismatch(f"want close {want!r}, got {(code, reason)!r}") from None
            return
        raise Mismatch(f"want a close, got {frame!r}")
