"""One server for each backend, abused by all tests in turn."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.abuse.site import Bystander, Site

OPTIONS = {
    "head_timeout": "1s",
    "write_timeout": "1s",
    "close_timeout": "1s",
    "compression": "dedicated",
    "max_room_members": "2000",
}
LARGE = {"max_message_size": "32MiB"}

Sites = dict[tuple[str, bool], Site]


@pytest.fixture(scope="session")
def sites() -> Iterator[Sites]:
    """The servers that run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found: Sites = {}
    yield found
    for site in found.values():
        site.end()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def lend(sites: Sites, backend: Any, *, is_large: bool) -> Iterator[Site]:
    """A server of the backend, started if it does not run, without clients."""
    site = sites.get((str(backend), is_large))
    if site is None:
        options = OPTIONS | (LARGE if is_large else {})
        site = sites[str(backend), is_large] = Site(backend, **options)
    yield site
    site.leave()
    assert site.process.process.poll() is None, site.process.log()


@pytest.fixture
def site(backend: Any, sites: Sites) -> Iterator[Site]:
    """A server with the usual limits."""
    yield from lend(sites, backend, is_large=False)


@pytest.fixture
def large_site(backend: Any, sites: Sites) -> Iterator[Site]:
    """A server that takes messages of 32 MiB."""
    yield from lend(sites, backend, is_large=True)


@pytest.fixture(
    params=[1, pytest.param(15, marks=[pytest.mark.slow, pytest.mark.soak])], ids=["quick", "long"]
)
def rounds(request: pytest.FixtureRequest) -> int:
    """How often an attack is repeated."""
    count: int = request.param
    return count


@pytest.fixture
def tell(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[Bystander], None]:
    """Prints how a bystander fared."""

    def tell(bystander: Bystander) -> None:
        with capsys.disabled():
            print(f"\n  {request.node.name}: {bystander.figures()}")

    return tell
