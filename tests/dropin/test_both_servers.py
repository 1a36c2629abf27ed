"""Servers and sending of files, on the kernel and on a virtual network."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import sys
import tempfile
from typing import IO, Any

import pytest

from support.loops import until
from support.sides import LO, Recorder, Trial, on_both, settle
from support.tls import NAME, client_context, server_context

loop = asyncio.get_running_loop
needs_313 = pytest.mark.skipif(sys.version_info < (3, 13), reason="came with Python 3.13")


async def serving(made: list[Recorder], *host: Any, **kwargs: Any) -> asyncio.Server:
    """A server whose protocols are kept as they come."""

    def factory() -> Recorder:
        made.append(Recorder())
        return made[-1]

    place = () if "sock" in kwargs else (*(host or (LO,)), 0)
    create: Any = loop().create_server
    server: asyncio.Server = await create(factory, *place, **kwargs)
    return server


async def dial(server: asyncio.Server) -> Recorder:
    """The protocol of a connection to it."""
    _, protocol = await loop().create_connection(Recorder, *server.sockets[0].getsockname())
    return protocol


@on_both
async def test_a_server_has_sockets_that_can_be_asked(trial: Trial) -> None:
    server = await loop().create_server(Recorder, [LO, "127.0.0.2"], 0)
    assert isinstance(server, asyncio.AbstractServer)
    assert server.get_loop() is loop()
    assert server.is_serving()
    assert isinstance(server.sockets, tuple)
    assert sorted(sock.getsockname()[0] for sock in server.sockets) == [LO, "127.0.0.2"]
    for sock in server.sockets:
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert sock.fileno() >= 0
    server.close()
    assert server.sockets == ()
    assert not server.is_serving()


@on_both
async def test_a_server_of_no_host_listens_for_both_families(trial: Trial) -> None:
    made: list[Recorder] = []
    for host in (None, "", ["::1", LO]):
        server = await serving(made, host)
        families = {sock.family: sock.getsockname()[1] for sock in server.sockets}
        assert set(families) == {socket.AF_INET, socket.AF_INET6}
        for family, port in families.items():
            address = LO if family == socket.AF_INET else "::1"
            transport, protocol = await loop().create_connection(Recorder, address, port)
            transport.close()
            await protocol.lost
        server.close()
    await until(lambda: len(made) == 6 and all(protocol.lost.done() for protocol in made))


@on_both
async def test_a_port_is_free_as_soon_as_its_server_is_closed(trial: Trial) -> None:
    made: list[Recorder] = []
    server = await serving(made)
    address = server.sockets[0].getsockname()
    near = await dial(server)
    await until(lambda: made)
    server.close()
    near.transport.close()
    await near.lost
    again = await loop().create_server(Recorder, *address)  # TIME-WAIT or not
    again.close()


@on_both
async def test_closing_a_server_leaves_its_connections_open(trial: Trial) -> None:
    made: list[Recorder] = []
    server = await serving(made)
    near = await dial(server)
    await until(lambda: made)
    server.close()
    near.transport.write(b"still there")
    await until(lambda: made[0].data == b"still there")
    with pytest.raises(ConnectionRefusedError):
        await loop().create_connection(Recorder, *near.transport.get_extra_info("peername"))
    near.transport.close()
    await made[0].lost


@on_both
async def test_a_server_that_does_not_serve_yet_refuses_nobody_later(trial: Trial) -> None:
    made: list[Recorder] = []
    server = await serving(made, start_serving=False)
    assert not server.is_serving()
    await server.start_serving()
    near = await dial(server)
    await until(lambda: made)
    near.transport.close()
    server.close()


@on_both
async def test_serve_forever_closes_the_server_when_it_is_cancelled(trial: Trial) -> None:
    server = await serving([])
    forever = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0)
    assert server.is_serving()
    forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forever
    assert not server.is_serving()
    assert server.sockets == ()


@on_both
async def test_a_server_is_a_context_manager(trial: Trial) -> None:
    async with await serving([]) as server:
        near = await dial(server)
        near.transport.close()
        await near.lost
    assert server.sockets == ()


@pytest.mark.skipif(sys.version_info < (3, 12, 1), reason="before, it did not wait")
@on_both
async def test_wait_closed_waits_for_the_connections(trial: Trial) -> None:
    made: list[Recorder] = []
    server = await serving(made)
    near = await dial(server)
    await until(lambda: made)
    server.close()
    waiting = asyncio.ensure_future(server.wait_closed())
    await settle()
    assert not waiting.done()
    near.transport.close()
    await waiting
    assert made[0].lost.done()


async def end_clients(name: str) -> None:
    """Has a server end its connections by one of its methods."""
    made: list[Recorder] = []
    server = await serving(made)
    near = await dial(server)
    await until(lambda: made and made[0].transport)
    server.close()
    getattr(server, name)()
    assert await near.lost is None
    await server.wait_closed()
    assert made[0].calls == ["made", "lost"]


@needs_313
@on_both
async def test_clients_of_a_server_can_be_closed_and_aborted(trial: Trial) -> None:
    await end_clients("close_clients")
    await end_clients("abort_clients")


@on_both
async def test_a_listening_socket_becomes_a_server(trial: Trial) -> None:
    bound, listening = trial.bound(), trial.listener()
    made: list[Recorder] = []
    for sock in (bound, listening):
        server = await serving(made, sock=sock)
        transport, protocol = await loop().create_connection(Recorder, *sock.getsockname())
        transport.close()
        await protocol.lost
        server.close()
        assert sock.fileno() == -1
    await until(lambda: len(made) == 2)


@on_both
async def test_many_connections_at_once_are_all_accepted(trial: Trial) -> None:
    made: list[Recorder] = []
    server = await serving(made, backlog=100)
    ends = await asyncio.gather(*(dial(server) for _ in range(60)))
    await until(lambda: len(made) == 60)
    assert len({end.transport.get_extra_info("sockname") for end in ends}) == 60
    for end in ends:
        end.transport.close()
    await asyncio.gather(*(protocol.lost for protocol in made))
    server.close()


# ---- files

TEXT = bytes(range(256)) * 2000  # half a million octets


def a_file(trial: Trial, content: bytes = TEXT) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed at the end of the trial
    trial.left.callback(file.close)
    file.write(content)
    file.seek(0)
    return file


@on_both
async def test_a_file_is_sent_from_an_offset_and_left_behind_what_was_sent(trial: Trial) -> None:
    for offset, count in ((0, None), (1000, None), (1000, 2000), (0, len(TEXT) * 2), (len(TEXT), None), (0, 1)):
        for fallback in (False, True):
            near, _ = await trial.connection(Recorder)
            file = a_file(trial)
            end = len(TEXT) if count is None else min(offset + count, len(TEXT))
            near.write(b"head ")
            assert await loop().sendfile(near, file, offset, count, fallback=fallback) == end - offset
            near.write(b" tail")
            near.close()
            assert file.tell() == (end if end > offset else 0)


@on_both
async def test_what_is_sent_of_a_file_arrives_between_what_is_written(trial: Trial) -> None:
    near, far = await trial.connection(Recorder)
    other = far.get_protocol()
    near.write(b"head")
    await loop().sendfile(near, a_file(trial))
    near.write(b"tail")
    near.close()
    await other.lost
    assert other.data == b"head" + TEXT + b"tail"


@on_both
async def test_what_is_no_file_of_the_systems_is_sent_by_reading_it(trial: Trial) -> None:
    near, far = await trial.connection(Recorder)
    other = far.get_protocol()
    file = io.BytesIO(TEXT)
    with pytest.raises(RuntimeError, match="not a regular file"):
        await loop().sendfile(near, file, fallback=False)
    assert await loop().sendfile(near, file, 10, 1000) == 1000
    assert file.tell() == 1010
    near.close()
    await other.lost
    assert other.data == TEXT[10:1010]


@on_both
async def test_a_file_is_sent_over_tls_by_reading_it(trial: Trial) -> None:
    made: list[Recorder] = []
    server = await serving(made, ssl=server_context())
    address = server.sockets[0].getsockname()
    near, _ = await loop().create_connection(Recorder, *address, ssl=client_context(), server_hostname=NAME)
    file = a_file(trial)
    with pytest.raises(RuntimeError, match="fallback is disabled and native sendfile is not supported"):
        await loop().sendfile(near, file, fallback=False)
    assert await loop().sendfile(near, file, 5) == len(TEXT) - 5
    near.close()
    await until(lambda: made and made[0].lost.done())
    assert made[0].data == TEXT[5:]
    assert file.tell() == len(TEXT)
    server.close()


@on_both
async def test_a_socket_sends_a_file(trial: Trial) -> None:
    for fallback in (False, True):
        near, far = await trial.pair()
        file = a_file(trial)
        sending = asyncio.ensure_future(loop().sock_sendfile(near, file, 100, 300_000, fallback=fallback))
        received = b""
        while len(received) < 300_000:
            received += await loop().sock_recv(far, 1 << 16)
        assert await sending == 300_000
        assert received == TEXT[100:300_100]
        assert file.tell() == 300_100
        assert os.fstat(file.fileno()).st_size == len(TEXT)


@on_both
async def test_a_peer_that_goes_away_ends_the_sending_of_a_file(trial: Trial) -> None:
    near, far = await trial.connection(Recorder)
    file = a_file(trial, bytes(16_000_000))
    far.pause_reading()
    sending = asyncio.ensure_future(loop().sendfile(near, file))
    await settle()
    far.abort()
    with pytest.raises(ConnectionError):
        await sending
    assert 0 < file.tell() < 16_000_000
    near.abort()
