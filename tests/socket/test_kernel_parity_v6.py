"""AF_INET6 sockets: small scripts of calls, run on the kernel's sockets and on a stack's, must say the same."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from aionetflow.ip.address import AF_INET6
from aionetflow.socket.options import (
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_UNICAST_HOPS,
    IPV6_V6ONLY,
    MSG_PEEK,
    SHUT_WR,
    SO_DOMAIN,
    SO_ERROR,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SOCK_STREAM,
    SOL_SOCKET,
)
from support.parity import ERR, IN, LO, LO6, OUT, Endpoint, Script, World, collector, differences


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind((LO6, 0))
    except OSError:
        return False
    return True


pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")]

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)
MAPPED = "::ffff:127.0.0.1"
KINDS: tuple[Callable[[World, int], Endpoint], ...] = (lambda w, f: w.tcp(f), lambda w, f: w.udp(f))
V6ONLY = (IPPROTO_IPV6, IPV6_V6ONLY, 1)


def listen6(world: World, host: str = LO6, family: int = AF_INET6) -> Endpoint:
    listener = world.tcp(family)
    listener.bind((host, 0))
    listener.listen(5)
    return listener


def say_host(sock: Endpoint) -> None:
    """Logs the socket's own address without its port: two sockets of different kinds may share one."""
    sock.world.log.append(("host", sock.sock.getsockname()[0]))


@script
def a_new_socket(world: World) -> None:
    for kind in KINDS:
        sock = kind(world, AF_INET6)
        sock.getsockname()
        sock.getpeername()
        sock.getsockopt(SOL_SOCKET, SO_DOMAIN)
        sock.getsockopt(IPPROTO_IPV6, IPV6_V6ONLY)
        sock.events()


@script
def a_stream_over_loopback(world: World) -> None:
    listener, client = listen6(world), world.tcp(AF_INET6)
    listener.getsockname()
    client.connect((LO6, listener.port, 0, 0))
    client.wait(OUT)
    client.getsockname()
    client.getpeername()
    accepted, _ = listener.wait(IN).accept()
    accepted.getsockname()
    accepted.getpeername()
    client.send(b"over IPv6")
    accepted.wait(IN).recv(4, MSG_PEEK)
    accepted.recv(100)
    accepted.shutdown(SHUT_WR)
    client.wait(IN).recv(10)
    client.close()
    accepted.wait(IN).recv(10)


@script
def a_closed_port(world: World) -> None:
    holder, client = world.tcp(AF_INET6), world.tcp(AF_INET6)
    holder.bind((LO6, 0))
    client.connect((LO6, holder.port))
    client.wait(ERR).events()
    client.getsockopt(SOL_SOCKET, SO_ERROR)
    client.recv(10)
    client.getpeername()


@script
def a_refused_socket_may_try_the_other_family(world: World) -> None:
    holder, listener = world.tcp(AF_INET6), world.tcp()
    holder.bind((LO6, 0))
    listener.bind((LO, 0))
    listener.listen(1)
    for host in ("::", LO6):
        client = world.tcp(AF_INET6)
        if host == "::":
            client.bind((host, 0))
        client.connect((LO6, holder.port))
        client.wait(ERR).connect((LO6, holder.port))
        client.getsockname()
        client.connect((MAPPED, listener.port))
        client.wait(OUT).getpeername()


@script
def datagrams_over_loopback(world: World) -> None:
    receiver, sender = world.udp(AF_INET6), world.udp(AF_INET6)
    receiver.bind((LO6, 0))
    sender.sendto(b"one", (LO6, receiver.port, 0, 0))
    sender.getsockname()
    receiver.wait(IN).recvfrom(10)
    receiver.sendto(b"two", (LO6, sender.port))
    sender.wait(IN).recvfrom(2)
    sender.connect((LO6, receiver.port))
    sender.getsockname()
    sender.getpeername()
    sender.send(b"")
    receiver.wait(IN).recvfrom(10)


