"""Runs every server at every work in turn, A B A B, and collects the figures.

Servers alternate within a work, so that a slow minute of the machine meets all of them; each sample
is a fresh process. What counts is the median; the spread says what a difference is worth.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from .catalogue import ROOT, Rival
from .installation import installed
from .process import RunFailed, pinned, serving
from .works import Work

_SLACK = 120  # seconds a client may take beyond the run itself


@dataclass(frozen=True)
class Plan:
    """What to run. `server_cpu` is in seconds per sample."""

    cache: Path
    rivals: Sequence[Rival]
    works: Sequence[Work]
    repetitions: int = 3
    server_cpu: float = 2.0
    duration: float = 2.0
    max_duration: float = 15.0
    server_on: int | None = 0  # CPU numbers; None: not pinned
    client_on: int | None = 1


@dataclass
class Results:
    """Figures by figure name and server name, and why some are missing."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # server: reason
    failures: dict[str, dict[str, str]] = field(default_factory=dict)  # work: server: reason

    def add(self, work: Work, rival: Rival, report: dict[str, Any]) -> None:
        """Take the figures of one run."""
        brief = {key: value for key, value in report.items() if key not in ("series", "samples")}
        brief["latency"] = {k: v for k, v in brief["latency"].items() if k != "buckets_us"}
        self.reports.append({"work": work.name, "server": rival.name, **brief})
        for figure in work.figures:
            value = figure.extract(report)
            if value is not None:
                self.samples.setdefault(figure.name, {}).setdefault(rival.name, []).append(value)


def compare(plan: Plan, say: Callable[[str], object] = print) -> Results:
    """Run the plan. A server that fails at a work is not tried again at it."""
    results = Results()
    _, problems = installed(plan.cache)
    present = []
    for rival in plan.rivals:
        reason = problems.get(rival.needs)
        if reason is None and rival.needs != "ours":
            reason = _reason_missing(rival, plan.cache)
        if reason is None:
            present.append(rival)
        else:
            results.missing[rival.name] = reason
            say(f"not run: {rival.name}: {reason}")
    for work in plan.works:
        for repetition in range(plan.repetitions):
            for rival in present:
                if rival.name in results.failures.get(work.name, {}):
                    continue
                if work.servers is not None and rival.name not in work.servers:
                    continue
                label = f"{work.name} {repetition + 1}/{plan.repetitions} {rival.name}"
                try:
                    report = sample(plan, work, rival)
                except RunFailed as exc:
                    results.failures.setdefault(work.name, {})[rival.name] = str(exc)
                    say(f"{label}: failed: {exc}")
                else:
                    results.add(work, rival, report)
                    say(f"{label}: {_brief(report)}")
    return results


def _reason_missing(rival: Rival, cache: Path) -> str | None:
    program = Path(rival.command(cache, 0)[0])
    if program.is_absolute() and not program.exists():
        return f"{program.name} is not there: run bench/rivals/install"
    if rival.package:
        versions, _ = installed(cache)
        if rival.package not in versions:
            return f"{rival.package} was not installed"
    return None


def sample(plan: Plan, work: Work, rival: Rival) -> dict[str, Any]:
    """One server, started for this, and one run of the client; its report."""
    arguments = ["--max-duration", str(plan.max_duration), "--timeout", "30"]
    if work.is_timed:
        arguments += ["--server-cpu", str(plan.server_cpu), "--duration", str(plan.duration)]
    with serving(rival, plan.cache, plan.server_on) as (port, pid):
        timeout = plan.max_duration + _SLACK
        if rival.tls:
            arguments.append("--insecure")  # the certificate is not what is measured
        scheme = "wss" if rival.tls else "ws"
        return run_client(
            work, port, pid, arguments, cpu=plan.client_on, timeout=timeout, scheme=scheme
        )


class Client:
    """The load generator in its own process. It writes to files: nobody has to read meanwhile."""

    def __init__(self, command: list[str]) -> None:
        self._output = TemporaryFile("w+")
        self._said = TemporaryFile("w+")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._said,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._said.close()

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def report(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for its end and return its report. Raises RunFailed with what it said."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise RunFailed("the client did not end in time") from None
        if status:
            self._said.seek(0)
            raise RunFailed((self._said.read().strip().splitlines() or ["no output"])[-1])
        self._output.seek(0)
        report: dict[str, Any] = json.load(self._output)
        return report


def start_client(
    work: Work,
    port: int,
    pid: int,
    arguments: Sequence[str],
    *,
    cpu: int | None,
    scheme: str = "ws",
) -> Client:
    """Start the load generator for a work."""
    command = [
        sys.executable,
        "-m",
        "glyph_fast",
        "bench",
        f"{scheme}://127.0.0.1:{port}{work.path}",
    ]
    command += [*work.arguments, "--pid", str(pid), "--json", "-", "--no-progress", *arguments]
    return Client(pinned(command, cpu))


def run_client(
    work: Work,
    port: int,
    pid: int,
    arguments: Sequence[str],
    *,
    cpu: int | None,
    timeout: float,
    scheme: str = "ws",
) -> dict[str, Any]:
    """The report of a whole run. Raises RunFailed."""
    with start_client(work, port, pid, arguments, cpu=cpu, scheme=scheme) as client:
        return client.report(timeout)


def _brief(report: dict[str, Any]) -> str:
    server = report["server"]
    return (
        f"{server['cpu_us']} µs per {report['unit']}, {report['rate']:,.0f}/s, "
        f"server {server['busy']:.0%} client {report['client_busy']:.0%}"
    )


def document(plan: Plan, results: Results) -> dict[str, Any]:
    """Everything a reader needs to judge the figures, ready for JSON."""
    versions, _ = installed(plan.cache)
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(),
        "machine": describe_machine(),
        "versions": versions,
        "plan": {
            "repetitions": plan.repetitions,
            "server_cpu_seconds": plan.server_cpu,
            "server_on_cpu": plan.server_on,
            "client_on_cpu": plan.client_on,
            "order": [rival.name for rival in plan.rivals],
        },
        "titles": {rival.name: rival.title for rival in plan.rivals},
        "figures": results.samples,
        "not_run": results.missing,
        "failures": results.failures,
        "reports": results.reports,
    }


def describe_machine() -> dict[str, Any]:
    """Processor, kernel, memory: what figures of one machine depend on."""
    model = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = next((line.split()[1] for line in _lines("/proc/meminfo")), "0")
    return {
        "processor": model,
        "cpus": os.cpu_count(),
        "virtual": any(" hypervisor" in line for line in _lines("/proc/cpuinfo")),
        "memory_gib": round(int(memory) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def commit() -> str:
    """The commit that is checked out, as `git describe` names it; empty without git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip()
