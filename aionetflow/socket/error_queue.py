"""Errors that wait for recvmsg(MSG_ERRQUEUE): what ICMP, or the host itself, says of what a socket sent (ip(7))."""

import errno
from collections import deque

from aionetflow.errors import os_error
from aionetflow.packet import IcmpOrigin
from aionetflow.socket.ancillary import ORIGIN_ICMP, ORIGIN_ICMP6, ORIGIN_LOCAL, Told

OVERHEAD = 256  # what a queued error counts for in the receive buffer, beside its octets (Linux truesize)


def told_by_icmp(
    data: bytes, address: tuple[object, ...], ipv4: bool, code: int, info: int, origin: IcmpOrigin | None
) -> Told:
    """What ICMP says of data that were sent to an address; code is an errno."""
    said = origin or IcmpOrigin(0, 0, b"")
    return Told(data, address, code, ORIGIN_ICMP if ipv4 else ORIGIN_ICMP6, *said[:2], info, *said[2:])


def take_told(errors: "deque[Told] | None") -> tuple[Told, int]:
    """The next of the errors, and what SO_ERROR says from then on, -1 for what it said before.

    It is the one that follows (Linux sock_dequeue_err_skb). EAGAIN if there is none.
    """
    if not errors:
        raise os_error(errno.EAGAIN)
    told = errors.popleft()
    if errors and errors[0].origin != ORIGIN_LOCAL:
        return told, errors[0].errno
    return told, -1 if told.origin == ORIGIN_LOCAL else 0
