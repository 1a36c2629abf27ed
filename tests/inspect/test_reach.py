"""ping and traceroute on a network: what they find, and what they say of it."""

from __future__ import annotations

import itertools
import socket

import pytest

import aionetflow as anf
from aionetflow.inspect.probing import find

FOUR = anf.AF_INET


def chain(net: anf.Network, routers: int = 2, delay: float = 0.010, mtu: int = 1500, loss: float = 0.0) -> anf.Host:
    """client - r1 - … - server, network k between them 10.k.0.0/24; the client."""
    nodes: list[anf.Host] = [net.host("client", "10.0.0.1/24")]
    nodes += [net.router(f"r{k}", f"10.{k - 1}.0.2/24", f"10.{k}.0.1/24") for k in range(1, routers + 1)]
    nodes.append(net.host("server", f"10.{routers}.0.2/24"))
    for left, right in itertools.pairwise(nodes):
        net.link(left, right, delay=delay, mtu=mtu, loss=loss)
    return nodes[0]


def on_a_network(work) -> None:  # type: ignore[no-untyped-def]
    async def main() -> None:
        async with anf.Network(seed=3) as net:
            await work(net)

    anf.run(main(), time="virtual")


def test_ping_measures_the_way_there_and_back() -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net)
        result = await anf.ping("server", host=client, family=FOUR)
        assert (result.address, result.sent, result.received, result.lost) == ("10.2.0.2", 4, 4, 0.0)
        assert [reply.ttl for reply in result.replies] == [62] * 4
        assert result.rtts[1:] == pytest.approx([0.060] * 3, rel=0.01)
        lines = str(result).splitlines()
        assert lines[0] == "PING server (10.2.0.2) 56(84) bytes of data."
        assert lines[2] == "64 bytes from 10.2.0.2: icmp_seq=2 ttl=62 time=60.0 ms"
        assert lines[-2].startswith("4 packets transmitted, 4 received, 0% packet loss, time 30")

    on_a_network(work)


def test_ping_counts_what_is_lost() -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net, loss=0.2)
        result = await anf.ping("server", count=50, interval=0.1, host=client, family=FOUR)
        assert 0 < result.lost < 1
        assert result.received == round(50 * (1 - result.lost))
        assert f"{100 * result.lost:.6g}% packet loss" in result.summary()

    on_a_network(work)


def test_ping_says_why_nobody_answers() -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net)
        expired = await anf.ping("server", count=1, ttl=1, host=client, family=FOUR)
        assert str(expired.replies[0]) == "From 10.0.0.2 icmp_seq=1 Time to live exceeded"
        absent = await anf.ping("10.2.0.77", count=1, host=client)
        assert str(absent.replies[0]) == "From 10.1.0.2 icmp_seq=1 Destination Host Unreachable"
        assert "+1 errors, 100% packet loss" in absent.summary()
        with pytest.raises(OSError, match="no host named"):
            await anf.ping("nowhere", host=client)

    on_a_network(work)


def test_a_silent_host_is_waited_for() -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net)
        (server,) = [host for host in net.hosts if host.name == "server"]
        server.sysctl["net.ipv4.icmp_echo_ignore_all"] = 1
        result = await anf.ping("server", count=2, timeout=3, host=client, family=FOUR)
        assert (result.received, result.replies) == (0, [])
        assert result.time == pytest.approx(4)

    on_a_network(work)


def test_a_duplicate_is_told() -> None:
    async def work(net: anf.Network) -> None:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, duplicate=1.0, delay=0.001)
        result = await anf.ping("b", count=1, host=a, family=FOUR)
        # the last request is not waited for once it is answered
        more = await anf.ping("b", count=3, interval=0.1, host=a, family=FOUR)
        assert result.received == 1
        assert any(str(reply).endswith("(DUP!)") for reply in more.replies)
        assert "duplicates" in more.summary()

    on_a_network(work)


@pytest.mark.parametrize("size", [0, 8000, 40000])
def test_ping_of_any_size_goes_through_small_links(size: int) -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net, mtu=576)
        result = await anf.ping("server", count=2, size=size, host=client, family=FOUR)
        assert (result.received, result.replies[0].size) == (2, size + 8)

    on_a_network(work)


def test_the_local_host_answers() -> None:
    async def work(net: anf.Network) -> None:
        for address in ("127.0.0.1", "::1"):
            result = await anf.ping(address, count=2, interval=0.01)
            assert result.received == 2

    on_a_network(work)


