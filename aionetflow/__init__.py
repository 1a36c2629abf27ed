"""A network inside an asyncio program: our own TCP, UDP, IP, ARP and Ethernet, over links in memory.

    application ──await write()──▶ socket ──▶ TCP ──▶ IP ──▶ Ethernet ──▶ link ~~▶ (switch, router) ~~▶ … application
                                   api.py     tcp/    ip/    ethernet/    link/    network/
                                   socket/    udp/

`Network` makes the hosts and the links between them; `socket`, `connect`, `write`, `read`, `close` and their kin are
coroutines; `aionetflow.stack.Stack` is one host's stack without any I/O, for tests that set the time themselves.
"""

from aionetflow.api import (
    accept,
    bind,
    close,
    connect,
    getpeername,
    getsockname,
    getsockopt,
    listen,
    read,
    recvfrom,
    sendto,
    setsockopt,
    shutdown,
    socket,
    write,
)
from aionetflow.async_socket import Socket
from aionetflow.dropin.attach import attach
from aionetflow.dropin.patch import Patch, patch
from aionetflow.fast import COMPILED
from aionetflow.inspect import Hop, Ping, Probe, Reply, Trace, ping, traceroute
from aionetflow.ip.address import AF_INET, AF_INET6
from aionetflow.loop.events import EventLoop, new_event_loop, run
from aionetflow.network.host import Host, Router, current_host
from aionetflow.network.network import Network
from aionetflow.network.switch import Switch
from aionetflow.socket.options import (
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    MSG_PEEK,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SO_ACCEPTCONN,
    SO_BROADCAST,
    SO_DOMAIN,
    SO_ERROR,
    SO_LINGER,
    SO_PROTOCOL,
    SO_RCVBUF,
    SO_REUSEADDR,
    SO_SNDBUF,
    SO_TYPE,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_CORK,
    TCP_FASTOPEN,
    TCP_FASTOPEN_CONNECT,
    TCP_MAXSEG,
    TCP_NODELAY,
)

__version__ = "0.1.0"

Network.attach = staticmethod(attach)  # what entering a network does: imports point down only

__all__ = [
    "AF_INET", "AF_INET6", "COMPILED", "EventLoop", "Hop", "Host", "IPPROTO_IP", "IPPROTO_TCP", "IPPROTO_UDP",
    "IP_TOS", "IP_TTL", "MSG_PEEK", "Network", "Patch", "Ping", "Probe", "Reply", "Router", "SHUT_RD", "SHUT_RDWR",
    "SHUT_WR", "SOCK_DGRAM", "SOCK_STREAM", "SOL_SOCKET", "SO_ACCEPTCONN", "SO_BROADCAST", "SO_DOMAIN", "SO_ERROR",
    "SO_LINGER", "SO_PROTOCOL", "SO_RCVBUF", "SO_REUSEADDR", "SO_SNDBUF", "SO_TYPE", "Socket", "Switch", "TCP_CORK",
    "TCP_FASTOPEN", "TCP_FASTOPEN_CONNECT", "TCP_MAXSEG", "TCP_NODELAY", "Trace", "accept", "bind", "close",
    "connect", "current_host", "getpeername", "getsockname", "getsockopt", "listen", "new_event_loop", "patch",
    "ping", "read", "recvfrom", "run", "sendto", "setsockopt", "shutdown", "socket", "traceroute", "write",
]  # fmt: skip
