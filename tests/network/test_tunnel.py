"""Network.tunnel: networks of their own, as several processes would have them, on one Ethernet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN

import aionetflow as anf
from aionetflow import Host, Network
from aionetflow.clock import ManualClock
from aionetflow.tunnel.datagrams import Batching
from aionetflow.tunnel.link import TunnelLink
from aionetflow.tunnel.sealing.key import generate_key
from support.build import package_folder
from support.hostile import Middle
from support.loops import in_real_time, in_virtual_time, until
from support.talk import datagram, pattern, read_all

LOOPBACK = ("127.0.0.1", 0)
ROOT = package_folder().parent
PATIENCE = 20.0  # s
DATA = pattern(1_500_000)
KEY = "000102030405060708090a0b0c0d0e0ff0e0d0c0b0a090807060504030201000"


@contextlib.asynccontextmanager
async def two_networks(
    bind: tuple[str, int] = LOOPBACK, **settings: Any
) -> AsyncIterator[tuple[Network, Network, TunnelLink, TunnelLink]]:
    """Two networks whose LANs are one, through the kernel's UDP."""
    async with Network(seed=1) as here, Network(seed=2) as there:
        near = here.tunnel(bind, 42, **settings)
        far = there.tunnel(bind, 42, [near.local], **settings)
        near.add_peer(far.local)
        yield here, there, near, far


async def transfer(server: Host, client: Host, data: bytes, family: int = anf.AF_INET) -> bytes:
    """What arrives of data that a client sends to a server of another network."""
    async with asyncio.timeout(PATIENCE), server, await anf.socket(family) as listener:
        await listener.setsockopt(anf.SOL_SOCKET, anf.SO_REUSEADDR, 1)
        await listener.bind(("", 80))
        await listener.listen()
        sending = asyncio.ensure_future(send(client, address_of(server, family), data))
        accepting = asyncio.ensure_future(listener.accept())
        done, _ = await asyncio.wait((sending, accepting), return_when=asyncio.FIRST_COMPLETED)
        if sending in done:
            await sending
        conn, _ = await accepting
        async with conn:
            received = await read_all(conn)
        await sending
        return received


def address_of(host: Host, family: int) -> str:
    return (host.addresses if family == anf.AF_INET else host.addresses6)[0]


async def send(client: Host, address: str, data: bytes) -> None:
    async with client, await anf.socket(anf.AF_INET6 if ":" in address else anf.AF_INET) as sock:
        await sock.connect((address, 80))
        await sock.write(data)


@in_real_time
async def test_hosts_of_two_networks_talk_as_on_one() -> None:
    async with two_networks() as (here, there, near, far):
        web, client = here.host("web"), there.host("client")
        assert await transfer(web, client, DATA) == DATA
        await until(lambda: near.stats["frames_in"] == far.stats["frames_out"] > 1000)
        assert near.table[client.interfaces[0].mac.hex(":")].address == far.local


@pytest.mark.parametrize("batching", ["segments", "many", "single"])
async def test_whichever_way_the_kernel_is_asked(batching: Batching) -> None:
    async with two_networks(batching=batching) as (here, there, *_):
        assert await transfer(here.host("web"), there.host("client"), DATA) == DATA


@pytest.mark.parametrize("family", [anf.AF_INET, anf.AF_INET6])
@pytest.mark.parametrize("key", [None, KEY])
async def test_over_either_family_inside_and_outside(family: int, key: str | None) -> None:
    async with two_networks(("::1", 0), key=key) as (here, there, near, far):
        assert await transfer(here.host("web"), there.host("client"), DATA, family) == DATA
        assert near.mtu == far.mtu == 1500  # the way is loopback's, which takes far more


