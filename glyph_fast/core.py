"""The chooser: the compiled core or its pure Python twin, and nothing else.

`GLYPH_FAST_CORE` says which: `compiled`, `python`, or `auto` (also when unset), which takes the
compiled one where it is installed. It is read once, when this module is first imported. A type
checker always reads the twin, so no stub file can drift from the code.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

from .errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "HAS_POLLER",
    "NAME",
    "Connection",
    "Context",
    "Counters",
    "Dispatch",
    "Frame",
    "Histogram",
    "Limits",
    "Message",
    "Plan",
    "Poller",
    "Room",
    "Turn",
    "apply_mask",
    "encode_frame",
    "read_plain_head",
    "read_plain_upgrade",
    "read_plainly",
    "reset_socket",
    "unacknowledged",
]


def _choose(wanted: str) -> ModuleType:
    if wanted not in ("auto", "compiled", "python"):
        raise ConfigError(f"GLYPH_FAST_CORE is {wanted!r}, expected auto, compiled or python")
    if wanted != "python":
        try:
            return import_module("._core", __package__)
        except ModuleNotFoundError as exc:
            # Only an extension that is absent falls back; one that is broken must not turn into
            # a server that is silently slow.
            if exc.name != f"{__package__}._core":
                raise
            if wanted == "compiled":
                raise ConfigError(
                    "core 'compiled' is not in this installation; 'python' or 'auto' would serve"
                ) from exc
    return import_module("._pure", __package__)


if TYPE_CHECKING:
    from . import _pure as _chosen
else:
    _chosen = _choose(os.environ.get("GLYPH_FAST_CORE") or "auto")

NAME: Final[Literal["compiled", "python"]] = (
    "python" if _chosen.__name__.endswith("._pure") else "compiled"
)

HAS_POLLER = _chosen.HAS_POLLER  # whether the native engine can run here
Connection = _chosen.Connection
Context = _chosen.Context
Counters = _chosen.Counters
Dispatch = _chosen.Dispatch
Frame = _chosen.Frame
Histogram = _chosen.Histogram
Limits = _chosen.Limits
Message = _chosen.Message
Poller = _chosen.Poller
Room = _chosen.Room
Turn = _chosen.Turn
Plan = _chosen.Plan
apply_mask = _chosen.apply_mask
encode_frame = _chosen.encode_frame
read_plain_head = _chosen.read_plain_head
read_plain_upgrade = _chosen.read_plain_upgrade
read_plainly = _chosen.read_plainly
reset_socket = _chosen.reset_socket
unacknowledged = _chosen.unacknowledged
