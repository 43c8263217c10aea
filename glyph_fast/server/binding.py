"""The sockets a server listens on: bound for it, or passed on by the process before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..engine.listening import bind_tcp, bind_unix, inherit
from ..errors import ListenError
from ..options.config import Config
from ..process.handover import ACTIVATED, Inherited, Place


class Binding:
    """The listening sockets of a role, and what they are for. Raises ListenError."""

    def __init__(self, config: Config, inherited: Inherited, role: str) -> None:
        self._config = config
        name = f"unix:{config.uds}" if config.uds else f"{config.host}:{config.port}"
        place = inherited.take(role, name)
        self.was_announced = False  # by a former process of this server
        with listen_errors():
            if place is not None:
                name = place.name
                self.was_announced = inherited.channel is not None
                self.listening = inherit(place.sockets, owns_file=name != ACTIVATED)
            elif config.uds:
                self.listening = bind_unix(config.uds, int(config.uds_mode, 8))
            else:
                self.listening = bind_tcp(config.hosts[0], config.port, *config.hosts[1:])
        self._name = name

    @property
    def place(self) -> Place:
        """The sockets and their name, for a successor."""
        return Place(self._name, self.listening.sockets)

    @property
    def urls(self) -> Sequence[str]:
        """Return where clients find it, one URL for each host."""
        listening, config = self.listening, self._config
        if self._name != ACTIVATED:
            return config.urls(listening.port)
        if listening.is_unix:
            return (f"unix:{listening.address}",)
        return config.replace(uds=None, host=listening.address).urls(listening.port)


@contextmanager
def listen_errors() -> Iterator[None]:
    """Turn an OSError into a ListenError."""
    try:
        yield
    except OSError as exc:
        raise ListenError(*exc.args) from exc