async def test_what_goes_over_the_wire_is_vxlan() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(LOOPBACK)
        peer.settimeout(5)
        async with Network(seed=1) as net:
            tunnel = net.tunnel(LOOPBACK, 42, [peer.getsockname()])
            me = net.host("me", "10.0.0.1/16")
            sock = await datagram(me)
            await sock.sendto(b"hello", ("10.0.0.2", 9))
            asked = await first(peer, ARP)
            assert (asked.vni, asked[ARP].pdst, asked[Ether].dst) == (42, "10.0.0.2", "ff:ff:ff:ff:ff:ff")
            answer = Ether(dst=asked[Ether].src, src="02:00:00:00:00:99") / ARP(
                op="is-at", hwsrc="02:00:00:00:00:99", psrc="10.0.0.2", hwdst=asked[Ether].src, pdst="10.0.0.1"
            )
            peer.sendto(bytes(VXLAN(vni=42, flags="Instance") / answer), tunnel.local)
            told = await first(peer, UDP, dport=9)
            assert bytes(told[UDP].payload) == b"hello"
            assert told[Ether].dst == "02:00:00:00:00:99"
            again = Ether(bytes(told[Ether]))
            del again[UDP].chksum
            assert Ether(bytes(again))[UDP].chksum == told[UDP].chksum
            await sock.close()


async def first(peer: socket.socket, layer: Any, **fields: object) -> Any:
    """The first of what comes to a peer that has a layer with these fields; names are announced meanwhile."""
    loop = asyncio.get_running_loop()
    while True:
        seen = VXLAN(await loop.run_in_executor(None, peer.recv, 2000))
        if layer in seen and all(getattr(seen[layer], name) == value for name, value in fields.items()):
            return seen


# ---- MTU


async def test_the_mtu_of_the_tunnel_is_that_of_its_lan() -> None:
    async with two_networks(mtu=1300) as (here, there, near, _):
        web, early = here.host("web"), here.host("early")
        client = there.host("client")
        assert await transfer(web, client, DATA) == DATA
        assert [nic.mtu for host in (web, early, client) for nic in host.interfaces if nic.name != "lo"] == [1300] * 3
        near.mtu = 1200
        assert near.a_to_b.oversize == 0


async def test_a_wide_way_is_used_when_it_is_asked_for() -> None:
    async with two_networks(mtu=9000) as (here, there, near, _):
        for net in (here, there):
            net.lan_settings["mtu"] = 9000
        assert await transfer(here.host("web"), there.host("client"), DATA) == DATA
        assert 150 < near.stats["frames_in"] < 250


# ---- who may speak


async def test_what_a_stranger_sends_is_dropped_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    frame = bytes(VXLAN(vni=42, flags="Instance") / Ether(dst="ff:ff:ff:ff:ff:ff") / b"x")
    async with Network(seed=1) as net:
        near = net.tunnel(LOOPBACK, 42, [("127.0.0.2", 4789)])
        caplog.clear()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(5):
                stranger.sendto(frame, near.local)
            address = stranger.getsockname()
            await until(lambda: near.stats["strangers"] == 5)
        assert near.stats["frames_in"] == 0
        assert [record.message for record in caplog.records] == [
            f"127.0.0.1:{address[1]} sends to 127.0.0.1:{near.local[1]} and is no peer of it"
        ]


async def test_who_is_no_peer_any_more_is_a_stranger() -> None:
    async with two_networks() as (here, there, near, far):
        web, client = here.host("web"), there.host("client")
        assert await transfer(web, client, DATA) == DATA
        near.remove_peer(far.local)
        assert near.peers == []
        assert near.table == {}
        before = near.stats
        sock = await datagram(client)
        await sock.sendto(b"still there?", (web.addresses[0], 9))
        await until(lambda: near.stats["strangers"] > before["strangers"])
        await sock.close()
        assert near.stats["frames_in"] == before["frames_in"]


async def test_new_peers_are_learned_where_that_is_asked_for() -> None:
    async with Network(seed=1) as here, Network(seed=2) as there:
        near = here.tunnel(LOOPBACK, 42, learn=True)
        far = there.tunnel(LOOPBACK, 42, [near.local])
        assert await transfer(here.host("web"), there.host("client"), DATA) == DATA
        assert [peer.address for peer in near.peers] == [far.local]


