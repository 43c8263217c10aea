"""Puts the rivals into a directory of their own, and says which of them are there.

Every part is tried once; one that cannot be had is written down with the reason, and its servers
appear in the table as not run. A second run does only what is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .catalogue import (
    GO_PACKAGES,
    GO_SOURCES,
    NODE_PACKAGES,
    PYTHON_PACKAGES,
    SERVERS,
    certificate,
)

_TIMEOUT = 900  # seconds for one command
_RECORD = "installed.json"


class NotInstalled(Exception):
    """A part that cannot be had here; the text is the reason."""


def install(cache: Path, say: Callable[[str], object] = print) -> dict[str, str]:
    """Install every part; return the reasons of those that failed, by part."""
    cache.mkdir(parents=True, exist_ok=True)
    problems: dict[str, str] = {}
    versions: dict[str, str] = {}
    for part, step in _STEPS.items():
        say(f"{part}: …")
        try:
            versions |= step(cache)
        except NotInstalled as exc:
            problems[part] = str(exc)
            say(f"{part}: not installed: {exc}")
        else:
            say(f"{part}: ready")
    record = {"versions": versions, "problems": problems}
    (cache / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return problems


def installed(cache: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Versions by package and reasons of failure by part, as the last `install` left them."""
    try:
        record = json.loads((cache / _RECORD).read_text())
    except FileNotFoundError:
        return {}, {part: "not installed: run bench/rivals/install" for part in _STEPS}
    return record["versions"], record["problems"]


def _c(cache: Path) -> dict[str, str]:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NotInstalled("no C compiler")
    target = cache / "bin" / "floor"
    if _is_older(target, SERVERS / "floor.c"):
        target.parent.mkdir(exist_ok=True)
        source = str(SERVERS / "floor.c")
        _run([compiler, "-O3", "-march=native", "-Wall", "-o", str(target), source])
    return {"cc": _run([compiler, "--version"]).splitlines()[0]}


def _openssl(cache: Path) -> dict[str, str]:
    cert, key = certificate(cache)
    if not key.exists():
        cert.parent.mkdir(parents=True, exist_ok=True)
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650"
            " -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        )
        _run([*command.split(), "-out", str(cert), "-keyout", str(key)])
    target, header = cache / "bin" / "floor-tls", SERVERS / "floor_tls.h"
    if _is_older(target, SERVERS / "floor.c") or _is_older(target, header):
        target.parent.mkdir(exist_ok=True)
        compiler = shutil.which("cc") or "gcc"
        source = str(SERVERS / "floor.c")
        flags = ["-O3", "-march=native", "-Wall", "-DFLOOR_TLS"]
        _run([compiler, *flags, "-o", str(target), source, "-lssl", "-lcrypto"])
    return {"openssl": _run(["openssl", "version"]).split()[1]}


def _python(cache: Path) -> dict[str, str]:
    home = cache / "python"
    python = home / "bin" / "python"
    wanted = "\n".join(PYTHON_PACKAGES)
    stamp = home / "packages.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(home)])
        for package in PYTHON_PACKAGES:  # one by one: one that fails must not take the rest along
            try:
                _run([str(python), "-m", "pip", "install", "-q", package])
            except NotInstalled as exc:
                print(f"python: {package}: {exc}", file=sys.stderr)
        stamp.write_text(wanted)
    listed = json.loads(_run([str(python), "-m", "pip", "list", "--format", "json"]))
    versions = {item["name"].lower(): item["version"] for item in listed}
    return {**versions, "python": _run([str(python), "-V"]).split()[1]}


def _node(cache: Path) -> dict[str, str]:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise NotInstalled("no node and npm")
    home = cache / "node"
    home.mkdir(exist_ok=True)
    if any(not (home / "node_modules" / name).exists() for name in NODE_PACKAGES):
        _run([npm, "install", "--prefix", str(home), "--no-audit", "--no-fund", *NODE_PACKAGES])
    versions = {"node": _run([node, "--version"]).strip()}
    for name in NODE_PACKAGES:
        package = home / "node_modules" / name / "package.json"
        versions[name] = json.loads(package.read_text())["version"]
    return versions


def _bun(cache: Path) -> dict[str, str]:
    # `npm install` may refuse to run Bun's install script, which puts the program of this platform
    # in its place; the program lies beside it all the same, in the package of the platform.
    link = cache / "node" / "node_modules" / ".bin" / "bun"
    if not link.exists():
        raise NotInstalled("npm did not install bun")
    try:
        return {"bun": _run([str(link), "--version"]).strip()}
    except NotInstalled:
        _run([shutil.which("node") or "node", "install.js"], cwd=link.resolve().parent.parent)
        return {"bun": _run([str(link), "--version"]).strip()}


def _go(cache: Path) -> dict[str, str]:
    sources = GO_SOURCES / "src" / "github.com" / "gorilla" / "websocket"
    if shutil.which("go") is None or not sources.exists():
        _apt(GO_PACKAGES)
    target = cache / "bin" / "gorilla"
    if _is_older(target, SERVERS / "gorilla_server.go"):
        target.parent.mkdir(exist_ok=True)
        environment = {
            "GO111MODULE": "off",  # the library comes from Debian, as source under GOPATH
            "GOPATH": str(GO_SOURCES),
            "GOCACHE": str(cache / "go-cache"),
        }
        source = str(SERVERS / "gorilla_server.go")
        _run(["go", "build", "-o", str(target), source], environment=environment)
    version = _run(["dpkg-query", "-W", "-f", "${Version}", GO_PACKAGES[1]])
    return {"go": _run(["go", "version"]).split()[2], "gorilla": version}


def _apt(packages: tuple[str, ...]) -> None:
    if shutil.which("apt-get") is None:
        raise NotInstalled("no go, and no apt-get to get it with")
    if os.geteuid() != 0:
        raise NotInstalled(f"no go: apt-get install {' '.join(packages)}")
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "-qq", *packages]
    try:
        _run(command)
    except NotInstalled:
        _run(["apt-get", "update", "-qq"])
        _run(command)


_STEPS: dict[str, Callable[[Path], dict[str, str]]] = {
    "c": _c,
    "openssl": _openssl,
    "python": _python,
    "node": _node,
    "bun": _bun,
    "go": _go,
}


def _is_older(target: Path, source: Path) -> bool:
    return not target.exists() or target.stat().st_mtime < source.stat().st_mtime


def _run(
    command: list[str], *, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotInstalled(f"{command[0]}: {exc}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise NotInstalled(f"{Path(command[0]).name} {command[1]}: {lines[-1]}")
    return done.stdout
