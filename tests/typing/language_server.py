"""A client of pyright's language server: what an editor shows of a name, and offers after a dot."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

WITHIN_S = 50.0


class LanguageServer:
    """One server for one folder, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def __enter__(self) -> LanguageServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pyright.langserver", "--stdio"],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        root = self._folder.as_uri()
        self._ask(
            "initialize",
            processId=None,
            rootUri=root,
            workspaceFolders=[{"uri": root, "name": "ide"}],
            capabilities={"textDocument": {"hover": {"contentFormat": ["plaintext"]}}},
        )
        self._tell("initialized")
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self, name: str, text: str) -> str:
        """Have it read a program; the URI of it."""
        path = self._folder / name
        path.write_text(text)
        document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": text}
        self._tell("textDocument/didOpen", textDocument=document)
        return path.as_uri()

    def hover(self, uri: str, line: int, column: int) -> str:
        """What is shown of the name that stands there, counted from 0; "" for nothing."""
        answer = self._ask("textDocument/hover", **_place(uri, line, column))
        return "" if answer is None else str(answer["contents"]["value"])

    def completions(self, uri: str, line: int, column: int) -> list[str]:
        """The names that are offered there."""
        answer = self._ask("textDocument/completion", **_place(uri, line, column))
        return [each["label"] for each in answer["items"]]

    def _ask(self, method: str, **params: Any) -> Any:
        self._number += 1
        deadline = threading.Timer(WITHIN_S, self._process.kill)  # which ends the reading, too
        deadline.start()
        try:
            self._send({"id": self._number, "method": method, "params": params})
            return self._answer()
        finally:
            deadline.cancel()

    def _answer(self) -> Any:
        while True:
            message = self._receive()
            if message.get("id") == self._number and "method" not in message:
                assert "error" not in message, message
                return message["result"]
            if "id" in message and "method" in message:  # it asks for its settings
                items = message.get("params", {}).get("items", []) if message["params"] else []
                self._send({"id": message["id"], "result": [None for _ in items]})

    def _tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        size = 0
        while (line := self._process.stdout.readline()) != b"\r\n":
            assert line, "the language server has ended, or did not answer in time"
            name, _, value = line.partition(b":")
            size = int(value) if name.lower() == b"content-length" else size
        found: dict[str, Any] = json.loads(self._process.stdout.read(size))
        return found


def _place(uri: str, line: int, column: int) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}
