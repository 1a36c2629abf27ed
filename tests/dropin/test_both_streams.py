"""Stream transports on the kernel and on a virtual network: what a protocol sees of a connection."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import weakref
from typing import Any

import pytest

from aionetflow import Network
from support.loops import everywhere, until
from support.sides import LO, Recorder, Trial, on_both, settle

MUCH = 16_000_000  # octets: more than the buffers of both ends together
loop = asyncio.get_running_loop


async def talk(trial: Trial, kind: type[Recorder] = Recorder) -> tuple[Recorder, Recorder]:
    """The protocols at both ends of a connection."""
    near, far = await trial.connection(kind)
    return near.get_protocol(), far.get_protocol()


class KeepsOpen(Recorder):
    """Goes on writing after the other end has finished."""

    keep_open = True


@on_both
async def test_a_protocol_is_called_in_order(trial: Trial) -> None:
    near, far = await talk(trial)
    near.transport.write(b"some")
    near.transport.write(b"thing")
    near.transport.write_eof()
    assert await far.lost is None
    assert await near.lost is None
    assert far.data == b"something"
    assert far.calls == ["made", "data", "eof", "lost"]
    assert near.calls == ["made", "eof", "lost"]


@on_both
async def test_a_connection_is_made_before_anybody_hears_of_it(trial: Trial) -> None:
    address = await trial.server(Recorder)
    transport, protocol = await loop().create_connection(Recorder, *address)
    assert protocol.calls == ["made"]
    assert protocol.transport is transport
    assert transport.get_protocol() is protocol
    transport.close()


@on_both
async def test_an_end_that_is_kept_open_may_still_write(trial: Trial) -> None:
    near, far = await talk(trial, KeepsOpen)
    assert near.transport.can_write_eof()
    near.transport.write(b"question")
    near.transport.write_eof()
    await until(lambda: "eof" in far.calls)
    assert not far.transport.is_closing()
    far.transport.write(b"answer")
    far.transport.close()
    await far.lost
    await until(lambda: "eof" in near.calls)
    assert near.data == b"answer"
    near.transport.close()
    assert await near.lost is None


@on_both
async def test_writing_is_paused_above_one_limit_and_resumed_below_the_other(trial: Trial) -> None:
    near, far = await talk(trial)
    transport = near.transport
    assert transport.get_write_buffer_limits() == (16384, 65536)
    far.transport.pause_reading()
    transport.write(bytes(MUCH))
    assert near.calls == ["made", "pause"]
    assert transport.get_write_buffer_size() > 65536
    transport.set_write_buffer_limits(high=MUCH)
    assert transport.get_write_buffer_limits() == (MUCH // 4, MUCH)
    far.transport.resume_reading()
    await until(lambda: near.calls[-1] == "resume")
    assert transport.get_write_buffer_size() <= MUCH // 4
    await until(lambda: len(far.data) == MUCH)
    assert transport.get_write_buffer_size() == 0
    transport.set_write_buffer_limits(low=7)
    assert transport.get_write_buffer_limits() == (7, 28)
    transport.set_write_buffer_limits(high=0)
    assert transport.get_write_buffer_limits() == (0, 0)


@on_both
async def test_a_write_goes_on_when_the_first_of_it_is_delivered_at_once(trial: Trial) -> None:
    near, far = await talk(trial)
    near.transport.pause_reading()
    far.transport.write(bytes(MUCH))
    near.transport.resume_reading()
    await until(lambda: len(near.data) == MUCH)


@on_both
async def test_nothing_is_read_while_reading_is_paused(trial: Trial) -> None:
    class PausesAtOnce(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.pause_reading()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    near, far = await talk(trial, PausesAtOnce)
    assert not far.transport.is_reading()
    near.transport.write(b"a")
    near.transport.write_eof()
    await settle()
    assert far.calls == ["made"]
    far.transport.pause_reading()
    far.transport.resume_reading()
    assert far.transport.is_reading()
    far.transport.resume_reading()
    await until(lambda: far.data)
    await settle()
    assert far.calls == ["made", "data"]
    far.transport.resume_reading()
    await far.lost
    assert far.calls == ["made", "data", "eof", "lost"]
    assert not far.transport.is_reading()


@on_both
async def test_all_kinds_of_buffers_can_be_written(trial: Trial) -> None:
    near, far = await talk(trial)
    far.transport.pause_reading()
    near.transport.write(bytearray(b"a" * MUCH))
    near.transport.write(memoryview(b"xcx")[1:2])
    near.transport.write(b"")
    near.transport.writelines([b"d", bytearray(b"e"), memoryview(b"f")])
    near.transport.writelines(iter([b"g"]))
    near.transport.writelines([])
    near.transport.close()
    far.transport.resume_reading()
    await far.lost
    assert far.data == b"a" * MUCH + b"cdefg"


@everywhere
async def test_what_is_written_is_what_it_was_when_it_was_written() -> None:
    """Since Python 3.12 asyncio's own transports do not promise that."""
    async with Network(seed=1), Trial() as trial:
        near, far = await talk(trial)
        far.transport.pause_reading()
        changing = bytearray(b"a" * MUCH)
        near.transport.write(changing)
        changing[:] = b"b" * MUCH
        near.transport.close()
        far.transport.resume_reading()
        await far.lost
        assert far.data == b"a" * MUCH


