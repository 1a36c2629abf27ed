"""How a script comes to a connection in a state of RFC 9293, by calls and packets alone."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from support.beside import packets as p
from support.beside.talk import Flow, Sock, Talk

MSS = 1000
RTT = 0.02  # s
ROOM = 200_000  # octets of send buffer: how Linux counts what is in it is not what is compared
ABORT = struct.pack("ii", 1, 0)  # struct linger


def listening(t: Talk, port: int = 80, backlog: int = 8, version: int = 4) -> Sock:
    """A socket that listens."""
    listener = t.tcp(version)
    listener.bind((p.OURS[version], port))
    listener.listen(backlog)
    return listener


def accepted(
    t: Talk, *, opts: bytes | None = None, win: int = 65535, rtt: float = RTT, peer: int = 4000, port: int = 80,
    version: int = 4, before: Callable[[Sock], object] | None = None, syn: str = "S", tos: int = 0,
) -> tuple[Sock, Flow]:  # fmt: skip
    """The peer has connected to a listener. `before` may set options of the listener."""
    listener = t.tcp(version)
    listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
    if before is not None:
        before(listener)
    listener.bind((p.OURS[version], port))
    listener.listen(8)
    flow = t.flow(peer, port, version)
    flow.sends(syn, opts=p.mss(MSS) if opts is None else opts, win=win, tos=tos)
    t.expect()
    t.wait(rtt)
    flow.sends("A", win=win)
    sock, _ = listener.accept()
    listener.close()
    return sock, flow


def syn_sent(
    t: Talk, *, peer: int = 80, version: int = 4, before: Callable[[Sock], object] | None = None
) -> tuple[Sock, Flow]:
    """The stack has sent its SYN."""
    sock = t.tcp(version)
    sock.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
    if before is not None:
        before(sock)
    flow = t.flow(peer, None, version)
    sock.connect((p.PEER[version], peer))
    t.expect()
    return sock, flow


def connected(
    t: Talk, *, opts: bytes | None = None, win: int = 65535, rtt: float = RTT, peer: int = 80, version: int = 4,
    before: Callable[[Sock], object] | None = None,
) -> tuple[Sock, Flow]:  # fmt: skip
    """The stack has connected to the peer, whose SYN-ACK has these options."""
    sock, flow = syn_sent(t, peer=peer, version=version, before=before)
    t.wait(rtt)
    flow.sends("SA", opts=p.mss(MSS) if opts is None else opts, win=win)
    t.expect("A")
    return sock, flow


def fin_wait_1(t: Talk) -> tuple[Sock, Flow]:
    """The stack has sent its FIN."""
    sock, flow = accepted(t)
    sock.shutdown(socket.SHUT_WR)
    t.expect("FA")
    return sock, flow


def fin_wait_2(t: Talk) -> tuple[Sock, Flow]:
    """Its FIN has been acknowledged."""
    sock, flow = fin_wait_1(t)
    flow.acks()
    return sock, flow


def closing(t: Talk) -> tuple[Sock, Flow]:
    """The FINs have crossed."""
    sock, flow = fin_wait_1(t)
    flow.sends("FA", ack=1)
    t.expect("A")
    return sock, flow


def time_wait(t: Talk) -> tuple[Sock, Flow]:
    """Both have closed, the stack first."""
    sock, flow = fin_wait_2(t)
    flow.sends("FA")
    t.expect("A")
    return sock, flow


def close_wait(t: Talk) -> tuple[Sock, Flow]:
    """The peer has closed."""
    sock, flow = accepted(t)
    flow.sends("FA")
    t.expect("A")
    return sock, flow


def last_ack(t: Talk) -> tuple[Sock, Flow]:
    """The peer has closed, then the stack."""
    sock, flow = close_wait(t)
    sock.close()
    t.expect("FA")
    return sock, flow
