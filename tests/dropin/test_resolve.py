"""Names on a network: the answers and errors of the C library, the hosts of the network."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from aionetflow import Network, patch
from support.loops import everywhere

# What needs nobody's answer: both sides must say the very same.
SETTLED: tuple[tuple[Any, Any, dict[str, int]], ...] = (
    (None, 80, {}),
    (None, 80, {"flags": socket.AI_PASSIVE}),
    (None, "http", {"type": socket.SOCK_STREAM}),
    ("127.0.0.1", None, {}),
    ("127.0.0.1", "80", {"type": socket.SOCK_STREAM}),
    (b"127.0.0.1", b"80", {"type": socket.SOCK_DGRAM}),
    ("::1", 80, {"proto": socket.IPPROTO_TCP}),
    ("10.1.2.3", 80, {"family": socket.AF_INET6}),
    ("::1", 80, {"family": socket.AF_INET}),
    ("10.1.2.3", "no-such-service", {}),
    ("no.such.name", 80, {"flags": socket.AI_NUMERICHOST}),
    ("", 80, {}),
    ("<broadcast>", 80, {}),
    (None, None, {}),
)


async def told(lookup: Any, host: Any, port: Any, said: dict[str, int]) -> Any:
    """What a look-up answers, or how it fails."""
    try:
        return await lookup(host, port, **said)
    except socket.gaierror as error:
        return error.args


@pytest.mark.parametrize(("host", "port", "said"), SETTLED)
@everywhere
async def test_what_needs_no_name_is_answered_as_by_the_c_library(host: Any, port: Any, said: dict[str, int]) -> None:
    async def system(*args: Any, **kwargs: Any) -> Any:
        return socket.getaddrinfo(*args, **kwargs)

    expected = await told(system, host, port, said)
    async with Network(seed=1):
        assert await told(asyncio.get_running_loop().getaddrinfo, host, port, said) == expected


@everywhere
async def test_localhost_is_both_families_and_a_host_what_it_was_given() -> None:
    async with Network(seed=1) as net:
        lookup = asyncio.get_running_loop().getaddrinfo
        web = net.host("web.example", "10.0.7.7/16")
        both = await lookup("localhost", 80, type=socket.SOCK_STREAM)
        assert [info[4][:2] for info in both] == [("::1", 80), ("127.0.0.1", 80)]
        for name in ("web.example", "WEB.example", "web.example."):
            infos = await lookup(name, "http", type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
            assert infos == [
                (socket.AF_INET, socket.SOCK_STREAM, 6, name, (web.addresses[0], 80)),
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (web.addresses6[0], 80, 0, 0)),
            ]
        bare = net.host("bare")
        net.link(bare, net.localhost, mtu=1000)  # too little for IPv6
        assert await told(lookup, "bare", 80, {"family": socket.AF_INET6}) == (
            socket.EAI_NODATA, "No address associated with hostname",
        )  # fmt: skip
        assert await told(lookup, "nobody", 80, {}) == (socket.EAI_NONAME, "Name or service not known")


@everywhere
async def test_of_a_host_with_two_addresses_those_come_that_can_be_reached() -> None:
    async with Network(seed=1) as net:
        lookup = asyncio.get_running_loop().getaddrinfo
        far, near, apart = net.host("far"), net.host("near"), net.host("apart")
        net.link(near, far)
        net.link(far, apart)
        here = {info[4][0] for info in await lookup("far", 80)}
        assert here == {*far.addresses, *far.addresses6}  # nothing leads to it from localhost: then all
        async with near:
            assert {info[4][0] for info in await lookup("far", 80)} == {far.addresses[0], far.addresses6[0]}
        async with apart:
            assert {info[4][0] for info in await lookup("far", 80)} == {far.addresses[1], far.addresses6[1]}


@everywhere
async def test_an_address_has_the_name_of_its_host() -> None:
    loop = asyncio.get_running_loop()
    async with Network(seed=1) as net:
        web = net.host("web")
        address = web.addresses[0]
        assert await loop.getnameinfo((address, 80)) == ("web", "http")
        assert await loop.getnameinfo((address, 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == (address, "80")
        assert await loop.getnameinfo(("::1", 80)) == ("localhost", "http")
        assert await loop.getnameinfo(("10.99.0.1", 80)) == ("10.99.0.1", "http")
        with pytest.raises(socket.gaierror, match="Name or service not known"):
            await loop.getnameinfo(("10.99.0.1", 80), socket.NI_NAMEREQD)


@everywhere
async def test_the_older_look_ups_answer_for_the_current_host() -> None:
    async with Network(seed=1) as net:
        web = net.host("web")
        address = web.addresses[0]
        with patch():
            async with web:
                assert socket.gethostname() == "web"
            assert socket.gethostbyname("web") == address
            assert socket.gethostbyname_ex("web") == ("web", [], [address])
            assert socket.gethostbyaddr(address) == ("web", [], [address])
            assert socket.getfqdn(address) == "web"
            with pytest.raises(socket.herror, match="Unknown host"):
                socket.gethostbyaddr("10.99.0.1")
            with pytest.raises(socket.gaierror, match="Name or service not known"):
                socket.gethostbyname("nobody")