@on_both
async def test_closing_delivers_what_is_buffered_first(trial: Trial) -> None:
    near, far = await talk(trial)
    near.transport.write(bytes(MUCH))
    near.transport.close()
    assert near.transport.is_closing()
    assert near.calls == ["made", "pause"]
    assert await far.lost is None
    assert await near.lost is None
    assert len(far.data) == MUCH


@on_both
async def test_aborting_is_no_reset_and_what_the_stack_has_still_arrives(trial: Trial) -> None:
    near, far = await talk(trial)
    near.transport.write(bytes(1000))
    near.transport.abort()
    assert await far.lost is None
    assert await near.lost is None
    assert len(far.data) == 1000
    assert far.calls == ["made", "data", "eof", "lost"]


@on_both
async def test_aborting_drops_what_the_transport_has_buffered(trial: Trial) -> None:
    near, far = await talk(trial)
    far.transport.pause_reading()
    near.transport.write(bytes(MUCH))
    near.transport.abort()
    assert near.transport.get_write_buffer_size() == 0
    await near.lost
    far.transport.resume_reading()
    assert await far.lost is None
    assert 0 < len(far.data) < MUCH
    assert far.calls == ["made", "data", "eof", "lost"]


@on_both
async def test_closing_with_data_unread_resets_the_connection(trial: Trial) -> None:
    near, far = await talk(trial)
    far.transport.pause_reading()
    near.transport.write(b"never read")
    await settle()
    far.transport.close()
    assert await far.lost is None
    assert isinstance(await near.lost, ConnectionResetError)
    assert near.calls == ["made", "lost"]


@on_both
async def test_writing_to_a_connection_that_was_reset_loses_it(trial: Trial) -> None:
    near, far = await talk(trial)
    near.transport.pause_reading()
    near.transport.write(b"never read")
    await until(lambda: far.data)
    far.transport.pause_reading()
    near.transport.write(b"nor this")
    await settle()
    far.transport.abort()
    await far.lost
    await settle()
    near.transport.write(b"into the void")
    assert isinstance(await near.lost, ConnectionResetError)


@on_both
async def test_a_buffered_protocol_gives_the_buffer(trial: Trial) -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(5)
            self.seen: list[Any] = []

        def get_buffer(self, sizehint: int) -> bytearray:
            self.seen.append(sizehint)
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.seen.append(bytes(self.buffer[:nbytes]))

        def eof_received(self) -> None:
            self.seen.append("eof")

    near, far = await talk(trial)
    buffered = Buffered()
    far.transport.set_protocol(buffered)
    assert far.transport.get_protocol() is buffered
    near.transport.write(b"abcdefgh")
    await until(lambda: b"fgh" in buffered.seen)
    assert buffered.seen[:4] == [-1, b"abcde", -1, b"fgh"]
    far.transport.set_protocol(far)
    near.transport.write(b"plain again")
    await until(lambda: far.data == b"plain again")


