"""The pure Python core: the readable twin of `_core`, in the same chapters as `_c`.

frames      masking, writing, and what is shared by all who receive one
sockets     what the standard library does not offer
head        request heads in which there is nothing to judge
limits      what bounds the connections of one loop
histogram   what is counted of them
connection  a machine between bytes and messages; the table of its end
turn        what the connections of one loop share, and what happens at the end of a turn
room        members, and one frame for all of them
dispatch    from a message to its handlers, the short way
descriptor  what takes the bytes to a socket
tls         between the two
poller      sockets without transports

It tells what everything is for; the compiled core is the same for fewer instructions.
"""

from __future__ import annotations

from .connection import Connection
from .dispatch import Context, Dispatch, Message, Plan, read_plainly
from .frames import Frame, apply_mask, encode_frame
from .head import read_plain_head, read_plain_upgrade
from .histogram import Counters, Histogram
from .limits import Limits
from .poller import HAS_POLLER, Poller
from .room import Room
from .sockets import reset_socket, unacknowledged
from .turn import Turn

__all__ = [
    "HAS_POLLER",
    "Connection",
    "Context",
    "Counters",
    "Dispatch",
    "Frame",
    "Histogram",
    "Limits",
    "Message",
    "Plan",
    "Poller",
    "Room",
    "Turn",
    "apply_mask",
    "encode_frame",
    "read_plain_head",
    "read_plain_upgrade",
    "read_plainly",
    "reset_socket",
    "unacknowledged",
]
