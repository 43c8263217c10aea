"""The same chat with its rooms in Glyph: `main.glyph` says what they do, Python serves the page.

cd examples/websocket-chat
glyph-fast serve with_glyph:server      # or: python with_glyph.py
"""

from __future__ import annotations

from pathlib import Path

from glyph_fast import Config, GlyphServer
from glyph_fast.chat import add_page

# `join_room` would let a connection listen in rooms that its address does not name.
server = GlyphServer(Config(client_commands=["ping"]))
add_page(server)
server.load(Path(__file__).with_name("main.glyph"))

if __name__ == "__main__":
    server.run()