@pytest.mark.parametrize("icmp", [False, True])
def test_traceroute_names_the_routers_in_their_order(icmp: bool) -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net, 4, delay=0.001)
        trace = await anf.traceroute("server", icmp=icmp, host=client, family=FOUR)
        assert trace.reached
        assert trace.path == ["10.0.0.2", "10.1.0.2", "10.2.0.2", "10.3.0.2", "10.4.0.2"]
        assert [list(hop.names.values()) for hop in trace.hops] == [["r1"], ["r2"], ["r3"], ["r4"], ["server"]]
        lines = str(trace).splitlines()
        assert lines[0] == "traceroute to server (10.4.0.2), 30 hops max, 60 byte packets"
        assert lines[5].startswith(" 5  server (10.4.0.2)  ")

    on_a_network(work)


def test_traceroute_shows_a_silent_router_as_stars() -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net, 3, delay=0.001)
        silent = next(host for host in net.hosts if host.name == "r2")
        silent.sysctl["net.ipv4.icmp_msgs_burst"] = 0
        trace = await anf.traceroute("server", host=client, wait=1, family=FOUR)
        assert trace.path == ["10.0.0.2", "*", "10.2.0.2", "10.3.0.2"]
        assert str(trace.hops[1]) == " 2  * * *"

    on_a_network(work)


def test_traceroute_stops_where_it_goes_no_further() -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net, 2)
        trace = await anf.traceroute("10.2.0.77", host=client)
        assert not trace.reached
        assert trace.path == ["10.0.0.2", "10.1.0.2", "10.1.0.2"]
        assert "!H" in str(trace.hops[2])
        short = await anf.traceroute("server", max_hops=2, host=client, family=FOUR)
        assert (short.reached, len(short.hops)) == (False, 2)

    on_a_network(work)


def test_each_hop_is_told_as_it_is_found() -> None:
    async def work(net: anf.Network) -> None:
        client = chain(net)
        told: list[anf.Hop] = []
        trace = await anf.traceroute("server", host=client, tell=told.append, probes=1, family=FOUR)
        assert told == trace.hops

    on_a_network(work)


def test_a_name_without_an_address_of_the_family_is_an_error() -> None:
    async def work(net: anf.Network) -> None:
        host = net.host("only4", "10.0.9.9/24")
        net.link(host, net.host("other", "10.0.9.8/24"))
        with pytest.raises(OSError, match="no address of that family"):
            await find("10.0.9.9", anf.AF_INET6, host)

    on_a_network(work)


def test_a_program_has_echo_sockets_too() -> None:
    """SOCK_DGRAM with IPPROTO_ICMP, as ping(8) uses where it may."""

    async def work(net: anf.Network) -> None:
        a, b = net.host("a"), net.host("b")
        net.link(a, b)
        async with a:
            with anf.patch(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
                sock.settimeout(1)
                address = net.resolve_all("b")[0]
                sock.sendto(b"\x08\0\0\0\0\0\0\x07hello", (address, 0))
                data, sender = sock.recvfrom(100)
                assert (data[0], data[6:], sender) == (0, b"\0\x07hello", (address, 0))
                assert sock.getsockname()[1] == int.from_bytes(data[4:6], "big")
                for wrong in (b"\x08", b"\0\0\0\0\0\0\0\0", b"\x08\1\0\0\0\0\0\0"):
                    with pytest.raises(OSError, match="Invalid argument"):
                        sock.sendto(wrong, (address, 0))
                with pytest.raises(OSError, match="Protocol not supported"):
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)

    on_a_network(work)


def test_a_coroutine_socket_tells_and_takes_ancillary_data() -> None:
    async def work(net: anf.Network) -> None:
        a, b = net.host("a"), net.host("b")
        net.link(a, b)
        async with b:
            receiver = await anf.socket(type=anf.SOCK_DGRAM)
            await receiver.bind(("", 5000))
            await receiver.setsockopt(0, 12, 1)
        async with a, await anf.socket(type=anf.SOCK_DGRAM) as sender:
            assert await sender.sendmsg([b"a", b"b"], [(0, 2, (9).to_bytes(4, "little"))], 0, ("b", 5000)) == 2
        data, told, flags, _ = await receiver.recvmsg(10, 100)
        assert (data, told, flags) == (b"ab", [(0, 2, (9).to_bytes(4, "little"))], 0)
        await receiver.close()

    on_a_network(work)
