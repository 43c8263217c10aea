"""The command behind `bench/rivals/run`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from .catalogue import BY_NAME, CACHE, RIVALS, ROOT, TLS_RIVALS
from .comparison import Plan, compare, document
from .installation import install
from .table import markdown
from .works import BY_NAME as WORKS_BY_NAME
from .works import WORKS

Chosen = TypeVar("Chosen")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; 0 when every required server gave its figures."""
    options = _parser().parse_args(arguments)
    if not options.no_install:
        install(options.dir, say=lambda text: print(text, file=sys.stderr))
    plan = _plan(options)
    results = compare(plan, say=lambda text: print(text, file=sys.stderr, flush=True))
    found = document(plan, results)
    text = markdown(found)
    options.output.mkdir(parents=True, exist_ok=True)
    name = options.name or time.strftime("%Y-%m-%d", time.gmtime())
    (options.output / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.output / f"{name}.md").write_text(text)
    print(text)
    absent = [r.name for r in plan.rivals if r.required and r.name in results.missing]
    if absent:
        print(f"required, but not run: {', '.join(absent)}", file=sys.stderr)
    return 1 if absent else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/rivals/run", description="Compare glyph-fast with other servers."
    )
    parser.add_argument("--dir", type=Path, default=CACHE, help="where the rivals are installed")
    parser.add_argument("--no-install", action="store_true", help="take what is there")
    parser.add_argument("--tls", action="store_true", help="the servers that speak TLS")
    parser.add_argument("--only", metavar="NAMES", help=f"of {', '.join(BY_NAME)}")
    parser.add_argument("--work", metavar="NAMES", help=f"of {', '.join(WORKS_BY_NAME)}")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--server-cpu", type=float, default=2.0, metavar="S", help="seconds per sample, at least"
    )
    parser.add_argument("--max-duration", type=float, default=15.0, metavar="S")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    parser.add_argument("--name", help="of the files; default: the date")
    parser.add_argument(
        "--no-pinning", action="store_true", help="do not keep server and client on a CPU each"
    )
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    pins = (None, None) if options.no_pinning or (os.cpu_count() or 1) < 2 else (0, 1)
    return Plan(
        cache=options.dir,
        rivals=_chosen(options.only, BY_NAME, TLS_RIVALS if options.tls else RIVALS),
        works=_chosen(options.work, WORKS_BY_NAME, WORKS),
        repetitions=options.repetitions,
        server_cpu=options.server_cpu,
        duration=min(2.0, options.server_cpu),
        max_duration=options.max_duration,
        server_on=pins[0],
        client_on=pins[1],
    )


def _chosen(
    names: str | None, known: Mapping[str, Chosen], everything: Sequence[Chosen]
) -> Sequence[Chosen]:
    if names is None:
        return everything
    unknown = [name for name in names.split(",") if name not in known]
    if unknown:
        raise SystemExit(f"bench/rivals/run: unknown: {', '.join(unknown)}")
    return [known[name] for name in names.split(",")]


if __name__ == "__main__":
    sys.exit(main())
