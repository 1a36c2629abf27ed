"""What `ss` shows: all control blocks of a host, those of closed sockets that TCP still needs among them."""

from typing import NamedTuple

from aionetflow.ip.address import endpoint, unpack
from aionetflow.network.host import Host
from aionetflow.socket.base import Owner
from aionetflow.socket.stream import StreamSocket
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.request import Request
from aionetflow.tcp.states import SHORT_NAMES, State

_KERNEL = Owner(0, "")  # whom a connection belongs to that its application has closed, or not accepted yet


class ControlBlock(NamedTuple):
    """One line of ss(8). Queues are in octets; of a listener, connections that wait and how many may."""

    host: str
    netid: str
    state: str
    recv_q: int
    send_q: int
    local: tuple[str, int]
    peer: tuple[str, int]
    fd: int  # -1: no application has it open
    owner: Owner

    def __str__(self) -> str:
        local, peer = _endpoint(self.local), _endpoint(self.peer)
        text = f"{self.netid:<5} {self.state:<10} {self.recv_q:<6} {self.send_q:<6} {local:<21} {peer:<21}"
        return f'{text} users:(("{self.owner.task}",pid={self.owner.pid},fd={self.fd}))' if self.fd >= 0 else text


def control_blocks(host: Host) -> list[ControlBlock]:
    """All control blocks of one host: open sockets by descriptor, then what has none: connections, half-open ones."""
    stack = host.bare_stack
    blocks = []
    held: set[Connection] = set()
    for sock in stack.sockets.values():
        if isinstance(sock, StreamSocket) and sock.connection is not None:
            held.add(sock.connection)
        recv_q, send_q = sock.queued()
        local, peer = _pair(sock.family, sock.local, sock.local_port), _pair(sock.family, sock.remote, sock.remote_port)
        state = sock.state_name()
        blocks.append(
            ControlBlock(host.name, sock.netid, state, recv_q, send_q, local, peer, sock.fileno(), sock.owner)
        )
    blocks += [_orphan(host, c) for c in stack.table.connections.values() if c not in held]
    return blocks + [_request(host, request) for request in stack.half_open.requests.values()]


def _orphan(host: Host, connection: Connection) -> ControlBlock:
    local = unpack(connection.local), connection.local_port
    peer = unpack(connection.remote), connection.remote_port
    state = SHORT_NAMES[State(connection.state)]
    recv_q, send_q = connection.rcv.queue.length, connection.snd.queue.length
    return ControlBlock(host.name, "tcp", state, recv_q, send_q, local, peer, -1, _KERNEL)


def _request(host: Host, request: Request) -> ControlBlock:
    local = unpack(request.local), request.local_port
    peer = unpack(request.remote), request.remote_port
    return ControlBlock(host.name, "tcp", SHORT_NAMES[State.SYN_RECEIVED], 0, 0, local, peer, -1, _KERNEL)


def _pair(family: int, address: bytes, port: int) -> tuple[str, int]:
    return endpoint(family, address, port)[0], port


def _endpoint(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port or '*'}" if ":" in host else f"{host}:{port or '*'}"
