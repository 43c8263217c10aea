"""A node on the port of another server."""

import os

from glyph_fast import Config, Server

server = Server(Config(broker=os.environ["BROKER"]))
server.room("here:*", presence=True, client_join=True)
app = server.asgi
