"""`python -m glyph_fast` is the command `glyph-fast`."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
