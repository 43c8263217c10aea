"""What several tests of the opening share."""

from __future__ import annotations

from tests.engine.certificates import certificate

__all__ = ["certificate"]
