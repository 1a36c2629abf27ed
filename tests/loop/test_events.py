"""The event loop: what stock asyncio's does, ours does, and in the same order."""

import asyncio
import contextvars
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aionetflow
from aionetflow import EventLoop

LOOPS: dict[str, Callable[[], asyncio.SelectorEventLoop]] = {"asyncio": asyncio.SelectorEventLoop, "own": EventLoop}
not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="signals, pipes and unix sockets")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.SelectorEventLoop]:
    """A loop of each kind; what is told to its exception handler is a failure unless a test sets its own."""
    loop = LOOPS[request.param]()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    yield loop
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    assert told == []


def run_all(loop: asyncio.SelectorEventLoop) -> None:
    """Runs what is ready, and what that makes ready, and so on for ten turns."""
    left = 10

    def again() -> None:
        nonlocal left
        left -= 1
        loop.call_soon(again if left else loop.stop)

    loop.call_soon(again)
    loop.run_forever()


def busy(loop: asyncio.SelectorEventLoop, until: Callable[[], object]) -> None:
    """Never lets the loop be idle until a condition holds; fails after 5 s."""
    end = time.monotonic() + 5

    def again() -> None:
        assert time.monotonic() < end
        if until():
            loop.stop()
        else:
            loop.call_soon(again)

    loop.call_soon(again)
    loop.run_forever()


