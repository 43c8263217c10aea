"""The opening of a connection: the first bytes, the request, who may come in, and its answer.

opening         requests of one connection, until it is a WebSocket
handshakes      who may open one
exchange        an HTTP request and its answer
admission       limits by address and in all
origins, cors   which pages may connect, and read answers
proxy_protocol  PROXY headers

The engines move bytes and know none of this; what is judged here stands behind `Handler`.
"""
