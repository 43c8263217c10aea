"""The program of the nodes of these tests, as a process serves it."""

from tests.broker.redis.nodes import program

server = program()
