"""The comparison as Markdown: a row per server, medians with their spread, ratios to the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .catalogue import BY_NAME
from .works import FIGURES, WORKS

FLOORS = ("floor-each", "floor-turn")
TLS_FLOORS = ("floor-tls",)  # of those that speak it


def markdown(document: Mapping[str, Any]) -> str:
    """The whole text of `results/<date>.md`."""
    figures = [name for name in FIGURES if document["figures"].get(name)]
    parts = [
        f"# {document['date']}",
        _machine(document),
        "Server CPU in µs per message, delivery or handshake; memory in bytes of RSS per idle "
        "connection. Median of interleaved runs, in brackets the least and the greatest.",
        _table(document, figures, _cell),
    ]
    if compared := [figure for figure in figures if _has_floor(document, figure)]:
        parts += [
            "The same as multiples of the C floor (the better of its two ways of sending; of "
            "servers that speak TLS, that with OpenSSL).",
            _table(document, compared, _ratio),
        ]
    missing = _missing(document)
    return "\n\n".join(parts + ([missing] if missing else [])) + "\n"


def _machine(document: Mapping[str, Any]) -> str:
    machine, plan = document["machine"], document["plan"]
    where = "virtual machine" if machine["virtual"] else "machine"
    pinned = (
        f"server on CPU {plan['server_on_cpu']}, client on CPU {plan['client_on_cpu']}"
        if plan["server_on_cpu"] is not None
        else "not pinned"
    )
    commit = document["commit"] or "unknown"
    return (
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['memory_gib']} GiB, {where}, "
        f"{machine['system']}, Python {machine['python']}; commit {commit}; "
        f"{plan['repetitions']} runs each in turn, at least {plan['server_cpu_seconds']:g} s of "
        f"server CPU per run; {pinned}."
    )


def _table(document: Mapping[str, Any], figures: Sequence[str], cell: Any) -> str:
    head = "| server | " + " | ".join(FIGURES[name].title for name in figures) + " |"
    rule = "|---|" + "--:|" * len(figures)
    rows = [head, rule]
    for name in document["plan"]["order"]:
        title = _titled(document, name)
        if name in document["not_run"]:
            rows.append(f"| {title} | not run: {document['not_run'][name]} |")
            continue
        cells = (cell(document, figure, name) for figure in figures)
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _titled(document: Mapping[str, Any], name: str) -> str:
    title: str = document["titles"][name]
    package = BY_NAME[name].package if name in BY_NAME else ""
    version = document["versions"].get(package)
    return f"{title} {version}" if version else title


def _cell(document: Mapping[str, Any], figure: str, server: str) -> str:
    samples = document["figures"][figure].get(server)
    if not samples:
        return "failed" if _has_failed(document, figure, server) else "–"
    low, high = min(samples), max(samples)
    text = number(median(samples))
    return text if len(samples) == 1 else f"{text} ({number(low)}–{number(high)})"


def _ratio(document: Mapping[str, Any], figure: str, server: str) -> str:
    samples = document["figures"][figure].get(server)
    is_tls = server in BY_NAME and BY_NAME[server].tls
    floor = _floor(document, figure, TLS_FLOORS if is_tls else FLOORS)
    return f"{median(samples) / floor:.2f}" if samples and floor else "–"


def _has_floor(document: Mapping[str, Any], figure: str) -> bool:
    return any(_floor(document, figure, floors) for floors in (FLOORS, TLS_FLOORS))


def _floor(document: Mapping[str, Any], figure: str, floors: Sequence[str]) -> float:
    samples = document["figures"].get(figure, {})
    return min((median(samples[name]) for name in floors if samples.get(name)), default=0.0)


def number(value: float) -> str:
    """Three digits that count; none after the point from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _has_failed(document: Mapping[str, Any], figure: str, server: str) -> bool:
    return any(
        server in document["failures"].get(work.name, {})
        for work in WORKS
        if any(f.name == figure for f in work.figures)
    )


def _missing(document: Mapping[str, Any]) -> str:
    lines = [
        f"- {_titled(document, server)} failed at {work}: {reason}"
        for work, servers in document["failures"].items()
        for server, reason in servers.items()
    ]
    return "\n".join(lines)
