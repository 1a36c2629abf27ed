"""How much memory this process holds, what the kernel holds for its sockets included."""

from __future__ import annotations

import gc
import os
from pathlib import Path

SLABS = Path("/proc/slabinfo")
# What Linux makes for each TCP socket that an event loop watches.
OBJECTS = ("TCP", "sock_inode_cache", "filp", "dentry", "lsm_inode_cache", "eventpoll_epi")
_SIZE_FIELD = 3  # name, active objects, all objects, octets of one, ...


def memory() -> float:
    """Resident octets of this process, and those of the kernel's sockets that it has open; Linux only.

    The sockets are counted and not weighed, because the kernel's memory is everybody's. They count nothing where
    `kernel_socket` does not know what one takes.
    """
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident + open_sockets() * kernel_socket()


def open_sockets() -> int:
    """How many kernel sockets this process has open."""
    with os.scandir("/proc/self/fd") as entries:
        return sum(os.readlink(entry).startswith("socket:") for entry in entries)


def kernel_socket() -> int:
    """Octets that the kernel takes for one idle TCP socket; 0 where it does not tell (it tells root)."""
    try:
        lines = [line.split() for line in SLABS.read_text().splitlines()]
    except OSError:
        return 0
    return sum(int(fields[_SIZE_FIELD]) for fields in lines if fields[0] in OBJECTS)
