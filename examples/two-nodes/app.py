"""Notes that several servers share by a broker: what is said on one arrives on all.

cd examples/two-nodes
glyph-fast serve app:server             # one server; or: python app.py
python run.py                           # two, with the NATS server and the nginx they need
"""

from glyph_fast import Server

server = Server()
server.room("notes:*", client_join=True, presence=True)

if __name__ == "__main__":
    server.run()