@script
def a_datagram_to_a_closed_port(world: World) -> None:
    holder, sender = world.udp(), world.udp(AF_INET6)
    holder.bind((LO, 0))  # so that the port is nobody else's, and free over IPv6
    sender.sendto(b"unconnected", (LO6, holder.port))
    sender.send(b"x")
    sender.connect((LO6, holder.port))
    sender.send(b"connected")
    sender.wait(ERR).events()
    sender.recv(10)
    sender.recv(10)
    sender.send(b"connected")
    sender.wait(ERR).send(b"again")
    sender.getsockopt(SOL_SOCKET, SO_ERROR)


@script
def a_dual_listener_takes_ipv4(world: World) -> None:
    listener = listen6(world, "::")
    client = world.tcp()
    client.connect((LO, listener.port))
    client.wait(OUT).getpeername()
    accepted, _ = listener.wait(IN).accept()
    accepted.getsockname()
    accepted.getpeername()
    accepted.getsockopt(SOL_SOCKET, SO_DOMAIN)
    accepted.send(b"hello")
    client.wait(IN).recv(10)
    mapped = world.tcp(AF_INET6)
    mapped.connect((MAPPED, listener.port, 0, 0))
    mapped.wait(OUT).getsockname()
    mapped.getpeername()


@script
def a_v6only_listener_does_not(world: World) -> None:
    listener = world.tcp(AF_INET6)
    listener.setsockopt(*V6ONLY)
    listener.bind(("::", 0))
    listener.listen(1)
    client = world.tcp()
    client.connect((LO, listener.port))
    client.wait(ERR).recv(10)
    client = world.tcp(AF_INET6)
    client.connect((LO6, listener.port))
    client.wait(OUT).send(b"x")


@script
def a_dual_datagram_socket_speaks_to_both(world: World) -> None:
    dual, four, six = world.udp(AF_INET6), world.udp(), world.udp(AF_INET6)
    dual.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
    dual.bind(("::", 0, 0, 0))
    four.bind((LO, 0))
    six.bind((LO6, 0))
    for sock, host in ((four, MAPPED), (six, LO6)):
        dual.sendto(b"out", (host, sock.port, 0, 0))
        _, sender = sock.wait(IN).recvfrom(10)
        sock.sendto(b"back", sender[:2])
        dual.wait(IN).recvfrom(10)
    dual.getsockname()
    dual.connect((MAPPED, four.port))
    dual.getsockname()
    dual.getpeername()
    four.sendto(b"from the peer", (LO, dual.port))
    dual.wait(IN).recv(20)
    six.sendto(b"from another", (LO6, dual.port))
    dual.recv(20)


@script
def a_mapped_datagram_to_a_closed_port(world: World) -> None:
    holder, sender = world.udp(AF_INET6), world.udp(AF_INET6)
    holder.bind((LO6, 0))
    sender.connect((MAPPED, holder.port))
    sender.send(b"x")
    sender.wait(ERR).recv(10)


@script
def which_addresses_can_be_bound(world: World) -> None:
    for kind in KINDS:
        for only in (0, 1):
            for host in ("::", LO6, "::2", "fe80::1", "2001:db8::1", MAPPED, "::ffff:0.0.0.0", "::ffff:10.99.99.99"):
                sock = kind(world, AF_INET6)
                sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, only)
                sock.bind((host, 0))
                say_host(sock)
                sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1 - only)


@script
def what_a_bound_socket_reaches(world: World) -> None:
    target, four, six = world.udp(AF_INET6), listen6(world, LO, socket.AF_INET), listen6(world)
    target.bind(("::", 0))
    for own in ("::", LO6, MAPPED, "::ffff:0.0.0.0"):
        for host, listener in ((LO6, six), (MAPPED, four)):
            stream, datagram, sender = world.tcp(AF_INET6), world.udp(AF_INET6), world.udp(AF_INET6)
            for sock in (stream, datagram, sender):
                sock.bind((own, 0))
            stream.connect((host, listener.port))
            say_host(stream)
            datagram.connect((host, target.port))
            say_host(datagram)
            sender.sendto(b"x", (host, target.port))
            say_host(sender)


@script
def connecting_to_any_address_means_this_host(world: World) -> None:
    target = world.udp(AF_INET6)
    target.bind(("::", 0))
    for own in ("", LO6, MAPPED):
        for host in ("::", "::ffff:0.0.0.0"):
            sock = world.udp(AF_INET6)
            if own:
                sock.bind((own, 0))
            sock.connect((host, target.port))
            sock.getpeername()


