"""Servers as Centrifugo's own suites want them: one that is open, and two that want tokens."""

from glyph_fast import Config, Server

SECRET = "a secret of Centrifugo's suites, 32"


def with_rooms(server: Server) -> Server:
    """Rooms for everybody, some of which keep two messages, and some that a token opens."""
    kept = {"history_ttl": "300s", "presence": True}
    server.room("*", history_size=100, client_join=True, **kept)
    server.room("smallhistory:*", history_size=2, client_join=True, **kept)
    server.room("private*", history_size=100, client_publish=True, **kept)
    server.centrifuge()
    return server


opened = with_rooms(Server())
secured = with_rooms(Server(Config(jwt_secret=SECRET)))
personal = with_rooms(Server(Config(jwt_secret=SECRET)))


@personal.on_connect
def into_own_room(conn):
    conn.join_room(f"#{conn.identity['sub']}")
