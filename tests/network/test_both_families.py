"""Networks have IPv6 as they have IPv4, without being told: addresses, routes, names, streams, MTU, faults."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether

import aionetflow as anf
from aionetflow import Network
from aionetflow.clock import ManualClock
from aionetflow.fast_paths import FAST
from aionetflow.ip.address import unpack
from aionetflow.network.host import Host
from aionetflow.socket.stream import StreamSocket
from support.decode import check_frame
from support.loops import everywhere, in_virtual_time
from support.rules import rule
from support.talk import pattern

DATA = pattern(300_000, 6)


def world() -> tuple[Network, ManualClock]:
    clock = ManualClock()
    return Network(seed=1, clock=clock), clock


def stream(client: Host, server: Host, clock: ManualClock, address: str) -> tuple[StreamSocket, StreamSocket]:
    """A connection over IPv6."""
    listener, sock = server.socket(anf.AF_INET6), client.socket(anf.AF_INET6)
    assert isinstance(sock, StreamSocket)
    listener.bind(("::", 80))
    listener.listen(1)
    with pytest.raises(BlockingIOError):
        sock.connect((address, 80))
    clock.advance(1)
    accepted, _ = listener.accept()
    assert isinstance(accepted, StreamSocket)
    return sock, accepted


def carry(
    source: StreamSocket, target: StreamSocket, clock: ManualClock, data: bytes = DATA, seconds: int = 60
) -> bytes:
    """Writes data at one end; what was read at the other."""
    sent, got = 0, b""
    for _ in range(seconds * 100):
        if sent < len(data):
            sent += source.send(data[sent:]) if source.events() & 4 else 0
        if target.events() & 1:
            got += target.recv(1 << 20)
        if len(got) == len(data):
            break
        clock.advance(0.01)
    return got


@rule("RFC 4193 3.1", "Automatic addresses are of one unique local /48, a /64 a link", code="network/topology.py")
def test_every_interface_has_an_address_of_both_families_and_the_same_number() -> None:
    net, _ = world()
    a, b, r = net.host("a"), net.host("b", "10.0.9.9/16"), net.router("r")
    net.link(a, r)
    net.link(r, b)
    plain = net.host("plain")
    assert (plain.addresses, plain.addresses6) == (["10.0.0.2"], ["fd61:696f:6e66::2"])
    assert (a.addresses, a.addresses6) == (["10.128.0.1"], ["fd61:696f:6e66:1::1"])
    assert b.addresses6 == ["fd61:696f:6e66:2::909"]
    assert r.addresses6 == ["fd61:696f:6e66:1::2", "fd61:696f:6e66:2::1"]
    assert [nic.link_local[:2].hex() for nic in r.interfaces] == ["fe80"] * 2


def test_addresses_given_by_hand_count_in_each_family() -> None:
    net, _ = world()
    a, r, b = net.host("a", "2001:db8:1::5/64"), net.router("r", "2001:db8:1::1/64", "2001:db8:2::1/64"), net.host("b")
    net.link(a, r)
    net.link(r, b)
    assert (a.addresses, a.addresses6) == (["10.128.0.1"], ["2001:db8:1::5"])
    assert r.addresses6 == ["2001:db8:1::1", "2001:db8:2::1"]
    assert b.addresses6 == ["2001:db8:2::2"]


def test_two_hosts_cannot_have_one_address() -> None:
    net, _ = world()
    net.link(net.host("a", "2001:db8::1/64"), net.host("b", "2001:db8::1/64"))
    with pytest.raises(ValueError, match="2001:db8::1 is given to a and to b"):
        net.settle()


@rule("RFC 8200 5", "A link that takes less than 1280 octets has no IPv6", code="network/topology.py")
def test_a_small_link_has_no_ipv6() -> None:
    net, _ = world()
    a, b = net.host("a"), net.host("b")
    net.link(a, b, mtu=1279)
    assert (a.addresses6, net.resolve_all("b")) == ([], b.addresses)


def test_nothing_is_sent_before_it_is_needed() -> None:
    net, clock = world()
    hosts = [net.host(f"h{i}") for i in range(5)]
    net.link(net.router("r"), hosts[0])
    net.settle()
    clock.advance(1000)
    assert [nic.tx_packets for host in net.hosts for nic in host.interfaces] == [0] * 7


@pytest.mark.parametrize("offload", [True, False])
def test_a_stream_goes_through_routers_and_switches_whole(offload: bool) -> None:
    net, clock = world()
    a, b, r, office = net.host("a"), net.host("b"), net.router("r"), net.switch("office")
    net.link(a, office, offload=offload)
    net.link(office, r, offload=offload)
    net.link(r, b, offload=offload, delay=0.01)
    client, server = stream(a, b, clock, b.addresses6[0])
    assert client.max_segment() == 1428  # timestamps take 12
    assert carry(client, server, clock) == DATA
    assert carry(server, client, clock, DATA[::-1]) == DATA[::-1]
    assert a.stats.tcp.RetransSegs == b.stats.tcp.RetransSegs == 0
    assert r.stats.ip6.OutForwDatagrams > 2 * len(DATA) // 1440


@pytest.mark.parametrize(
    "faults", [{"loss": 0.05}, {"corrupt": 0.05}, {"reorder": 0.1, "duplicate": 0.1, "delay": 0.01}]
)
def test_a_stream_survives_a_bad_link(faults: dict[str, float]) -> None:
    net, clock = world()
    a, b = net.host("a"), net.host("b")
    net.link(a, b, **faults)  # type: ignore[arg-type]
    client, server = stream(a, b, clock, b.addresses6[0])
    assert carry(client, server, clock, seconds=600) == DATA


def test_merging_and_offload_change_no_octet_and_no_frame() -> None:
    def frames(merging: bool, clean: bool) -> list[bytes]:
        net, clock = world()
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b)
        client, server = stream(a, b, clock, b.addresses6[0])
        heard: list[bytes] = []
        FAST.merging, FAST.clean_link = merging, clean
        try:
            link.tap(lambda now, channel, frame, fate: heard.append(frame))
            assert carry(client, server, clock, DATA[:30000]) == DATA[:30000]
        finally:
            FAST.merging = FAST.clean_link = True
        return heard

    usual = frames(True, True)
    for frame in usual:
        check_frame(frame)
    long = [frame for frame in usual if len(frame) == 1514]
    assert len(long) > 15
    assert b"".join(bytes(Ether(frame)[TCP].payload) for frame in frames(True, False) if len(frame) > 100)[:30000]
    assert usual == frames(True, False)


@rule("RFC 8201 4", "A stream adapts to a smaller MTU on the way by packet too big", code="ip/icmpv6.py")
def test_a_stream_adapts_to_a_smaller_mtu_on_the_way() -> None:
    net, clock = world()
    a, b, r1, r2 = net.host("a"), net.host("b"), net.router("r1"), net.router("r2")
    net.link(a, r1)
    middle = net.link(r1, r2, mtu=1300)
    net.link(r2, b)
    client, server = stream(a, b, clock, b.addresses6[0])
    lengths: list[int] = []
    middle.tap(lambda now, channel, frame, fate: lengths.append(len(frame) - 14))
    assert client.max_segment() == 1428  # timestamps take 12
    assert carry(client, server, clock) == DATA
    assert client.max_segment() == 1300 - 60 - 12
    assert max(lengths) == 1300


@everywhere
async def test_names_resolve_to_both_families_and_programs_use_either() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read() + writer.get_extra_info("peername")[0].encode())
        writer.close()

    async with Network(seed=1) as net:
        web, client = net.host("web"), net.host("client")
        net.link(web, client)
        async with web:
            server = await asyncio.start_server(answer, "", 80)
        async with client:
            infos = await asyncio.get_running_loop().getaddrinfo("web", 80, type=socket.SOCK_STREAM)
            assert [info[4][0] for info in infos] == [*web.addresses, *web.addresses6]
            for family, own in ((0, client.addresses), (socket.AF_INET, client.addresses),
                                (socket.AF_INET6, client.addresses6)):  # fmt: skip
                reader, writer = await asyncio.open_connection("web", 80, family=family)
                writer.write_eof()
                assert await reader.read() == own[0].encode()
                writer.close()
            reader, writer = await asyncio.open_connection("web", 80, happy_eyeballs_delay=0.25)
            writer.write_eof()
            assert await reader.read() == client.addresses[0].encode()
            writer.close()
        server.close()


@everywhere
async def test_a_program_connects_to_a_link_local_address() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{writer.get_extra_info('peername')[::3]}".encode())
        writer.close()

    async with Network(seed=1) as net:
        web, client = net.host("web"), net.host("client")
        net.link(web, client)
        literal, own = (unpack(host.interfaces[0].link_local) for host in (web, client))
        async with web:
            server = await asyncio.start_server(answer, "::", 80)
        async with client:
            reader, writer = await asyncio.open_connection(f"{literal}%eth0", 80)
            assert writer.get_extra_info("peername") == (literal, 80, 0, 2)
            assert (await reader.read()).decode() == str((own, 2))
            writer.close()
            names = asyncio.get_running_loop().getnameinfo
            assert await names((literal, 80, 0, 2)) == (f"{literal}%eth0", "http")
            with pytest.raises(socket.gaierror):
                await asyncio.open_connection(f"{literal}%eth7", 80)
        server.close()


@in_virtual_time
async def test_happy_eyeballs_use_the_family_that_works() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with Network(seed=1) as net:
        web, client = net.host("web"), net.host("client")
        net.link(web, client, delay=0.01)
        web.stack.routes.delete(f"{client.addresses[0]}/29".replace(".1/", ".0/").replace(".2/", ".0/"))
        async with web:
            server = await asyncio.start_server(close, "::", 80)
        async with client:
            begun = asyncio.get_running_loop().time()
            _, writer = await asyncio.open_connection("web", 80, happy_eyeballs_delay=0.25)
            assert writer.get_extra_info("peername")[0] == web.addresses6[0]
            assert asyncio.get_running_loop().time() - begun < 0.4
            writer.close()
        server.close()


def test_hosts_make_their_addresses_from_what_a_router_advertises() -> None:
    net, clock = world()
    hosts, r = [net.host(f"h{i}", autoconf=True) for i in range(3)], net.router("r")
    office = net.switch("office")
    for node in (*hosts, r):
        net.link(node, office)
    net.settle()
    r.advertise(valid=3600, preferred=1800)
    clock.advance(20)
    expected = [f"fd61:696f:6e66:1:0:ff:fe{host.number:02x}:0" for host in hosts]
    assert [host.addresses6 for host in hosts] == [[address] for address in expected]
    outside = ip_address("2001:db8::1").packed
    assert all(str(host.routes.lookup(outside)).startswith("default via fe80::") for host in hosts)


def test_an_address_that_another_host_has_is_not_taken() -> None:
    net, clock = world()
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.001)
    stack = b.stack
    stack.add_address(b.interfaces[0], a.addresses6[0] + "/64", dad=True)
    clock.advance(3)
    assert b.addresses6 == ["fd61:696f:6e66:1::2"]
    assert len(stack.autoconf.failed) == 1


def test_what_a_connection_sends() -> None:
    net, clock = world()
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b)
    seen: list[Ether] = []
    link.tap(lambda now, channel, frame, fate: seen.append(Ether(frame)))
    stream(a, b, clock, b.addresses6[0])
    kinds = [frame[IPv6].nh for frame in seen]
    assert kinds == [58, 58, 6, 6, 6]
    assert not any(ICMPv6ND_RA in frame for frame in seen)
