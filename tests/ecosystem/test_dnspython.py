"""dnspython: questions over UDP, asked again when lost, and over TCP where the answer is long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest


def answer(question: bytes, *, by_udp: bool) -> bytes:
    """The address of any name; for TXT what has no room in a datagram."""
    query = dns.message.from_wire(question)
    response = dns.message.make_response(query)
    name, kind = query.question[0].name, query.question[0].rdtype
    if kind == dns.rdatatype.TXT and by_udp:
        response.flags |= dns.flags.TC
    else:
        texts = ["192.0.2.7"] if kind == dns.rdatatype.A else [f'"{"text " * 40}{number}"' for number in range(50)]
        response.answer.append(dns.rrset.from_text(name, 60, "IN", dns.rdatatype.to_text(kind), *texts))
    wire: bytes = response.to_wire()
    return wire


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(answer(data, by_udp=True), address)


async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            length = int.from_bytes(await reader.readexactly(2), "big")
            response = answer(await reader.readexactly(length), by_udp=False)
            writer.write(len(response).to_bytes(2, "big") + response)
    writer.close()


@contextlib.asynccontextmanager
async def serve(name: str) -> AsyncIterator[int]:
    server = await asyncio.start_server(stream, name, 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, (name, port))
    yield port
    transport.close()
    server.close()
    await server.wait_closed()


async def resolver(name: str, port: int) -> dns.asyncresolver.Resolver:
    found = await asyncio.get_running_loop().getaddrinfo(name, port)
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [found[0][4][0]], port
    resolver.timeout = 0.3  # s, then the question is asked again
    return resolver


async def addresses(resolver: dns.asyncresolver.Resolver) -> None:
    for number in range(20):
        found = await resolver.resolve(f"host{number}.example.", "A")
        assert [record.address for record in found] == ["192.0.2.7"]


async def long_answer(resolver: dns.asyncresolver.Resolver) -> None:
    assert len(await resolver.resolve("host.example.", "TXT")) == 50


@pytest.mark.parametrize("use", [addresses, long_answer], ids=lambda use: use.__name__)
def test_questions_are_answered(run: Callable[..., None], use: Callable[[Any], Any]) -> None:
    async def client(name: str, port: int) -> None:
        await use(await resolver(name, port))

    run(serve, client)
