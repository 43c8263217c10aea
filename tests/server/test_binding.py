"""Where a server listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from glyph_fast import Config
from glyph_fast.errors import ListenError
from glyph_fast.process.handover import ACTIVATED, Inherited, Place
from glyph_fast.server.binding import Binding


def test_a_free_port_is_bound_and_named() -> None:
    binding = Binding(Config(port=0), Inherited(), "listening")
    port = binding.listening.port
    assert list(binding.urls) == [f"http://127.0.0.1:{port}"]
    assert binding.place == Place("127.0.0.1:0", binding.listening.sockets)
    assert not binding.was_announced
    binding.listening.start()
    with pytest.raises(ListenError):
        Binding(Config(port=port), Inherited(), "listening")
    binding.listening.close()


def test_a_unix_socket_is_bound_and_named(tmp_path: Path) -> None:
    path = tmp_path / "s"
    binding = Binding(Config(uds=path), Inherited(), "listening")
    assert list(binding.urls) == [f"unix:{path}"]
    binding.listening.close()
    assert not path.exists()


def test_sockets_of_a_service_manager_are_named_by_their_address() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    inherited = Inherited({"listening": Place(ACTIVATED, [sock])})
    binding = Binding(Config(host="0.0.0.0", port=1), inherited, "listening")
    assert list(binding.urls) == [f"http://127.0.0.1:{sock.getsockname()[1]}"]
    binding.listening.close()
