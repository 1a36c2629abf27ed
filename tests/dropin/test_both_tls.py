"""TLS on the kernel and on a virtual network: by ssl= and by start_tls(), and what goes wrong."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from support.loops import until
from support.sides import LO, Recorder, Trial, on_both, settle
from support.tls import NAME, client_context, server_context

MUCH = 3_000_000
loop = asyncio.get_running_loop


async def tls_server(trial: Trial, **kwargs: Any) -> tuple[tuple[str, int], list[Recorder]]:
    """A server that speaks TLS: its address, and its protocols as they come."""
    made: list[Recorder] = []

    def factory() -> Recorder:
        made.append(Recorder())
        return made[-1]

    return await trial.server(factory, ssl=server_context(), **kwargs), made


async def dial(address: tuple[str, int], **kwargs: Any) -> Recorder:
    """The protocol of a TLS connection to it."""
    settings: dict[str, Any] = {"ssl": client_context(), "server_hostname": NAME, **kwargs}
    _, protocol = await loop().create_connection(Recorder, *address, **settings)
    return protocol


@on_both
async def test_both_ends_read_what_the_other_has_written(trial: Trial) -> None:
    address, made = await tls_server(trial)
    near = await dial(address)
    near.transport.write(bytes(MUCH))
    await until(lambda: made and len(made[0].data) == MUCH)
    made[0].transport.write(b"answer")
    made[0].transport.close()
    assert await near.lost is None
    assert await made[0].lost is None
    assert near.data == b"answer"
    assert [call for call in near.calls if call not in ("pause", "resume")] == ["made", "data", "eof", "lost"]


@on_both
async def test_extra_information_is_that_of_asyncio(trial: Trial) -> None:
    address, _ = await tls_server(trial)
    near = await dial(address)
    info = near.transport.get_extra_info
    assert isinstance(info("sslcontext"), ssl.SSLContext)
    assert isinstance(info("ssl_object"), ssl.SSLObject)
    assert ("DNS", NAME) in info("peercert")["subjectAltName"]
    assert info("cipher") == info("ssl_object").cipher()
    assert info("compression") is None
    assert info("peername") == address
    assert info("sockname")[0] == LO
    assert info("socket").getpeername() == address
    assert near.transport._ssl_protocol is not None
    assert isinstance(near.transport, asyncio.Transport)
    assert not near.transport.can_write_eof()
    near.transport.close()
    await near.lost


@on_both
async def test_streams_speak_tls(trial: Trial) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, LO, 0, ssl=server_context())
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(LO, port, ssl=client_context(), server_hostname=NAME)
    writer.write(b"question\n")
    assert await reader.read() == b"QUESTION\n"
    writer.close()
    await writer.wait_closed()
    server.close()


@on_both
async def test_a_connection_is_upgraded_at_both_ends(trial: Trial) -> None:
    near, far = await trial.connection(Recorder)
    plain, other = near.get_protocol(), far.get_protocol()
    near.write(b"before")
    await until(lambda: other.data == b"before")
    upgraded, answering = Recorder(), Recorder()
    ends: Any = await asyncio.gather(
        loop().start_tls(near, upgraded, client_context(), server_hostname=NAME),
        loop().start_tls(far, answering, server_context(), server_side=True),
    )
    ends[0].write(bytes(MUCH))
    await until(lambda: len(answering.data) == MUCH)
    assert upgraded.calls == []  # it is connected already
    ends[1].write(b"after")
    await until(lambda: upgraded.data == b"after")
    ends[0].close()
    await upgraded.lost
    await answering.lost
    assert (plain.calls, other.data) == (["made"], bytearray(b"before"))


@on_both
async def test_a_stream_is_upgraded_while_it_is_used(trial: Trial) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go\n")
        await writer.start_tls(server_context())
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, LO, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"go\n"
    await writer.start_tls(client_context(), server_hostname=NAME)
    writer.write(b"secret\n")
    assert await reader.readline() == b"secret\n"
    writer.close()
    await writer.wait_closed()
    server.close()


@on_both
async def test_a_client_that_does_not_know_the_authority_refuses(trial: Trial) -> None:
    address, made = await tls_server(trial)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed certificate|unable to get local issuer"):
        await dial(address, ssl=client_context(trusting=False))
    await until(lambda: made)
    assert made[0].calls in ([], ["made", "lost"])


@on_both
async def test_a_certificate_is_for_one_name_only(trial: Trial) -> None:
    address, _ = await tls_server(trial)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await dial(address, server_hostname="other.test")


@on_both
async def test_a_peer_that_speaks_no_tls_is_an_error(trial: Trial) -> None:
    class Chatty(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.write(b"hello, this is no TLS\n")
            transport.close()

    address = await trial.server(Chatty)
    with pytest.raises(ssl.SSLError, match=r"WRONG_VERSION_NUMBER|wrong version number"):
        await dial(address)


@on_both
async def test_a_peer_that_closes_during_the_handshake_is_an_error(trial: Trial) -> None:
    class Closing(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            self.transport.close()

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

    address = await trial.server(Closing)
    with pytest.raises(ConnectionResetError):
        await dial(address)


@on_both
async def test_a_handshake_has_a_time_limit_at_the_client(trial: Trial) -> None:
    address = await trial.server()  # says nothing
    with pytest.raises(ConnectionAbortedError, match=r"SSL handshake is taking longer than 0.02 seconds"):
        await dial(address, ssl_handshake_timeout=0.02)


@on_both
async def test_a_handshake_has_a_time_limit_at_the_server(trial: Trial) -> None:
    address, _ = await tls_server(trial, ssl_handshake_timeout=0.02)
    _, silent = await loop().create_connection(Recorder, *address)
    assert await silent.lost is None
    assert silent.data == b""


@on_both
async def test_an_upgrade_that_fails_closes_the_connection(trial: Trial) -> None:
    near, far = await trial.connection(Recorder)
    other = far.get_protocol()
    with pytest.raises(ConnectionAbortedError, match="SSL handshake is taking longer"):
        await loop().start_tls(near, Recorder(), client_context(), server_hostname=NAME, ssl_handshake_timeout=0.02)
    await other.lost
    assert near.is_closing()


@on_both
async def test_what_a_peer_does_not_read_for_a_while_arrives_later(trial: Trial) -> None:
    address, made = await tls_server(trial)
    near = await dial(address)
    await until(lambda: made and made[0].transport)
    made[0].transport.pause_reading()
    near.transport.write(bytes(16_000_000))
    await settle()
    assert len(made[0].data) < 16_000_000
    made[0].transport.resume_reading()
    await until(lambda: len(made[0].data) == 16_000_000)
    near.transport.abort()
    await near.lost
    await made[0].lost
