"""What becomes of exceptions that protocols raise, on the kernel and on a virtual network: the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aionetflow import Network
from support.loops import LOOPS, everywhere, until
from support.sides import LO, Program, Recorder, Trial, collector, on_kernel, on_network

PROGRAMS: dict[str, Program] = {}
collect = collector(PROGRAMS)
MUCH = 16_000_000
loop = asyncio.get_running_loop


def failing(call: str, base: type[Any] = Recorder, error: BaseException | None = None) -> type[Any]:
    """A protocol that raises when it is called so."""

    def fail(self: Any, *args: Any) -> Any:
        if hasattr(base, call):
            getattr(base, call)(self, *args)
        raise error or ZeroDivisionError(call)

    return type("Failing", (base,), {call: fail})


def tell_told(trial: Trial) -> None:
    """Notes what the exception handler was told; where it names a callback, without the name (uvloop's is another)."""
    for context in trial.told:
        keys = sorted(set(context) - {"source_traceback"})
        message = "Exception in callback"
        if message not in context["message"]:
            message = context["message"]
        trial.say(message, (repr(context.get("exception")), keys))


async def tell(trial: Trial, near: Recorder, far: Recorder) -> None:
    """Waits until both ends are over, and notes what the exception handler was told, and how they ended."""
    await until(lambda: near.lost.done() and far.lost.done())
    tell_told(trial)
    trial.say("near", (near.calls, near.lost.result()))
    trial.say("far", (far.calls, far.lost.result()))


async def ends(trial: Trial, kind: type[Any]) -> tuple[Recorder, Recorder]:
    """The protocols at both ends, the accepted one of that kind."""
    trial.listen_to_handler()
    made: list[Any] = []

    def accept() -> Any:
        made.append(kind())
        return made[-1]

    address = await trial.server(accept)
    _, near = await loop().create_connection(Recorder, *address)
    await until(lambda: made)
    return near, made[0]


def in_callback(call: str, provoke: Callable[[Any, Any], None]) -> None:
    """Enters a program in which the accepted protocol raises in a callback."""

    async def program(trial: Trial) -> None:
        near, far = await ends(trial, failing(call))
        provoke(near, far)
        await tell(trial, near, far)

    PROGRAMS[call] = program


in_callback("connection_made", lambda near, far: near.transport.close())
in_callback("data_received", lambda near, far: near.transport.write(b"x"))
in_callback("eof_received", lambda near, far: near.transport.write_eof())
in_callback("connection_lost", lambda near, far: near.transport.close())


@collect
async def pause_writing_and_resume_writing(trial: Trial) -> None:
    class Both(failing("pause_writing")):  # type: ignore[misc]
        def resume_writing(self) -> None:
            super().resume_writing()
            raise ZeroDivisionError("resume_writing")

    near, far = await ends(trial, Both)
    near.transport.pause_reading()
    await until(lambda: far.transport)
    far.transport.write(bytes(MUCH))
    near.transport.resume_reading()
    await until(lambda: len(near.data) == MUCH)
    trial.say("still open", far.transport.is_closing())
    near.transport.close()
    await tell(trial, near, far)


def of_buffered(call: str, answer: Any) -> None:
    """Enters a program in which a buffered protocol gives that answer, or raises it."""

    async def program(trial: Trial) -> None:
        class Buffered(asyncio.BufferedProtocol):
            def __init__(self) -> None:
                self.recorder = Recorder()
                self.calls, self.lost = self.recorder.calls, self.recorder.lost

            connection_made = property(lambda self: self.recorder.connection_made)
            eof_received = property(lambda self: self.recorder.eof_received)
            connection_lost = property(lambda self: self.recorder.connection_lost)

            def get_buffer(self, sizehint: int) -> Any:
                return reply() if call == "get_buffer" else bytearray(10)

            def buffer_updated(self, nbytes: int) -> None:
                reply()

        def reply() -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        near, far = await ends(trial, Buffered)
        near.transport.write(b"some")
        near.transport.write_eof()
        await tell(trial, near, far)

    PROGRAMS[f"{call} {answer!r}"] = program


of_buffered("get_buffer", ZeroDivisionError("get_buffer"))
of_buffered("get_buffer", bytearray())
of_buffered("get_buffer", b"constant")
of_buffered("get_buffer", None)
of_buffered("buffer_updated", ZeroDivisionError("buffer_updated"))


@collect
async def callbacks_of_datagrams(trial: Trial) -> None:
    trial.listen_to_handler()

    class Kind(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            raise ZeroDivisionError("datagram_received")

        def connection_lost(self, exc: Exception | None) -> None:
            trial.say("lost", exc)

    transport, _ = await loop().create_datagram_endpoint(Kind, local_addr=(LO, 0))
    trial.left.callback(transport.abort)
    sender = await trial.endpoint()
    sender.sendto(b"1", transport.get_extra_info("sockname"))
    await until(lambda: trial.told)
    tell_told(trial)
    trial.say("closing", transport.is_closing())


@pytest.mark.kernel
@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_exception_handler_hears_of_it_in_asyncios_words(name: str, kind: str) -> None:
    assert on_network(PROGRAMS[name], kind) == on_kernel(PROGRAMS[name])


@everywhere
async def test_a_connection_is_closed_if_the_servers_protocol_factory_fails() -> None:
    """Where stock asyncio leaves it to the garbage collector, after the same words."""
    told: list[dict[str, Any]] = []

    def fail() -> Any:
        raise ZeroDivisionError("factory")

    async with Network(seed=1):
        loop().set_debug(True)
        loop().set_exception_handler(lambda _, context: told.append(context))
        server = await loop().create_server(fail, LO, 0)
        _, near = await loop().create_connection(Recorder, *server.sockets[0].getsockname())
        assert await near.lost is None
        server.close()
        loop().set_debug(False)
    assert [context["message"] for context in told] == ["Error on transport creation for incoming connection"]
    assert isinstance(told[0]["exception"], ZeroDivisionError)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("stop")], ids=["exit", "interrupt"])
@pytest.mark.parametrize("call", ["data_received", "eof_received", "connection_lost"])
@pytest.mark.parametrize("side", [pytest.param("kernel", marks=pytest.mark.kernel), *LOOPS])
def test_what_is_to_end_the_program_ends_it(side: str, call: str, error: BaseException) -> None:
    async def main(trial: Trial) -> None:
        near, _ = await trial.connection(failing(call, error=error))
        near.write(b"x")
        near.write_eof()
        near.close()
        await asyncio.sleep(1)
        raise AssertionError("the program goes on")

    with pytest.raises(type(error)) as ended:
        on_kernel.__wrapped__(main) if side == "kernel" else on_network(main, side)
    assert ended.value is error
