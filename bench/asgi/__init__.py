"""ASGI applications under several servers: `python -m bench.asgi`.

Each application is the same file for all. A sample is a fresh process of the server, pinned to one
processor, with the client on another; the servers of a comparison take turns. What is compared is
the processor time of the server for one request or message, user and system, of all its processes;
every answer is compared with what it must be. Ratios within a run are what counts. Where the
machine is busy with other things, that only ever adds to a sample: the least of both sides tell
most then.
"""
