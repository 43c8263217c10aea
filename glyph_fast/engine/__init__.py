"""The owners of sockets: the core itself (`native`) or asyncio's transports (`asyncio`).

An engine moves bytes between sockets and connections of the core and makes time pass for them. What
the bytes mean is told to a `Handler`; `opening` is the part of it that speaks HTTP.
"""
