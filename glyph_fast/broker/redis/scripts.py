"""What Redis does with a room that remembers, each in one step.

    {…}m   a hash: epoch `e`, offset `o` of the newest message, bytes `n` that are kept, and `r`,
           the `run_id` of the server that has given the offsets
    {…}s   a list of the messages that are kept, as they were published
    {…}k…  the position that was given to an id

Whoever calls names the run_id of the server it is connected to, and behind blanks those of servers
from which the room may have moved there whole. Where the room has another one, a replica was made
primary or the server was started again: what the room has may be behind what members know, so it
begins a new epoch, whose text the caller has drawn.

A message is a frame `PLACED` of `ordering.py`. Its time is that of the server,
the one clock of all nodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha1
from typing import Any

import hiredis

from ..frames import Kind
from .connection import Answer, Connection, pack

_BEGIN = """
local meta = redis.call('HMGET', KEYS[1], 'e', 'o', 'n', 'r')
local epoch, offset, nbytes = meta[1], tonumber(meta[2]), tonumber(meta[3])
if not epoch or meta[4] ~= ARGV[1] then
    local run = string.match(ARGV[1], '^[^ ]+')
    if not epoch or not string.find(ARGV[1], meta[4] or '?', 1, true) then
        epoch, offset, nbytes = ARGV[2], 0, 0
        redis.call('DEL', KEYS[2])
        redis.call('HSET', KEYS[1], 'e', epoch, 'o', 0, 'n', 0, 'r', run)
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
    elseif meta[4] ~= run then
        redis.call('HSET', KEYS[1], 'r', run)
    end
end
"""

# KEYS: hash, list, perhaps that of an id. ARGV: run_id, a new epoch, how long the position stays
# (ms), the parts of the message, how many are kept, of how many bytes, how long (ms), how long an
# id counts (ms), the channel; one more where the position matters only if the new epoch was taken.
_PUBLISH = """#!lua
if KEYS[3] then
    local known = redis.call('GET', KEYS[3])
    if known then return known end
end
%s
offset = offset + 1
local clock = redis.call('TIME')
local size = 18 + #epoch + #ARGV[4]
local message = struct.pack('<IBdI8B', size, %d, clock[1] + clock[2] / 1e6, offset, #epoch)
    .. epoch .. ARGV[4]
local length = redis.call('RPUSH', KEYS[2], message)
if length == 1 then nbytes = 0 end
nbytes = nbytes + #message
while length > tonumber(ARGV[5]) or nbytes > tonumber(ARGV[6]) do
    nbytes = nbytes - #redis.call('LPOP', KEYS[2])
    length = length - 1
end
redis.call('HSET', KEYS[1], 'o', offset, 'n', nbytes)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
if KEYS[3] then redis.call('SET', KEYS[3], offset .. ' ' .. epoch, 'PX', ARGV[8]) end
redis.call('%s', ARGV[9], message)
if ARGV[10] and epoch ~= ARGV[2] then return 0 end
return {epoch, offset}
"""

# ARGV as above, then: the offset above which messages are wanted, that below which (0: any), how
# many at most, and whether the newest of them ('1') or the oldest.
_READ = """#!lua flags=allow-oom
%s
local length = redis.call('LLEN', KEYS[2])
local first = offset - length + 1
local start = math.max(first, tonumber(ARGV[4]) + 1)
local stop = offset
if tonumber(ARGV[5]) > 0 then stop = math.min(stop, tonumber(ARGV[5]) - 1) end
local most = tonumber(ARGV[6])
if stop - start >= most then
    if ARGV[7] == '1' then start = stop - most + 1 else stop = start + most - 1 end
end
local found = {}
if start <= stop then
    found = redis.call('LRANGE', KEYS[2], start - first, stop - first)
end
return {epoch, offset, length, start, found}
"""


class Script:
    """A script, and the digest by which a server that has it knows it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode()).hexdigest().encode()


PUBLISH = Script(_PUBLISH % (_BEGIN, Kind.PLACED, "PUBLISH"))
SPUBLISH = Script(_PUBLISH % (_BEGIN, Kind.PLACED, "SPUBLISH"))
READ = Script(_READ % _BEGIN)
# Note whose offsets a room goes on with. KEYS: its hash. ARGV: run_ids as above.
ADOPT = Script("""#!lua
local former = redis.call('HMGET', KEYS[1], 'r')[1]
local run = string.match(ARGV[1], '^[^ ]+')
if former and former ~= run and string.find(ARGV[1], former, 1, true) then
    redis.call('HSET', KEYS[1], 'r', run)
end
""")
# Forget a lease, or make it longer, if it is still ours. KEYS: it. ARGV: whose, how long (ms).
RENEW = Script("""#!lua
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")
RELEASE = Script("""#!lua
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")
ALL = (PUBLISH, SPUBLISH, READ, ADOPT, RENEW, RELEASE)

_Call = tuple[bytes, Answer]  # a packed command, and who gets its answer


class Scripts:
    """Calls scripts over the connection that `connection()` returns now, in order.

    Where the server has forgotten them, they are loaded again, and what failed and what was called
    since is repeated in its order.
    """

    def __init__(self, connection: Callable[[], Connection]) -> None:
        self._connection = connection
        self._sent: deque[_Call] = deque()  # that are not answered
        self._failed: list[_Call] = []  # as the server did not know the script
        self._held: list[_Call] | None = None  # called since, while there are such
        self._take = self._answered  # bound once

    async def load(self) -> None:
        """Have the server know all scripts. Raises `hiredis.ReplyError` and BrokerUnavailable."""
        for script in ALL:
            await self._connection().ask("SCRIPT", "LOAD", script.text)

    def call(self, script: Script, parts: tuple[Any, ...], answer: Answer) -> None:
        """Call a script with the number of its keys, the keys and arguments."""
        self.send(pack((b"EVALSHA", script.sha, *parts)), answer)

    def send(self, command: bytes, answer: Answer) -> None:
        """The same, of a call that is packed already."""
        if self._held is None:
            self._sent.append((command, answer))
            self._connection().send(command, self._take)
        else:
            self._held.append((command, answer))

    def _answered(self, got: Any) -> None:
        call = self._sent.popleft()
        if type(got) is hiredis.ReplyError and str(got).startswith("NOSCRIPT"):
            self._failed.append(call)
            self._held = [] if self._held is None else self._held
        else:
            call[1](got)
        if self._held is not None and not self._sent:
            self._repeat(self._held)

    def _repeat(self, held: list[_Call]) -> None:
        calls, self._failed, self._held = self._failed + held, [], None
        for script in ALL:
            self._connection().tell(pack(("SCRIPT", "LOAD", script.text)))
        for call in calls:
            self.send(*call)


__all__ = ["ADOPT", "ALL", "PUBLISH", "READ", "RELEASE", "RENEW", "SPUBLISH", "Script", "Scripts"]
