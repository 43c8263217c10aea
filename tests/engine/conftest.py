"""What several tests of the engines share."""

from __future__ import annotations

import pytest
from engine.certificates import Certificate, make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of localhost that signs itself."""
    return make_certificate(tmp_path_factory.mktemp("certificates"), "localhost")
