"""Handlers: what the application registers, and how it is run.

registry    the decorators, and which handlers a message of a route goes to
dialect     what a received payload is: text, bytes, JSON, an envelope
context     what a handler is given
builtin     the messages clients may send to the server itself
eager       coroutines started at once
dispatcher  one connection's handlers, one at a time, in order
"""

from .context import MessageContext
from .dispatcher import Dispatcher

__all__ = ["Dispatcher", "MessageContext"]
