"""Options of the IP levels (ip(7), ipv6(7)): what ancillary data tells, and how the way's MTU is gone by."""

import errno
from typing import TYPE_CHECKING, cast

from aionetflow.errors import os_error
from aionetflow.socket.ancillary import ASKED, UDP_SEGMENT
from aionetflow.socket.options import (
    IP_MTU_DISCOVER,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_UDP,
    IPV6_MTU_DISCOVER,
    Option,
)

if TYPE_CHECKING:
    from aionetflow.socket.base import Socket
    from aionetflow.socket.datagram import DatagramSocket

IP_MTU = 14
IPV6_MTU = 24
_LONGEST = 65535  # Linux IP_MAX_MTU


def _asking(bit: int) -> Option:
    """An option that has recvmsg tell something, or errors be queued."""

    def set_asked(sock: "Socket", value: int) -> None:
        sock.asked = sock.asked | bit if value else sock.asked & ~bit

    return Option(lambda sock: int(sock.asked & bit != 0), set_asked)


def _discovery(name: str) -> Option:
    def set_mode(sock: "Socket", value: int) -> None:
        if not 0 <= value <= 5:  # IP_PMTUDISC_DONT to IP_PMTUDISC_OMIT
            raise os_error(errno.EINVAL)
        setattr(sock, name, value)
        sock.options_changed()

    return Option(lambda sock: int(getattr(sock, name)), set_mode)


def _datagram(sock: "Socket") -> "DatagramSocket":
    if sock.proto != IPPROTO_UDP:
        raise os_error(errno.ENOPROTOOPT)
    return cast("DatagramSocket", sock)


def _set_segment(sock: "Socket", value: int) -> None:
    if not 0 <= value <= _LONGEST:
        raise os_error(errno.EINVAL)
    _datagram(sock).segment = value


OPTIONS: dict[tuple[int, int], Option] = {
    **{key: _asking(bit) for key, bit in ASKED.items() if key[0] != IPPROTO_IPV6},
    (IPPROTO_IP, IP_MTU_DISCOVER): _discovery("mtu_discover"),
    (IPPROTO_IP, IP_MTU): Option(lambda sock: min(sock.path_mtu(), _LONGEST), None),
    (IPPROTO_UDP, UDP_SEGMENT): Option(lambda sock: _datagram(sock).segment, _set_segment),
}
IPV6_OPTIONS: dict[tuple[int, int], Option] = {
    **{key: _asking(bit) for key, bit in ASKED.items() if key[0] == IPPROTO_IPV6},
    (IPPROTO_IPV6, IPV6_MTU_DISCOVER): _discovery("mtu_discover6"),
    (IPPROTO_IPV6, IPV6_MTU): Option(lambda sock: sock.path_mtu(), None),
}
