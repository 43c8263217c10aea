"""HTTP/1.1 as pure functions and small classes: bytes in, objects out; no sockets, no loop.

`head` judges and reads request heads, `request`, `body` and `incoming` hold what was read, `router`
finds the target of a path, `response` writes answers, `pieces` are bodies that leave as they are
made, `static` answers with files.
"""