@pytest.mark.parametrize("key", [None, KEY])
async def test_several_at_one_machine_are_learned_each(key: str | None) -> None:
    async with Network(seed=1) as here, Network(seed=2) as there, Network(seed=3) as elsewhere:
        near = here.tunnel(LOOPBACK, 42, learn=True, key=key)
        ends = [net.tunnel(LOOPBACK, 42, [near.local], key=key) for net in (there, elsewhere)]
        web = here.host("web")
        for net, name in ((there, "client"), (elsewhere, "other")):
            assert await transfer(web, net.host(name), DATA) == DATA
        assert [peer.address for peer in near.peers] == [end.local for end in ends]


async def test_with_a_key_new_peers_are_those_who_have_it() -> None:
    async with Network(seed=1) as here, Network(seed=2) as there, Network(seed=3) as elsewhere:
        near = here.tunnel(LOOPBACK, 42, key=KEY, learn=True)
        far = there.tunnel(LOOPBACK, 42, [near.local], key=KEY)
        other = elsewhere.tunnel(LOOPBACK, 42, [near.local], key=generate_key())
        sock = await datagram(elsewhere.host("other", "10.0.0.77/16"))
        await sock.sendto(b"let me in", ("10.0.0.78", 9))
        await sock.close()
        await until(lambda: near.stats["strangers"] > 0)
        assert await transfer(here.host("web"), there.host("client"), DATA) == DATA
        assert [peer.address for peer in near.peers] == [far.local]
        assert other.stats["handshakes"] == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "counter", "line"),
    [
        ({"vni": 42}, {"vni": 43}, "wrong_vni", "sends frames of VNI 43; we have VNI 42 for it"),
        ({"key": KEY}, {}, "unsealed", "does not encrypt what it sends; we have a key"),
        ({}, {"key": KEY}, "malformed", "encrypts what it sends; we have no key"),
        ({"key": KEY}, {"key": generate_key()}, "altered", "has another key"),
    ],
)
async def test_what_does_not_fit_is_told_in_one_line(
    ours: dict[str, Any], theirs: dict[str, Any], counter: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Network(seed=1) as here, Network(seed=2) as there:
        near = here.tunnel(LOOPBACK, **ours)
        far = there.tunnel(LOOPBACK, **theirs, peers=[near.local])
        near.add_peer(far.local)
        caplog.clear()
        sock = await datagram(there.host("client", "10.0.0.77/16"))
        for number in range(3):
            await sock.sendto(b"hello", (f"10.0.0.{78 + number}", 9))
        await until(lambda: near.stats[counter] >= 1)
        await sock.close()
        about = f"127.0.0.1:{far.local[1]} "
        assert [record.message for record in caplog.records if record.message.startswith(about)] == [about + line]
        assert near.stats["frames_in"] == 0


async def test_another_version_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async with Network(seed=1) as net:
        near = net.tunnel(LOOPBACK, key=KEY)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(LOOPBACK)
            near.add_peer(peer.getsockname())
            for _ in range(3):
                peer.sendto(b"\x21" + bytes(64), near.local)
            await until(lambda: near.stats["foreign"] == 3)
            lines = [f"127.0.0.1:{peer.getsockname()[1]} encrypts by version 2; ours is 1"]
        assert [record.message for record in caplog.records] == lines


@pytest.mark.parametrize("key", [None, KEY])
async def test_frames_that_are_too_long_are_told_of_and_dropped(
    key: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with Network(seed=1) as here, Network(seed=2) as there:
        near = here.tunnel(LOOPBACK, key=key)
        far = there.tunnel(LOOPBACK, peers=[near.local], key=key, mtu=9000)
        near.add_peer(far.local)
        there.lan_settings["mtu"] = 9000
        web, client = here.host("web"), there.host("client")
        assert await transfer(web, client, DATA) == DATA  # TCP has agreed on what both ends take
        sock = await datagram(client)
        for size in (1472, 1473, 8000):
            await sock.sendto(bytes(size), (web.addresses[0], 9))
        await until(lambda: near.stats["too_long"] == 2)
        await sock.close()
        about = f"127.0.0.1:{far.local[1]} "
        assert [record.message for record in caplog.records if record.message.startswith(about)] == [
            about + "sends frames of 1515 octets; the MTU of this end takes 1514"
        ]


async def test_that_plain_vxlan_protects_nothing_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async with Network(seed=1) as net:
        first = net.tunnel(LOOPBACK, 42)
        net.tunnel(first.local, 43, node=net.switch("dmz"))
        assert [record.message for record in caplog.records] == [
            f"the tunnel at 127.0.0.1:{first.local[1]} is neither private nor authenticated (plain VXLAN): see key="
        ]
        caplog.clear()
        net.tunnel(LOOPBACK, 42, node=net.switch("safe"), key=KEY)
        assert caplog.records == []
        assert logging.getLogger("aionetflow.tunnel").level == logging.NOTSET


# ---- several tunnels


async def test_several_networks_share_a_socket() -> None:
    async with Network(seed=1) as here, Network(seed=2) as there:
        near = here.tunnel(LOOPBACK, 42)
        far = there.tunnel(LOOPBACK, 42, [near.local])
        near.add_peer(far.local)
        dmz, other_dmz = here.switch("dmz"), there.switch("dmz")
        near_dmz = here.tunnel(near.local, 43, [far.local], node=dmz)
        there.tunnel(far.local, 43, [near.local], node=other_dmz)
        web, client = here.host("web"), there.host("client")
        here.link(web, dmz)
        there.link(client, other_dmz)
        inside, asker = here.host("inside"), there.host("asker")
        assert await transfer(web, client, DATA) == DATA
        assert await transfer(inside, asker, DATA) == DATA
        assert near_dmz.stats["frames_in"] > 1000 < near.stats["frames_in"]
        assert near_dmz.stats["wrong_vni"] == 0
        with pytest.raises(ValueError, match="a tunnel of VNI 42 at 127"):
            here.tunnel(near.local, 42, node=here.switch("another"))
        with pytest.raises(ValueError, match="have one key, and this is another"):
            here.tunnel(near.local, 44, node=here.switch("yet another"), key=KEY)


async def test_a_peer_of_one_network_less_is_not_heard_there() -> None:
    async with Network(seed=1) as here, Network(seed=2) as there:
        near = here.tunnel(LOOPBACK, 42)
        far = there.tunnel(LOOPBACK, 42, [near.local])
        near.add_peer(far.local)
        here.tunnel(near.local, 43, [far.local], node=here.switch("dmz"))  # so that it stays a peer of the socket
        web, client = here.host("web"), there.host("client")
        assert await transfer(web, client, DATA) == DATA
        near.remove_peer(far.local)
        before = near.stats
        sock = await datagram(client)
        await sock.sendto(b"still there?", (web.addresses[0], 9))
        await until(lambda: near.stats["wrong_vni"] > before["wrong_vni"])
        await sock.close()
        assert near.stats["frames_in"] == before["frames_in"]
        assert near.table == {}


async def test_a_frame_goes_where_its_station_is_and_only_there() -> None:
    async with Network(seed=1) as one, Network(seed=2) as two, Network(seed=3) as three:
        first = one.tunnel(LOOPBACK, 42)
        second = two.tunnel(LOOPBACK, 42, [first.local])
        third = three.tunnel(LOOPBACK, 42, [first.local, second.local])
        first.add_peer(second.local)
        first.add_peer(third.local)
        second.add_peer(third.local)
        assert await transfer(one.host("web"), two.host("client"), DATA) == DATA
        assert third.stats["frames_in"] < 100 < 1000 < first.stats["frames_in"]  # names are announced to all
        assert first.stats["flooded"] + second.stats["flooded"] < 100
        first.pin("02:00:00:00:00:33", third.local)
        assert first.table["02:00:00:00:00:33"].address == third.local


async def test_a_peer_that_comes_back_is_found_again() -> None:
    async with Network(seed=1) as here:
        near = here.tunnel(LOOPBACK, 42, key=KEY)
        web = here.host("web")
        where = LOOPBACK
        for seed in (2, 3):
            async with Network(seed=seed) as there:
                far = there.tunnel(where, 42, [near.local], key=KEY)
                near.add_peer(far.local)
                where = far.local
                assert await transfer(web, there.host("client"), DATA) == DATA
        assert near.stats["handshakes"] == 2
        assert len(near.peers) == 1


# ---- where that cannot be


async def test_an_address_in_use_is_said_to_be_so() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(LOOPBACK)
        port = other.getsockname()[1]
        async with Network(seed=1) as net:
            with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}: the address is in use$"):
                net.tunnel(("127.0.0.1", port), 42)
            assert net.links == []


@in_virtual_time
async def test_a_tunnel_needs_real_time() -> None:
    async with Network(seed=1) as net:
        with pytest.raises(RuntimeError, match="a tunnel needs real time"):
            net.tunnel(LOOPBACK, 42)


def test_a_clock_moved_by_hand_waits_for_nobody() -> None:
    with pytest.raises(RuntimeError, match="moved by hand"):
        Network(seed=1, clock=ManualClock()).tunnel(LOOPBACK, 42)


async def test_arguments_that_make_no_sense_are_refused_before_anything_is_made() -> None:
    async with Network(seed=1) as net:
        for arguments, message in (
            ({"vni": -1}, "vni is a number"),
            ({"peers": [("127.0.0.1",)]}, r"an address is \(host, port\)"),
            ({"key": "secret"}, "not a key"),
            ({"mtu": 20}, "mtu"),
        ):
            with pytest.raises(ValueError, match=message):
                net.tunnel(LOOPBACK, **arguments)
        with pytest.raises(OSError, match=r"name\.invalid"):
            net.tunnel(LOOPBACK, peers=[("name.invalid", 4789)])
        assert net.links == []
        tunnel = net.tunnel(LOOPBACK)
        with pytest.raises(ValueError, match="is this end of the tunnel"):
            tunnel.add_peer(tunnel.local)


async def test_hosts_in_use_cannot_be_joined_to_others() -> None:
    async with Network(seed=1) as net:
        sock = await datagram(net.host("web"))
        await sock.sendto(b"hello", ("10.0.0.9", 9))
        with pytest.raises(RuntimeError, match="eth0 of 'web' is in use"):
            net.tunnel(LOOPBACK)
        await sock.close()


async def test_the_address_is_free_when_the_network_has_ended() -> None:
    async with Network(seed=1) as net:
        local = net.tunnel(LOOPBACK).local
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(local)


# ---- what who listens on the way can read


@pytest.mark.parametrize(("key", "readable"), [(None, True), (KEY, False)])
async def test_with_a_key_nothing_inside_is_readable_on_the_way(key: str | None, readable: bool) -> None:
    async with Network(seed=1) as here, Network(seed=2) as there:
        near, far = here.tunnel(LOOPBACK, 42, key=key), there.tunnel(LOOPBACK, 42, key=key)
        middle = Middle(Random(1), near, far)
        web, client = here.host("web"), there.host("client")
        inside: list[bytes] = []
        near.tap(lambda now, channel, frame, fate: inside.append(frame))
        assert await transfer(web, client, b"a line that tells everything\n" * 1000) != b""
        middle.close()
        seen = b"|".join(middle.recorded)
        assert len(middle.recorded) > 20
        assert (b"a line that tells everything" in seen) is readable
        # Nor a header: any sixteen octets of any frame inside.
        windows = {frame[at : at + 16] for frame in inside for at in range(0, len(frame) - 16, 16)}
        assert any(window in seen for window in windows) is readable


def test_only_a_key_needs_the_package_for_it() -> None:
    program = """
import asyncio, sys
sys.modules["cryptography"] = None  # as if it were not there
from aionetflow import Network
async def main():
    async with Network() as net:
        net.tunnel(("127.0.0.1", 0), 1)
        try:
            net.tunnel(("127.0.0.1", 0), 2, node=net.switch("safe"), key="00" * 32)
        except RuntimeError as error:
            print(error)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "key= needs cryptography: pip install aionetflow[crypto]\n"
