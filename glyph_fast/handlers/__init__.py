"""Handlers: what the application registers, and how it is run.

registry    the decorators, and which handlers a message of a route goes to
context     what a handler is given
answering   messages whose senders wait for an answer
builtin     the messages clients may send to the server itself
history     those of them that have to do with rooms that remember
permission  where clients may use them
eager       coroutines started at once
outcome     what comes of the application's code, whatever it raises
inbox       what waits for the handlers of one connection
leaving     the end of a handler that reads, once the client has gone
dispatcher  one connection's handlers, one at a time, in order
"""

from .context import MessageContext
from .dispatcher import Dispatcher

__all__ = ["Dispatcher", "MessageContext"]
