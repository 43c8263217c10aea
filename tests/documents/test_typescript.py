"""The types for the client library: its compiler accepts what is right, and nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from glyph_fast.documents.program import program_of
from glyph_fast.documents.typescript import typescript
from tests.documents.declared import server
from tests.nodejs import LIBRARY, program

TYPES = typescript(program_of(server), title="a game")

PROGRAM = """\
import { connect } from "%s";
import type { Board, Events } from "./events";

const server = connect<Events>("ws://localhost/ws");
const board: Board = await server.call("move", { pieceId: "a", at: [1, 2] });
const jumped: Board = await server.call("move", { pieceId: "a", at: [1, 2], kind: "jump" });
const pieces: string[] = board.moves.map((move) => move.pieceId);
const count: number = await server.call("order placed", { lines: [{ symbol: "A", amount: 1 }] });
await server.call("hello");
await server.call("move", { pieceId: "a", at: [1] }); // refused
await server.call("move", { pieceId: 7, at: [1, 2] }); // refused
await server.call("move", { pieceId: "a", at: [1, 2], kind: "fly" }); // refused
await server.call("mvoe", {}); // refused
const wrong: string = await server.call("order placed", { lines: [] }); // refused
export { jumped, pieces, count, wrong };
"""


def test_the_types_are_written() -> None:
    assert (
        'export type Move = { pieceId: string; at: [number, number]; kind?: "jump" | "walk" };'
        in TYPES
    )
    assert "  /** Move a piece. */\n  move(data: Move): Board;" in TYPES
    assert '  "order placed"(data: Order): number;' in TYPES
    assert "  hello(data?: any): any;" in TYPES
    assert "  raw(data?: any): { [key: string]: number[] };" in TYPES
    assert "by_player?: { [key: string]: Move | null }" in TYPES


def test_the_compiler_takes_what_fits_and_refuses_the_rest(tmp_path: Path) -> None:
    (tmp_path / "events.ts").write_text(TYPES)
    (tmp_path / "page.ts").write_text(PROGRAM % (LIBRARY / "src/index.js"))
    words = "--noEmit --strict --skipLibCheck --target es2022 --module esnext".split()
    words += "--moduleResolution bundler --lib es2022,dom".split()
    done = subprocess.run(
        [program("tsc"), *words, str(tmp_path / "page.ts")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = {int(line) for line in re.findall(r"page\.ts\((\d+),\d+\): error", done.stdout)}
    lines = enumerate(PROGRAM.splitlines(), 1)
    assert found == {n for n, line in lines if "// refused" in line}, done.stdout
