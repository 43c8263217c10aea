"""The JavaScript client by itself: types, build, and the tests in which its socket is a fake."""

from __future__ import annotations

import gzip
import json
import re

import glyph_fast
from tests.nodejs import LIBRARY, MODULE, program, run

MOST = 5 * 1024  # bytes, compressed


def test_its_tests_pass() -> None:
    tests = sorted(LIBRARY.glob("test/*.test.mjs"))
    output = run(program("node"), "--test", *tests)
    assert re.search(r"^# pass [1-9]\d{2}$", output, re.MULTILINE)
    assert re.search(r"^# (skipped|todo) [^0]", output, re.MULTILINE) is None


def test_what_servers_hand_out_is_what_the_source_gives() -> None:
    run(program("node"), "build.mjs", "--check")


def test_it_has_at_most_five_kilobytes() -> None:
    for path in (MODULE, MODULE.with_suffix(".js")):
        assert len(gzip.compress(path.read_bytes(), 9)) <= MOST


def test_it_needs_no_other_package() -> None:
    package = json.loads((LIBRARY / "package.json").read_text())
    assert "dependencies" not in package
    assert package["version"] == glyph_fast.__version__
    assert "http" not in (LIBRARY / "package-lock.json").read_text()  # whose registry it was


def test_its_types_refuse_what_is_wrong() -> None:
    run(program("node"), "build.mjs")
    run(program("tsc"), "-p", "test")


def test_a_strict_policy_lets_it_run() -> None:
    """Nothing in it needs `unsafe-eval`, or writes into the page."""
    source = MODULE.read_text()
    for word in ("eval(", "Function(", "innerHTML", "document.write", "createElement"):
        assert word not in source
