"""What poll(2) says of a virtual socket's descriptor is what it says of the kernel's, whatever state the socket is in.

Some libraries ask the kernel, and not the socket, whether there is something to read: a connection of httpx's pool is
thrown away if it is readable before it is used.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import socket
import struct
from typing import Any

import pytest

from support.loops import until
from support.sides import KINDS, Recorder, Trial, on_both, on_kernel, on_network, settle

loop = asyncio.get_running_loop


def readiness(sock: Any) -> tuple[bool, bool]:
    """Whether it is ready to be read, and to be written, as selectors understand what poll(2) says."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLOUT)
    events = dict(poll.poll(0)).get(sock.fileno(), 0)
    return bool(events & ~select.POLLOUT), bool(events & ~select.POLLIN)


def is_readable(sock: Any) -> bool:
    """As httpcore asks before it uses a connection again."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def streams_in_all_states(trial: Trial) -> None:
    trial.say("fresh", readiness(trial.sock()))
    trial.say("bound", readiness(trial.bound()))
    listener = trial.listener()
    trial.say("listening", readiness(listener))
    full = trial.listener(backlog=0)
    trial.sock().connect_ex(full.getsockname())
    connecting = trial.sock()
    assert connecting.fileno() >= 0  # before it connects
    connecting.connect_ex(full.getsockname())
    trial.say("connecting", readiness(connecting))
    near = trial.sock()
    trial.say("fresh", readiness(near))
    near.connect_ex(listener.getsockname())
    await settle()
    trial.say("connected", readiness(near))
    trial.say("somebody to accept", readiness(listener))
    far, _ = listener.accept()
    trial.left.callback(far.close)
    trial.say("nobody more", readiness(listener))
    far.send(b"data")
    await settle()
    trial.say("data", readiness(near))
    near.recv(2)
    trial.say("more data", readiness(near))
    near.recv(2)
    trial.say("read", readiness(near))


async def streams_that_end(trial: Trial) -> None:
    near, far = await trial.pair()
    far.shutdown(socket.SHUT_WR)
    await settle()
    trial.say("the peer has finished", readiness(near))
    near.recv(1)
    trial.say("and that was read", readiness(near))
    far.close()
    near.send(b"x")
    await settle()
    trial.say("reset", readiness(near))
    near, far = await trial.pair()
    near.shutdown(socket.SHUT_RD)
    trial.say("shut to read", readiness(near))
    near.shutdown(socket.SHUT_WR)
    trial.say("shut", readiness(near))
    refused = trial.sock()
    refused.connect_ex(trial.bound().getsockname())
    await settle()
    trial.say("refused", readiness(refused))


async def streams_that_are_full(trial: Trial) -> None:
    near, far = await trial.pair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
    fills = 0
    while fills < 100:
        try:
            near.send(bytes(100_000))
        except BlockingIOError:
            fills += 1
            await asyncio.sleep(0)
    trial.say("full", readiness(near))
    while near.fileno() and not readiness(near)[1]:
        far.recv(1 << 20)
        await asyncio.sleep(0)
    trial.say("room again", readiness(near))


async def datagrams_in_all_states(trial: Trial) -> None:
    trial.say("fresh", readiness(trial.sock(socket.SOCK_DGRAM)))
    near, far = trial.bound(socket.SOCK_DGRAM), trial.bound(socket.SOCK_DGRAM)
    far.sendto(b"x", near.getsockname())
    await settle()
    trial.say("something", readiness(near))
    near.recv(1)
    trial.say("read", readiness(near))
    near.connect(trial.bound().getsockname())
    near.send(b"nobody reads")
    await settle()
    trial.say("nobody there", readiness(near))
    near.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    trial.say("told", readiness(near))


PROGRAMS = {
    program.__name__: program
    for program in (streams_in_all_states, streams_that_end, streams_that_are_full, datagrams_in_all_states)
}


@pytest.mark.kernel
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_poll_says_of_a_virtual_socket_what_it_says_of_the_kernels(name: str, kind: str) -> None:
    assert on_network(PROGRAMS[name], kind) == on_kernel(PROGRAMS[name])


@on_both
async def test_an_idle_connection_is_not_readable_until_the_peer_closes_it(trial: Trial) -> None:
    near, far = await trial.connection(Recorder)
    near.pause_reading()  # as anyio's streams are while nobody reads
    sock = near.get_extra_info("socket")
    assert not is_readable(sock)
    far.write(b"x")
    await until(lambda: is_readable(sock))
    near.resume_reading()
    await until(lambda: near.get_protocol().data)
    near.pause_reading()
    assert not is_readable(sock)
    far.close()
    await until(lambda: is_readable(sock))
    near.abort()


@on_both
async def test_a_descriptor_is_the_kernels_and_goes_with_its_socket(trial: Trial) -> None:
    near, _ = await trial.pair()
    descriptor = near.fileno()
    assert near.fileno() == descriptor
    os.fstat(descriptor)
    fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    copy = near.dup()
    near.close()
    assert near.fileno() == -1
    assert copy.fileno() >= 0
    assert copy.getpeername()
    copy.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@on_both
async def test_a_detached_descriptor_makes_a_socket_again(trial: Trial) -> None:
    near, far = await trial.pair()
    name = near.getsockname()
    descriptor = near.detach()
    assert near.fileno() == -1
    with socket.socket(fileno=descriptor) as again:
        assert again.getsockname() == name
        assert again.proto == socket.IPPROTO_TCP  # which the kernel tells
        again.send(b"hello")
        assert await loop().sock_recv(far, 10) == b"hello"


@on_both
async def test_a_sockets_type_is_without_the_flags_it_was_made_with(trial: Trial) -> None:
    for flags in (socket.SOCK_CLOEXEC, socket.SOCK_NONBLOCK, socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM | flags) as sock:
            assert sock.type == socket.SOCK_STREAM
            assert sock.getblocking() == (not flags & socket.SOCK_NONBLOCK)
            sock.setblocking(False)
            address = await trial.server()
            await loop().sock_connect(sock, address)
            transport, _ = await loop().create_connection(Recorder, sock=sock)  # which insists on a stream socket
            transport.close()
            assert sock.type == socket.SOCK_STREAM


@on_both
async def test_a_lingering_reset_is_seen_by_poll_at_the_other_end(trial: Trial) -> None:
    near, far = await trial.pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    await until(lambda: readiness(near) == (True, True))
    assert near.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 104
    assert near.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    near.close()
