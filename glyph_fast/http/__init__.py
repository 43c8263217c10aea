"""HTTP/1.1 as pure functions and small classes: bytes in, objects out; no sockets, no loop.

`head` judges and reads request heads, `request` and `body` hold what was read, `router` finds the
target of a path, `response` writes answers, `static` answers with files.
"""
