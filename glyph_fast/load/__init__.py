"""A load generator for WebSocket servers that checks every answer.

`run(Options(url=…, mode=…))` returns a `Report`; `glyph-fast bench --help` is the command. The
frames are written and parsed by glyph-fast's core in client role, in this process and one thread,
so give it a CPU of its own and look at `Report.usage.limit` before believing a rate. Server CPU per
message does not depend on how fast the client is as long as the server sees the same pattern.
"""

from __future__ import annotations

from .opening import OpeningFailed
from .options import MODES, Options
from .report import Report
from .runner import run
from .swarm import LoadError

__all__ = ["MODES", "LoadError", "OpeningFailed", "Options", "Report", "run"]
