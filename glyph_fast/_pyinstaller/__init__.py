"""Hooks that PyInstaller asks an installed package for, by the entry point `pyinstaller40`."""

from __future__ import annotations

import os


def hook_dirs() -> list[str]:
    """The folders with our hooks."""
    return [os.path.dirname(__file__)]