class TestTurns:
    def test_callbacks_run_in_the_order_of_the_calls(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[int] = []
        for number in range(100):
            loop.call_soon(log.append, number)
        run_all(loop)
        assert log == list(range(100))

    def test_what_a_callback_adds_runs_in_the_next_turn(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []

        def first() -> None:
            log.append("first")
            loop.call_soon(log.append, "added")

        loop.call_soon(first)
        loop.call_soon(log.append, "second")
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert log == ["first", "second"]
        run_all(loop)
        assert log == ["first", "second", "added"]

    def test_calls_from_the_loops_own_thread_keep_their_order(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[int] = []
        for number in range(10):
            (loop.call_soon_threadsafe if number % 2 else loop.call_soon)(log.append, number)
        run_all(loop)
        assert log == list(range(10))

    def test_a_cancelled_callback_does_not_run(self, loop: asyncio.SelectorEventLoop) -> None:
        handle = loop.call_soon(pytest.fail, "was cancelled")
        assert not handle.cancelled()
        handle.cancel()
        handle.cancel()
        doomed: list[asyncio.Handle] = []

        def cancel() -> None:
            for other in doomed:
                other.cancel()

        loop.call_soon(cancel)
        doomed.append(loop.call_soon(pytest.fail, "was cancelled in its own turn"))
        run_all(loop)
        assert handle.cancelled()

    def test_stop_ends_the_turn_and_no_earlier(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []
        loop.call_soon(loop.stop)
        loop.call_soon(log.append, "same turn")
        loop.run_forever()
        assert log == ["same turn"]

    def test_stop_before_the_start_looks_at_the_descriptors_once(self, loop: asyncio.SelectorEventLoop) -> None:
        ours, theirs = socket.socketpair()
        log: list[bytes] = []
        loop.add_reader(ours, lambda: log.append(ours.recv(9)))
        theirs.send(b"here")
        loop.stop()
        loop.run_forever()
        assert log == [b"here"]
        loop.remove_reader(ours)
        ours.close()
        theirs.close()

    def test_a_callback_is_let_go_as_soon_as_it_has_run(self, loop: asyncio.SelectorEventLoop) -> None:
        class Thing:
            pass

        thing = Thing()
        alive = weakref.ref(thing)
        seen: list[object] = []
        loop.call_soon(id, thing)
        loop.call_soon(lambda: seen.append(alive()))
        del thing
        run_all(loop)
        assert seen == [None]

    def test_callbacks_run_in_their_context(self, loop: asyncio.SelectorEventLoop) -> None:
        var = contextvars.ContextVar("var", default="outside")
        log: list[str] = []
        context = contextvars.copy_context()
        context.run(var.set, "given")
        loop.call_soon(lambda: log.append(var.get()), context=context)
        loop.call_later(0.001, lambda: log.append(var.get()), context=context)
        loop.call_soon(var.set, "of one callback only")
        loop.call_soon(lambda: log.append(var.get()))
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
        assert log == ["given", "outside", "given"]

    def test_a_task_takes_the_call_soon_of_a_subclass_and_of_an_instance(self) -> None:
        calls: list[str] = []

        class Counting(EventLoop):
            def call_soon(  # type: ignore[override]
                self, callback: Any, *args: Any, context: Any = None
            ) -> Any:
                calls.append("class")
                return super().call_soon(callback, *args, context=context)

        with asyncio.Runner(loop_factory=Counting) as runner:
            runner.run(asyncio.sleep(0))
            assert calls
            loop = runner.get_loop()
            plain = loop.call_soon

            def patched(callback: Any, *args: Any, context: Any = None) -> Any:
                calls.append("instance")
                return plain(callback, *args, context=context)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(loop, "call_soon", patched)
                runner.run(asyncio.sleep(0))
        assert "instance" in calls


class TestTimers:
    def test_timers_run_by_time_and_then_in_the_order_of_the_calls(self) -> None:
        loop = EventLoop()
        log: list[int] = []
        start = loop.time()
        for number, delay in enumerate((3, 1, 2, 1, 1)):
            loop.call_at(start + delay / 1000, log.append, number)
        loop.call_later(0.005, loop.stop)
        loop.run_forever()
        loop.close()
        assert log == [1, 3, 4, 2, 0]

    def test_a_timer_tells_when_it_is_due_and_does_not_come_before(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[float] = []
        start = loop.time()
        handle = loop.call_later(0.005, lambda: log.append(loop.time()))
        assert start + 0.005 <= handle.when() <= loop.time() + 0.005
        assert loop.call_at(start + 0.006, loop.stop).when() == start + 0.006
        loop.run_forever()
        assert log[0] >= handle.when() - 1e-8

    def test_an_overdue_timer_runs_in_the_next_turn(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []
        loop.call_soon(lambda: [loop.call_later(0, log.append, "timer"), loop.call_soon(loop.call_soon, loop.stop)])
        loop.run_forever()
        assert log == ["timer"]

    def test_a_cancelled_timer_does_not_run(self, loop: asyncio.SelectorEventLoop) -> None:
        handle = loop.call_later(0.001, pytest.fail, "was cancelled")
        handle.cancel()
        loop.call_later(0.003, loop.stop)
        loop.run_forever()
        assert handle.cancelled()

    def test_cancelled_timers_do_not_pile_up(self) -> None:
        loop = EventLoop()
        kept = [loop.call_later(3600, print) for _ in range(50)]
        for _ in range(10_000):
            loop.call_later(3600, print).cancel()
        assert len(loop._heap) < 400
        assert not any(handle.cancelled() for handle in kept)
        assert loop.next_deadline() == loop._heap[0][0]
        loop.close()

    def test_a_delay_without_end_is_a_timer_that_does_not_come(self, loop: asyncio.SelectorEventLoop) -> None:
        loop.call_later(float("inf"), pytest.fail, "infinity has come")
        loop.call_later(0.001, loop.stop)
        loop.run_forever()

    def test_a_time_is_a_number(self, loop: asyncio.SelectorEventLoop) -> None:
        for delay in (None, "1"):
            with pytest.raises(TypeError):
                loop.call_later(delay, print)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            loop.call_at(None, print)  # type: ignore[arg-type]


class TestFairness:
    def test_descriptors_are_served_while_callbacks_reschedule_for_ever(self, loop: asyncio.SelectorEventLoop) -> None:
        ours, theirs = socket.socketpair()
        log: list[bytes] = []
        loop.add_reader(ours, lambda: log.append(ours.recv(9)))
        loop.call_soon(theirs.send, b"here")
        busy(loop, lambda: log)
        loop.remove_reader(ours)
        ours.close()
        theirs.close()

    def test_timers_run_while_callbacks_reschedule_for_ever(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []
        loop.call_later(0.002, log.append, "due")
        busy(loop, lambda: log)

    def test_threads_are_heard_while_callbacks_reschedule_for_ever(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []
        thread = threading.Timer(0.002, loop.call_soon_threadsafe, (log.append, "heard"))
        thread.start()
        busy(loop, lambda: log)
        thread.join()

    @not_on_windows
    def test_signals_are_heard_while_callbacks_reschedule_for_ever(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []
        loop.add_signal_handler(signal.SIGUSR1, log.append, "heard")
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        busy(loop, lambda: log)
        loop.remove_signal_handler(signal.SIGUSR1)


class TestThreads:
    def test_a_call_from_a_thread_wakes_the_loop(self, loop: asyncio.SelectorEventLoop) -> None:
        thread = threading.Timer(0.01, loop.call_soon_threadsafe, (loop.stop,))
        thread.start()
        loop.call_later(60, pytest.fail, "was not woken")
        begin = time.monotonic()
        loop.run_forever()
        assert time.monotonic() - begin < 10
        thread.join()

    def test_no_call_of_any_thread_is_lost(self, loop: asyncio.SelectorEventLoop) -> None:
        calls, threads = 2000, 4
        log: list[tuple[int, int]] = []

        def note(entry: tuple[int, int]) -> None:
            log.append(entry)
            if len(log) == calls * threads:
                loop.stop()

        def work(name: int) -> None:
            for number in range(calls):
                loop.call_soon_threadsafe(note, (name, number))

        workers = [threading.Thread(target=work, args=(name,)) for name in range(threads)]
        for worker in workers:
            worker.start()
        loop.call_later(20, loop.stop)
        loop.run_forever()
        for worker in workers:
            worker.join()
        for name in range(threads):
            assert [number for who, number in log if who == name] == list(range(calls))


class TestErrors:
    def test_an_exception_goes_to_the_handler_and_the_rest_runs(self, loop: asyncio.SelectorEventLoop) -> None:
        told: list[dict[str, Any]] = []
        log: list[str] = []
        loop.set_exception_handler(lambda _, context: told.append(context))
        handle = loop.call_soon({}.popitem)
        loop.call_soon(log.append, "the rest")
        run_all(loop)
        assert log == ["the rest"]
        (context,) = told
        assert context["message"].startswith("Exception in callback")
        assert "popitem" in context["message"]
        assert type(context["exception"]) is KeyError
        assert context["handle"] is handle

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    def test_an_exit_comes_out_and_the_rest_is_kept(
        self, loop: asyncio.SelectorEventLoop, error: type[BaseException]
    ) -> None:
        log: list[str] = []

        def leave() -> None:
            raise error

        loop.call_soon(log.append, "before")
        loop.call_soon(leave)
        loop.call_soon(log.append, "after")
        with pytest.raises(error):
            loop.run_forever()
        assert log == ["before"]
        run_all(loop)
        assert log == ["before", "after"]

    def test_a_closed_loop_takes_no_calls(self, loop: asyncio.SelectorEventLoop) -> None:
        loop.call_soon(pytest.fail, "ran after close")
        loop.call_later(0, pytest.fail, "ran after close")
        loop.close()
        loop.close()
        assert loop.is_closed()
        for call in (loop.call_soon, loop.call_soon_threadsafe):
            with pytest.raises(RuntimeError, match="Event loop is closed"):
                call(print)
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            loop.call_later(1, print)
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            loop.run_forever()

    def test_a_running_loop_cannot_be_closed_or_run_again(self, loop: asyncio.SelectorEventLoop) -> None:
        async def main() -> None:
            with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
                loop.close()
            with pytest.raises(RuntimeError, match="already running"):
                loop.run_forever()

        loop.run_until_complete(main())

    def test_a_closed_loop_is_collected(self) -> None:
        loop = EventLoop()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        alive = weakref.ref(loop)
        del loop
        gc.collect()
        assert alive() is None


class TestDebugMode:
    @pytest.fixture(autouse=True)
    def debug(self, loop: asyncio.SelectorEventLoop) -> None:
        loop.set_debug(True)

    def test_a_call_from_the_wrong_thread_is_an_error(self, loop: asyncio.SelectorEventLoop) -> None:
        def wrong() -> str:
            with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
                loop.call_soon(print)
            with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
                loop.call_later(1, print)
            return "refused"

        async def main() -> str:
            return await asyncio.to_thread(wrong)

        assert loop.run_until_complete(main()) == "refused"

    def test_what_cannot_be_called_is_an_error(self, loop: asyncio.SelectorEventLoop) -> None:
        async def coroutine() -> None:
            pass

        for callback in (coroutine, 1):
            with pytest.raises(TypeError):
                loop.call_soon(callback)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                loop.call_later(1, callback)  # type: ignore[arg-type]

    def test_a_slow_callback_is_logged(
        self, loop: asyncio.SelectorEventLoop, caplog: pytest.LogCaptureFixture
    ) -> None:
        def slow() -> None:
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                pass

        async def slow_step() -> None:
            slow()

        loop.slow_callback_duration = 0.01
        with caplog.at_level(logging.WARNING, "asyncio"):
            loop.call_soon(slow)
            loop.run_until_complete(slow_step())
        first, second = (record.getMessage() for record in caplog.records)
        assert "Executing <Handle" in first
        assert "slow()" in first
        assert "Executing <Task" in second
        assert "slow_step()" in second

    def test_a_handle_says_what_it_calls_and_who_made_it(self, loop: asyncio.SelectorEventLoop) -> None:
        handle = loop.call_soon(print, "text")
        timer = loop.call_later(5, print, "text")
        for made in handle, timer:
            assert "print('text')" in repr(made)
            assert f"created at {__file__}" in repr(made)
            made.cancel()
            assert "cancelled" in repr(made)
        assert "print('text')" in repr(handle)

    def test_an_exception_comes_with_the_stack_of_the_caller(self, loop: asyncio.SelectorEventLoop) -> None:
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: told.append(context))
        loop.call_soon({}.popitem)
        run_all(loop)
        assert told[0]["source_traceback"][-1].filename == __file__


class TestAround:
    """What is inherited from asyncio works on our turns."""

    def test_executors(self, loop: asyncio.SelectorEventLoop) -> None:
        async def main() -> list[int]:
            return list(await asyncio.gather(*(asyncio.to_thread(int, str(n)) for n in range(20))))

        assert loop.run_until_complete(main()) == list(range(20))

    def test_asynchronous_generators_are_shut_down(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []

        async def numbers() -> Any:
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0)
                log.append("ended")

        kept = numbers()

        async def main() -> int:
            number: int = await anext(kept)
            return number

        assert loop.run_until_complete(main()) == 1
        loop.run_until_complete(loop.shutdown_asyncgens())
        assert log == ["ended"]

    @not_on_windows
    def test_subprocesses(self, loop: asyncio.SelectorEventLoop) -> None:
        async def main() -> tuple[bytes, int | None]:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "print(input())", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate(b"hello\n")
            return out, process.returncode

        asyncio.set_event_loop(loop)  # on 3.11 the watcher of child processes looks there
        try:
            assert loop.run_until_complete(main()) == (b"hello\n", 0)
        finally:
            asyncio.set_event_loop(None)

    @not_on_windows
    def test_pipes(self, loop: asyncio.SelectorEventLoop) -> None:
        async def main() -> bytes:
            reading, writing = os.pipe()
            reader = asyncio.StreamReader()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb"))
            transport, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(writing, "wb"))
            transport.write(b"through the pipe")
            transport.close()
            return await reader.read()

        assert loop.run_until_complete(main()) == b"through the pipe"

    @not_on_windows
    def test_unix_sockets(self, loop: asyncio.SelectorEventLoop, tmp_path: Path) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()

        async def main() -> bytes:
            server = await asyncio.start_unix_server(echo, tmp_path / "socket")
            reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
            writer.write(b"hello\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            server.close()
            await server.wait_closed()
            return answer

        assert loop.run_until_complete(main()) == b"hello\n"

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
    def test_eager_tasks(self, loop: asyncio.SelectorEventLoop) -> None:
        log: list[str] = []

        async def child() -> None:
            log.append("begun at once")
            await asyncio.sleep(0)
            log.append("ended")

        async def main() -> None:
            loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
            task = asyncio.create_task(child(), name="eager")
            log.append("created")
            await task

        loop.run_until_complete(main())
        assert log == ["begun at once", "created", "ended"]

    @pytest.mark.parametrize("kind", ["real", "virtual"])
    def test_an_executor_that_does_not_end_is_given_up_after_a_time_that_is_real(self, kind: str) -> None:
        go = threading.Event()

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            loop.run_in_executor(None, go.wait).cancel()
            with pytest.warns(RuntimeWarning, match="did not finishing joining"):
                await loop.shutdown_default_executor(0.01)
            go.set()
            await loop.shutdown_default_executor(60)

        aionetflow.run(main(), time=kind)


class TestMakingOne:
    def test_run_returns_what_main_returns_and_closes_the_loop(self) -> None:
        async def main() -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

        loop = aionetflow.run(main(), debug=True)
        assert isinstance(loop, EventLoop)
        assert loop.get_debug()
        assert loop.is_closed()

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.run(loop_factory=) came with 3.12")
    def test_asyncio_run_takes_the_factory(self) -> None:
        async def main() -> bool:
            return isinstance(asyncio.get_running_loop(), EventLoop)

        assert asyncio.run(main(), loop_factory=aionetflow.new_event_loop)  # type: ignore[call-arg,unused-ignore]

    def test_anyio_takes_the_factory(self) -> None:
        anyio = pytest.importorskip("anyio")

        async def main() -> bool:
            await anyio.to_thread.run_sync(int)
            return isinstance(asyncio.get_running_loop(), EventLoop)

        assert anyio.run(main, backend_options={"loop_factory": aionetflow.new_event_loop})

    def test_an_unknown_time_is_an_error_that_names_the_others(self) -> None:
        with pytest.raises(ValueError, match="time is one of 'real', 'virtual', 'manual', not 'fast'"):
            aionetflow.new_event_loop(time="fast")

    def test_run_inside_a_running_loop_is_an_error(self) -> None:
        async def main() -> None:
            inner = asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="while an event loop runs"):
                aionetflow.run(inner)
            inner.close()

        aionetflow.run(main())
