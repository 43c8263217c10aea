"""The pages for those who come from elsewhere: their programs run, and their names are ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import glyph_fast
from tests.serving import ROOT

PAGES = sorted(path.name for path in (ROOT / "docs").glob("coming-from-*.md"))


def programs(page: str, folder: Path) -> list[str]:
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for name, program in found:
        (folder / name).write_text(program)
    return [name for name, _ in found]


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_three() -> None:
    assert len(PAGES) == 3


@pytest.mark.parametrize("page", PAGES)
def test_the_program_passes_the_test_beside_it(page: str, tmp_path: Path) -> None:
    names = programs(page, tmp_path)
    assert any(name.startswith("test_") for name in names)
    told = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert "1 passed" in told


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_names_is_ours(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    ours = [row.split("|")[2] for row in re.findall(r"^\|.*\|$", text, re.MULTILINE)]
    code = " ".join(each for row in ours for each in re.findall(r"`([^`]+)`", row))
    for holder, kind in {
        "conn": glyph_fast.Connection,
        "hub": glyph_fast.Hub,
        "server": glyph_fast.Server(),
        "request": glyph_fast.Request,
    }.items():
        for name in re.findall(rf"\b{holder}\.(\w+)", code):
            is_clients = holder == "server" and name in {"on", "call", "join", "close", "send"}
            assert hasattr(kind, name) or is_clients, f"{holder}.{name}"
    options = run(ROOT, "-m", "glyph_fast", "serve", "--help")
    for option in set(re.findall(r"--[a-z][a-z-]+", code)) - {"--openapi"}:
        assert option in options, option


DJANGO = """
import asyncio
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import signed_in
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command

from glyph_fast.testing import SyncTestClient, UpgradeRefused

call_command("migrate", verbosity=0)
user = User.objects.create_user("ada")
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
signed_in.server.websocket("/ws")
with SyncTestClient(signed_in.server) as client:
    ws = client.connect("/ws", headers={"Cookie": f"sessionid={session.session_key}"})
    print("identity", ws.connection.identity)
    try:
        client.connect("/ws", headers={"Cookie": "sessionid=nobody"})
    except UpgradeRefused as refusal:
        print("refused", refusal.answer.status)
"""
SETTINGS = """
SECRET_KEY = "only for this test"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
USE_TZ = True
"""


def test_django_s_sessions_say_who_it_is(tmp_path: Path) -> None:
    programs("coming-from-channels.md", tmp_path)
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / "run.py").write_text(DJANGO)
    assert run(tmp_path, "run.py").split("\n")[:2] == ["identity ada", "refused 403"]
