"""How many instructions the compiled core and the hub need for their work, counted by callgrind.

Times on a shared machine differ by tens of percent; instruction counts by less than one, so a loss
of five percent shows in a single run. They are comparable only for the same compiler, Python and
processor features, which make the key of the committed figures.

The counting process runs every case under `valgrind --tool=callgrind` with instrumentation off, so
that start-up is not slow, and has only the operation itself counted, by client requests. Valgrind
shows programs a processor of its own, with AVX2 where the real one has it and never AVX-512: a
dispatch by processor features always takes the same way. Memory comes from `allocator.c`, whose
calls cost the same whatever was allocated before, and copies take one way on every processor.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .asgi_cases import ASGI_CASES
from .broker_cases import BROKER_CASES
from .cases import CASES as CORE_CASES
from .event_cases import EVENT_CASES
from .hub_cases import HUB_CASES
from .tls_cases import CONFIGURATION, TLS_CASES

CASES = (*CORE_CASES, *TLS_CASES, *HUB_CASES, *EVENT_CASES, *ASGI_CASES, *BROKER_CASES)
ROOT = Path(__file__).resolve().parent.parent
BASELINE = Path(__file__).parent / "instructions.json"
TOLERANCE = 0.05  # growth that is accepted
REPETITIONS = 50
_WARM_UP = 5  # repetitions: caches of the interpreter and free lists fill
_TIMEOUT = 600  # seconds
_STEADY = {
    "GLYPH_FAST_CORE": "compiled",
    # The order of sets and the collisions of dictionaries cost instructions.
    "PYTHONHASHSEED": "0",
    # Every allocation is `allocator.c`'s.
    "PYTHONMALLOC": "malloc",
    # Copies go by vectors: `rep movsb` is taken by some processors only, and counts each byte.
    "GLIBC_TUNABLES": ":".join(
        f"glibc.cpu.x86_{name}={1 << 40}"
        for name in ("rep_movsb_threshold", "rep_stosb_threshold", "non_temporal_threshold")
    ),
}

_EVENTS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)
_TRIGGER = re.compile(r"^desc: Trigger: Client Request: (.+)$", re.MULTILINE)

Counts = Mapping[str, int]


class CannotCount(Exception):
    """Valgrind, a compiler or the compiled core is missing, or the counting process failed."""


def key() -> str:
    """What the counts depend on besides our code."""
    spec = importlib.util.find_spec("glyph_fast._core")
    if spec is None or spec.origin is None:
        raise CannotCount("no compiled core: build it first")
    found = re.search(
        rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", Path(spec.origin).read_bytes()
    )
    compiler = found.group().decode() if found else "unknown compiler"
    compiler = re.sub(r"\([^)]*\) ", "", compiler).replace(": ", " ").lower()
    flags = Path("/proc/cpuinfo").read_text()
    features = "avx2" if " avx2" in flags else "baseline"
    return f"{compiler}, python {platform.python_version()}, {platform.machine()} {features}"


def count() -> dict[str, int]:
    """Instructions per call of each case's operation, start-up left out."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CannotCount("valgrind is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = compile_library("callgrind", folder)
        allocator = compile_library("allocator", folder)
        (folder / "openssl.cnf").write_text(CONFIGURATION)
        command = [
            *(valgrind, "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no", "-q"),
            f"--callgrind-out-file={folder}/out",
            *(sys.executable, "-m", "bench.instruction_counts", "--under-valgrind", str(library)),
        ]
        environment = {
            **os.environ,
            **_STEADY,
            "LD_PRELOAD": str(allocator),
            "OPENSSL_CONF": str(folder / "openssl.cnf"),
        }
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True,
            timeout=_TIMEOUT, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CannotCount(f"the counting process failed:\n{done.stderr[-2000:]}")
        return _read(folder)


def compile_library(name: str, folder: Path) -> Path:
    """Make `name`.c of this folder a library in another."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CannotCount("no C compiler")
    library = folder / f"{name}.so"
    source = Path(__file__).parent / f"{name}.c"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)]
    command.append("-fno-builtin-malloc")  # else `calloc` is made to call itself
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCount(f"cannot compile {source.name}:\n{done.stderr}")
    return library


def _read(folder: Path) -> dict[str, int]:
    """Each dump is a file of its own, named by the request that caused it."""
    counts = {}
    for path in folder.glob("out.*"):
        text = path.read_text()
        name, total = _TRIGGER.search(text), _EVENTS.search(text)
        if name and total:
            counts[name.group(1)] = round(int(total.group(1)) / REPETITIONS)
    missing = [case.name for case in CASES if case.name not in counts]
    if missing:
        raise CannotCount(f"callgrind wrote nothing about {', '.join(missing)}")
    return {case.name: counts[case.name] for case in CASES}


def run_cases(library: Path) -> None:
    """The counted process: check, warm up, then count."""
    shim = ctypes.CDLL(str(library))
    toggle = shim.toggle_counting
    core = importlib.import_module("glyph_fast._core")
    for case in CASES:
        with case.make(core) as operation:
            operation.check()
            run, prepare = operation.run, operation.prepare or _nothing
            shim.case_starts()
            for repetition in range(-_WARM_UP, REPETITIONS):
                prepare()
                if repetition < 0:
                    run()
                    continue
                toggle()
                run()
                toggle()
            shim.case_ends(case.name.encode())


def _nothing() -> None:
    pass


def grown(before: Counts, now: Counts) -> dict[str, float]:
    """The cases that need more than the tolerance allows, with their growth as a ratio."""
    ratios = {name: count / before[name] for name, count in now.items() if name in before}
    return {name: ratio for name, ratio in ratios.items() if ratio > 1 + TOLERANCE}


def show(before: Counts, now: Counts) -> None:
    """Print counts, and how they changed."""
    print(f"{'instructions per call':<24}{'now':>12}{'before':>12}{'change':>9}")
    for name, count_now in now.items():
        old = before.get(name)
        change = f"{count_now / old - 1:+.1%}" if old else "new"
        print(f"{name:<24}{count_now:>12,}{f'{old:,}' if old else '–':>12}{change:>9}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and compare with the committed figures; 1 when something grew or cannot be compared."""
    parser = argparse.ArgumentParser(prog="bench/instructions", description=main.__doc__)
    parser.add_argument("--update", action="store_true", help="write the counts as the new figures")
    parser.add_argument(
        "--unknown-passes",
        action="store_true",
        help="succeed where no figures are committed for this compiler, Python and processor",
    )
    parser.add_argument("--under-valgrind", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.under_valgrind:
        run_cases(options.under_valgrind)
        return 0
    try:
        here, now = key(), count()
    except CannotCount as exc:
        print(f"bench/instructions: {exc}", file=sys.stderr)
        return 1
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    before = known.get(here, {})
    print(here)
    show(before, now)
    if options.update:
        known[here] = now
        BASELINE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        return 0
    if not before:
        print(f"no figures for {here}: take them with --update", file=sys.stderr)
        return 0 if options.unknown_passes else 1
    losses = grown(before, now)
    for name, ratio in losses.items():
        print(f"{name} needs {ratio - 1:.1%} more instructions than before", file=sys.stderr)
    return 1 if losses else 0


if __name__ == "__main__":
    sys.exit(main())
