"""ASGI 3 applications on the port of the server: FastAPI, Starlette, Django, Quart, Litestar.

mounts     which application a path goes to, and their run from startup to shutdown
scope      what an application is told of a request
http       one request: `receive` and `send`
answer     the way of nearly all answers
head       the head of its answer
websocket  one WebSocket
wakeup     how a task that waits for a message goes on within the turn in which that came
lifespan   startup and shutdown
detect     what is an application
hosted     the other way round: the server as an application of another

Requests come here once no route of the program matched; everything before that, and the bytes, are
the server's own.
"""
