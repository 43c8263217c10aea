"""Run one target under a coverage-guided fuzzer (atheris); `ci/fuzz` calls this.

    python -m tests.fuzz.coverage TARGET [options of libFuzzer] [folders of inputs]

The Python modules are instrumented as they are imported; the compiled core brings its own counters
when it was built with `-fsanitize=fuzzer-no-link`.
"""

from __future__ import annotations

import os
import sys

import atheris

# What a parser imports below itself is instrumented with it; the peers of the differential test
# are not: what they do with the bytes is not what is looked for.
with atheris.instrument_imports(include=["glyph_fast"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    # libFuzzer runs itself again when it merges, by a name that must be a command.
    sys.argv[0] = os.environ.get("FUZZ_COMMAND", sys.argv[0])
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
