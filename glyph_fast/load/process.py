"""The costs of a server process: its CPU clock, its memory, its descriptors.

The CPU clock of a process (`clock_getcpuclockid`, Linux) counts nanoseconds over all its threads,
while `/proc/PID/stat` counts ticks of 10 ms. A server with worker processes is judged as the sum of
its tree. All of it is Linux; elsewhere a run goes without these figures.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_clock_id(pid: int) -> int:
    """The clock that counts the CPU time of process `pid`, for `time.clock_gettime_ns`.

    The kernel's encoding (`include/linux/posix-timers_types.h`): the complement of the pid above
    three bits, of which 2 says "time given by the scheduler".
    """
    return ~pid << 3 | 2


class ServerProcess:
    """The process `pid` and its descendants, as one server."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def pids(self) -> list[int]:
        """The process and all its living descendants. Raises ProcessLookupError when it is gone."""
        found, index = [self.pid], 0
        while index < len(found):
            found += _children(found[index])
            index += 1
        return found

    def cpu_ns(self) -> int:
        """CPU time used so far, user and kernel, all threads, in nanoseconds."""
        total = 0
        for pid in self.pids():
            try:
                total += time.clock_gettime_ns(cpu_clock_id(pid))
            except OSError:  # a worker that has just ended
                if pid == self.pid:
                    raise ProcessLookupError(f"process {pid} is gone") from None
        return total

    def rss_bytes(self) -> int:
        """Resident memory in bytes; pages that workers share count for each of them."""
        return sum(_statm(pid) for pid in self.pids())

    def descriptor_count(self) -> int:
        """Open file descriptors."""
        count = 0
        for pid in self.pids():
            try:
                count += len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                continue
        return count


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    try:
        return [
            int(child)
            for task in tasks.iterdir()
            for child in (task / "children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def _statm(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except FileNotFoundError:
        return 0


def find_listener(port: int) -> int | None:
    """The pid of the process on this machine that listens on TCP `port`, if it can be seen.

    Of several (a parent that handed its socket to workers) the smallest, as a rule the parent.
    """
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    holders = [pid for pid in _visible_pids() if _holds(pid, inodes)]
    return min(holders, default=None)


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for row in rows:
            fields = row.split()
            is_listening = fields[3] == "0A"
            if is_listening and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _visible_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _holds(pid: int, inodes: set[str]) -> bool:
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            return any(os.readlink(entry.path) in inodes for entry in entries)
    except OSError:  # not ours to look into, or gone meanwhile
        return False
