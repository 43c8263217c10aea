"""Modules of a packed program that are imported by name, so that PyInstaller cannot see them.

The core is one of two, a public name is loaded when it is first asked for, and so is a command.
"""

from __future__ import annotations

from importlib import import_module

from PyInstaller.utils.hooks import collect_data_files

modules = import_module("glyph_fast")._MODULES.values()
hiddenimports = ["glyph_fast._core", "glyph_fast._numbers", "glyph_fast._pure"]
hiddenimports += sorted({f"glyph_fast.{module}" for module in modules})
datas = collect_data_files("glyph_fast")  # the pages of the chat and of the dashboard
