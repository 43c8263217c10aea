"""Which requests are Centrifugo's, who may make them, and how they are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from glyph_fast.admin.centrifugo.door import PATHS
from tests.admin.operated import BEARER, TOKEN, operated

KEY = {"X-API-Key": TOKEN}
Run = Callable[..., Any]


def test_the_key_makes_it_theirs_and_anything_else_is_ours(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site, httpx.AsyncClient(base_url=site.admin) as http:

            async def post(path: str, headers: dict[str, str], **body: Any) -> tuple[int, Any]:
                answer = await http.post(path, json=body, headers=headers)
                return answer.status_code, answer.json()

            theirs = {"channel": "r", "data": 1}
            assert await post("/api/publish", KEY, **theirs) == (200, {"result": {}})
            assert await post("/api/publish", KEY | BEARER, **theirs) == (
                400, {"error": "unknown member 'channel'"},
            )  # fmt: skip
            assert (await post("/api/publish", {}, **theirs))[0] == 401
            status, answer = await post("/api/publish", BEARER, room="r", data=1)
            assert (status, answer["sent"]) == (200, 0)
            wrong = await post("/api/publish", {"X-API-Key": "wrong"}, **theirs)
            assert wrong == (401, {"error": "X-API-Key is not the admin token"})
            assert (await post("/api/send", KEY, connection="c", data=1))[1]["error"]["code"] == 104
            assert (await post("/api/channels", KEY))[1] == {"result": {"channels": {}}}
            assert (await http.get("/api/info", headers=KEY)).status_code == 401
            elsewhere = await http.post("/api/publish", headers=KEY | {"Host": "evil.example"})
            assert elsewhere.status_code == 403

    run(main())


def test_without_the_key_a_path_of_theirs_alone_is_as_before(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site:
            for path in ("/api/subscribe", "/api/presence", "/api/rpc"):
                answer = await site.http.post(path, json={})
                assert (answer.status_code, answer.json()) == (
                    404, {"error": "Route not found", "path": path},
                )  # fmt: skip
                assert (await site.http.get(path)).status_code == 404
            answer = await site.http.post("/api/info", json={})
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")

    run(main())


def test_a_key_in_the_url_is_refused(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site, httpx.AsyncClient(base_url=site.admin) as http:
            for headers in ({}, KEY):
                url = f"/api/publish?api_key={TOKEN}"
                answer = await http.post(url, json={"channel": "r", "data": 1}, headers=headers)
                assert answer.status_code == 401
                assert "send the key as X-API-Key" in answer.json()["error"]

    run(main())


def test_without_a_token_nobody_acts(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend, token=None) as site:
            del site.http.headers["authorization"]
            answer = await site.http.post("/api/info", json={}, headers={"X-API-Key": ""})
            assert (answer.status_code, answer.json()["error"]) == (
                403, "acting needs a server started with --admin-token",
            )  # fmt: skip

    run(main())


def test_errors_have_status_200_or_the_one_that_stands_for_them(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site:
            del site.http.headers["authorization"]
            mode = KEY | {"X-Centrifugo-Error-Mode": "transport"}
            for path, body, code, status in [
                ("/api/publish", b'{"channel":', 107, 400),
                ("/api/publish", b"\xff", 107, 400),
                ("/api/publish", b"[" * 100_000, 107, 400),
                ("/api/publish", b"", 107, 400),
                ("/api/history", b'{"channel":"plain"}', 108, 400),
                ("/api/batch", b'{"commands":1}', 107, 400),
                ("/api/rpc", b"{}", 108, 400),
                ("/api/send", b"{}", 104, 404),
            ]:
                plain = await site.http.post(path, content=body, headers=KEY)
                assert (plain.status_code, plain.json()["error"]["code"]) == (200, code)
                by_status = await site.http.post(path, content=body, headers=mode)
                assert (by_status.status_code, by_status.json()) == (status, plain.json()["error"])
            batch = await site.http.post(
                "/api/batch", json={"commands": [{"rpc": {}}]}, headers=mode
            )
            assert (batch.status_code, batch.json()["replies"][0]["error"]["code"]) == (200, 108)
            assert (await site.http.post("/api/info", headers=KEY)).json()["result"]["nodes"]

    run(main())


def test_a_body_that_is_too_large_is_413(backend: Any, run: Run) -> None:
    async def main() -> None:
        async with operated(backend) as site:
            del site.http.headers["authorization"]
            body = b" " * (11 * 1024 * 1024)
            answer = await site.http.post("/api/publish", content=body, headers=KEY)
            assert answer.status_code == 413

    run(main())


def test_a_log_line_names_whom_and_never_the_data(
    backend: Any, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    async def main() -> None:
        async with operated(backend) as site:
            del site.http.headers["authorization"]
            body = {"channel": "r", "data": "secret text"}
            await site.http.post("/api/publish", json=body, headers=KEY)
            await site.http.post("/api/subscribe", json={"channel": "r"}, headers=KEY)

    run(main())
    lines = [each.getMessage() for each in caplog.records if "operator's call" in each.getMessage()]
    assert len(lines) == 2 and "secret" not in caplog.text and TOKEN not in caplog.text


def test_the_paths_are_those_of_their_commands() -> None:
    assert {"/api/publish", "/api/batch", "/api/info", "/api/map_publish"} <= {*PATHS}
