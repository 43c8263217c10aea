"""Certificates made when a test wants them, by the `openssl` command; none is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Certificate(NamedTuple):
    """Two PEM files."""

    cert: str
    key: str


def make_certificate(folder: Path, name: str, *, issuer: Certificate | None = None) -> Certificate:
    """A certificate for localhost and 127.0.0.1, signed by itself or by `issuer`."""
    made = Certificate(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout", made.key, "-out", made.cert,
    ]  # fmt: skip
    if issuer is not None:
        command += ["-CA", issuer.cert, "-CAkey", issuer.key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.fail(f"openssl: {done.stderr}", pytrace=False)
    return made
