"""The other way round: the whole server as an ASGI application, on the port of another server.

engine    connections without sockets, one for each scope
requests  a scope as the bytes of a request
answers   the bytes of an answer as what ASGI's `send` takes
frames    WebSocket frames, as a client writes and reads them
http      one request
websocket one WebSocket

A scope becomes the bytes that a client would have sent, and bytes become messages again. So what is
served here is the server itself, with every rule it has, and not a second one.
"""