@on_both
async def test_a_protocol_may_be_changed_while_it_is_called(trial: Trial) -> None:
    class Upgrades(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.set_protocol(later)

    near, far = await talk(trial, Upgrades)
    later = Recorder()
    near.transport.write(b"1")
    await until(lambda: far.data)
    near.transport.write(b"2")
    near.transport.write_eof()
    await later.lost
    assert bytes(far.data + later.data) == b"12"
    assert far.calls == ["made", "data"]
    assert later.calls == ["data", "eof", "lost"]


@on_both
async def test_extra_information_is_that_of_asyncio(trial: Trial) -> None:
    near, far = await talk(trial)
    transport = near.transport
    assert transport.get_extra_info("peername") == far.transport.get_extra_info("sockname")
    assert transport.get_extra_info("sockname") == far.transport.get_extra_info("peername")
    assert transport.get_extra_info("sslcontext") is None
    assert transport.get_extra_info("no such thing", 5) == 5
    sock = transport.get_extra_info("socket")
    assert (sock.family, sock.type, sock.proto) == (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    assert sock.getsockname() == transport.get_extra_info("sockname")
    assert sock.getpeername() == transport.get_extra_info("peername")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.gettimeout() == 0
    assert sock.fileno() >= 0
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert far.transport.get_extra_info("socket").gettimeout() == 0


@on_both
async def test_what_is_known_of_a_connection_outlives_it(trial: Trial) -> None:
    near, _ = await talk(trial)
    transport = near.transport
    known = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    sock = transport.get_extra_info("socket")
    transport.close()
    await near.lost
    await asyncio.sleep(0)
    assert (transport.get_extra_info("peername"), transport.get_extra_info("sockname")) == known
    assert sock.fileno() == -1
    assert transport.is_closing()


@on_both
async def test_a_transport_says_what_it_is(trial: Trial) -> None:
    near, far = await talk(trial)
    assert isinstance(near.transport, asyncio.Transport)
    assert re.fullmatch(r"<\w+Transport fd=\d+ read=polling write=<idle, bufsize=0>>", repr(near.transport))
    far.transport.pause_reading()
    near.transport.write(bytes(MUCH))
    assert re.fullmatch(r"<\w+Transport fd=\d+ read=polling write=<polling, bufsize=\d+>>", repr(near.transport))
    near.transport.close()
    assert re.match(r"<\w+Transport closing fd=\d+ read=idle", repr(near.transport))
    near.transport.abort()
    await near.lost
    await asyncio.sleep(0)
    assert re.match(r"<\w+Transport closed fd=-?\d+", repr(near.transport))


@on_both
async def test_attributes_of_a_transport_can_be_assigned(trial: Trial) -> None:
    near, far = await talk(trial)
    write, written = near.transport.write, []

    def noting(data: bytes) -> None:
        written.append(data)
        write(data)

    near.transport.write = noting
    near.transport.write(b"noted")
    near.transport.whatever = 5
    await until(lambda: far.data == b"noted")
    assert written == [b"noted"]


@on_both
async def test_an_unclosed_transport_is_warned_of_and_closed(trial: Trial) -> None:
    near, far = await talk(trial)
    near.transport.pause_reading()
    with pytest.warns(ResourceWarning, match=r"unclosed transport <\w+Transport .*fd="):
        near.transport.__del__()
    assert await far.lost is None
    near.transport.abort()
    await near.lost


@on_both
async def test_no_transport_is_alive_after_its_end(trial: Trial) -> None:
    made: list[weakref.ref[Any]] = []

    class Weak(Recorder):
        def connection_made(self, transport: Any) -> None:
            made.append(weakref.ref(transport))

    server = await loop().create_server(Weak, LO, 0)
    transport, protocol = await loop().create_connection(Weak, *server.sockets[0].getsockname())
    transport.write(b"x")
    transport.close()
    await protocol.lost
    server.close()
    await server.wait_closed()
    del transport, protocol, server
    await until(lambda: gc.collect() >= 0 and not any(ref() for ref in made))
    assert len(made) == 2
