"""The Centrifuge protocol: a dialect of the same rooms for its client libraries.

A channel is a room. What a client may do is decided by the handlers and declarations that decide it
for clients of the server's own.
"""