@script
def a_v6only_socket_reaches_no_ipv4(world: World) -> None:
    for kind in KINDS:
        sock = kind(world, AF_INET6)
        sock.setsockopt(*V6ONLY)
        sock.connect((MAPPED, 9))
        sock.getpeername()
    sock = world.udp(AF_INET6)
    sock.setsockopt(*V6ONLY)
    sock.sendto(b"x", (MAPPED, 9))


def free_port(world: World, kind: Callable[[World, int], Endpoint]) -> int:
    """A port that nobody on the machine has at any address; not logged."""
    with closing(kind(world, AF_INET6).sock) as sock:
        sock.bind(("::", 0))
        return int(sock.getsockname()[1])


def claims(world: World, kind: Callable[[World, int], Endpoint], *, reuse: tuple[int, ...] = ()) -> None:
    """Binds every pair of addresses to one port, one after the other."""
    ends = (("0.0.0.0", 0), (LO, 0), ("::", 0), ("::", 1), (LO6, 0), (MAPPED, 0), ("::ffff:0.0.0.0", 0))
    for first, first_only in ends:
        for second, second_only in ends:
            port = free_port(world, kind)
            opened = []
            for host, only in ((first, first_only), (second, second_only)):
                sock = kind(world, AF_INET6 if ":" in host else socket.AF_INET)
                if only:
                    sock.setsockopt(*V6ONLY)
                for option in reuse:
                    sock.setsockopt(SOL_SOCKET, option, 1)
                sock.bind((host, port))
                if sock.sock.type == SOCK_STREAM:
                    sock.listen(1)
                opened.append(sock)
            for sock in opened:
                sock.close()


@script
def conflicts_of_streams(world: World) -> None:
    claims(world, KINDS[0])


@script
def conflicts_of_streams_with_reuseaddr(world: World) -> None:
    claims(world, KINDS[0], reuse=(SO_REUSEADDR,))


@script
def conflicts_of_streams_with_reuseport(world: World) -> None:
    claims(world, KINDS[0], reuse=(SO_REUSEPORT,))


@script
def conflicts_of_datagrams(world: World) -> None:
    claims(world, KINDS[1])


@script
def conflicts_of_datagrams_with_reuseaddr(world: World) -> None:
    claims(world, KINDS[1], reuse=(SO_REUSEADDR,))


@script
def conflicts_of_datagrams_with_reuseport(world: World) -> None:
    claims(world, KINDS[1], reuse=(SO_REUSEPORT,))


@script
def two_families_have_their_own_hops(world: World) -> None:
    for kind in KINDS:
        sock = kind(world, AF_INET6)
        sock.setsockopt(IPPROTO_IP, IP_TTL, 33)
        sock.getsockopt(IPPROTO_IPV6, IPV6_UNICAST_HOPS)
        sock.setsockopt(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9)
        sock.getsockopt(IPPROTO_IP, IP_TTL)


@script
def what_is_no_address(world: World) -> None:
    for address in (LO6, (LO6,), (LO6, 0, 0, 0, 0), (1, 0), (LO6, 65536), (LO6, -1), (LO6, 0, 1 << 20), (LO6, 0, -1)):
        world.udp(AF_INET6).bind(address)
    for good in ((LO6, 0), (LO6, 0, 0), (LO6, 0, 0, 0), ("", 0)):
        world.udp(AF_INET6).bind(good)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)


def test_a_script_that_differs_is_found_out() -> None:
    def differ(world: World) -> None:
        world.record("what it is", lambda: type(world).__name__, ())

    assert len(differences(differ)) == 1


def test_an_ipv4_literal_is_no_address_of_an_ipv6_socket() -> None:
    from support.parity import StackWorld

    world = StackWorld()
    with pytest.raises(OSError, match=r"Address family not supported by protocol: 127\.0\.0\.1") as failure:
        world.stack.socket(AF_INET6).bind((LO, 0))
    assert failure.value.errno == errno.EAFNOSUPPORT
