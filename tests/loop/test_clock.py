"""The clock over an event loop, on stock asyncio and uvloop; and the loop whose time is virtual."""

import asyncio
import contextvars
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from aionetflow import EventLoop
from aionetflow import run as run_on_ours
from aionetflow.network.clock import LoopClock

MS = 1_000_000
Main = Callable[[], Coroutine[Any, Any, Any]]


def uvloop_loop() -> asyncio.AbstractEventLoop:
    return pytest.importorskip("uvloop").new_event_loop()  # type: ignore[no-any-return]


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop_loop,
    "own": EventLoop,
    "virtual": partial(EventLoop, time="virtual"),
}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Main], Any]:
    """Runs a coroutine function on one of the loops, as asyncio.run() would."""

    def run(main: Main) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(main())

    return run


def note(clock: LoopClock, log: list[tuple[int, int]], what: int) -> None:
    log.append((what, clock.now()))


def run_virtual(main: Main) -> Any:
    return run_on_ours(main(), time="virtual")


class TestLoopClock:
    def test_timers_run_in_order_and_never_early(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock, done = LoopClock(), asyncio.Event()
            start = clock.now()
            log: list[tuple[int, int]] = []
            for delay in (3 * MS, MS, 2 * MS, 0, 1_500_000):
                clock.call_at(start + delay, partial(note, clock, log, delay))
            clock.call_at(start + 4 * MS, done.set)
            await asyncio.wait_for(done.wait(), 5)
            assert [delay for delay, _ in log] == [0, MS, 1_500_000, 2 * MS, 3 * MS]
            assert all(now >= start + delay for delay, now in log)
            clock.close()

        run(main)

    def test_an_earlier_timer_overtakes_the_one_that_is_armed(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock, done = LoopClock(), asyncio.Event()
            late = clock.call_at(clock.now() + 3600_000 * MS, done.set)
            clock.call_at(clock.now() + MS, done.set)
            await asyncio.wait_for(done.wait(), 5)
            assert clock.next_deadline() == late.when
            clock.close()

        run(main)

    def test_what_is_put_off_runs_after_the_caller_and_in_the_same_turn(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock, log = LoopClock(), list[str]()

            def outer() -> None:
                clock.call_soon(lambda: log.append("inner"))
                log.append("outer")

            clock.call_soon(outer)
            log.append("caller")
            await asyncio.sleep(0)
            assert log == ["caller", "outer", "inner"]
            clock.close()

        run(main)

    def test_the_loop_gets_its_turn_between_bursts(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock = LoopClock()
            ran = 0

            def again() -> None:
                nonlocal ran
                ran += 1
                clock.call_soon(again)

            clock.call_soon(again)
            for _ in range(10):
                before = ran
                await asyncio.sleep(0)
                assert ran - before <= 100
            assert ran > 100
            clock.close()

        run(main)

    def test_it_moves_to_another_loop_with_what_has_a_time(self, run: Callable[[Main], Any]) -> None:
        first = EventLoop()
        clock, log = LoopClock(first), list[str]()
        clock.call_soon(lambda: log.append("soon"))
        clock.call_at(clock.now() + 30 * MS, lambda: log.append("later"))
        clock.call_at(clock.now() + 3600_000 * MS, lambda: log.append("late"))

        async def main() -> None:
            before = clock.now()
            clock.move_to(asyncio.get_running_loop())
            assert clock.loop is asyncio.get_running_loop()
            assert before <= clock.now() < before + 1000 * MS
            await asyncio.sleep(0.001)
            assert log == ["soon"]
            await asyncio.sleep(0.04)
            assert log == ["soon", "later"]

        run(main)
        first.run_until_complete(asyncio.sleep(0))
        assert log == ["soon", "later"]
        first.close()
        clock.close()

    def test_an_exception_goes_to_the_loop_and_the_rest_still_runs(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            caught: list[dict[str, Any]] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: caught.append(context))
            clock, done = LoopClock(), asyncio.Event()
            clock.call_soon({}.popitem)
            clock.call_soon(done.set)
            await asyncio.wait_for(done.wait(), 5)
            assert [type(context["exception"]) for context in caught] == [KeyError]
            clock.close()

        run(main)

    def test_after_close_nothing_runs(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock = LoopClock()
            clock.call_soon(lambda: pytest.fail("ran after close"))
            clock.close()
            clock.call_soon(lambda: pytest.fail("ran after close"))
            await asyncio.sleep(0.002)

        run(main)

    def test_cancelled_timers_let_the_loop_sleep(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock = LoopClock()
            clock.call_at(clock.now() + MS, lambda: pytest.fail("was cancelled")).cancel()
            await asyncio.sleep(0.003)
            clock.close()

        run(main)

    def test_timers_run_in_the_context_of_the_clock_not_of_the_caller(self, run: Callable[[Main], Any]) -> None:
        host = contextvars.ContextVar("host", default="none")

        async def main() -> None:
            clock, done = LoopClock(), asyncio.Event()
            seen: list[str] = []
            host.set("client")
            clock.call_soon(lambda: seen.append(host.get()))
            clock.call_soon(done.set)
            await asyncio.wait_for(done.wait(), 5)
            assert seen == ["none"]
            clock.close()

        run(main)

    def test_timers_can_be_run_by_hand(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock, log = LoopClock(), list[str]()
            clock.call_soon(lambda: log.append("by hand"))
            clock.call_at(clock.now() + 10 * MS, lambda: log.append("by the loop"))
            assert clock.run_timers(clock.now()) == 1
            await asyncio.sleep(0.05)
            assert log == ["by hand", "by the loop"]
            clock.close()

        run(main)

    def test_it_needs_a_loop(self) -> None:
        with pytest.raises(RuntimeError):
            LoopClock()


class TestVirtualTimeLoop:
    def test_sleeping_an_hour_takes_no_time(self) -> None:
        async def main() -> float:
            await asyncio.sleep(3600)
            return asyncio.get_running_loop().time()

        begin = time.monotonic()
        assert run_virtual(main) == 3600.0
        assert time.monotonic() - begin < 60

    def test_time_stands_still_while_anything_is_ready(self) -> None:
        async def main() -> float:
            for _ in range(1000):
                await asyncio.sleep(0)
            return asyncio.get_running_loop().time()

        assert run_virtual(main) == 0.0

    def test_two_runs_have_the_same_timeline(self) -> None:
        async def main() -> list[tuple[str, float]]:
            source, loop = random.Random(5), asyncio.get_running_loop()
            log: list[tuple[str, float]] = []

            async def walk(name: str) -> None:
                for _ in range(50):
                    await asyncio.sleep(source.expovariate(10))
                    log.append((name, loop.time()))

            await asyncio.gather(*(walk(name) for name in "abcde"))
            return log

        first, second = run_virtual(main), run_virtual(main)
        assert first == second
        assert len(first) == 250

    def test_the_clock_on_it_is_exact_even_after_years(self) -> None:
        async def main() -> None:
            clock, loop = LoopClock(), asyncio.get_running_loop()
            log: list[tuple[int, int]] = []
            for days in (0, 1, 200, 4000):
                await asyncio.sleep(days * 86400 - loop.time())
                for delay in range(1, 50):
                    when = clock.now() + delay * 1_000_003
                    clock.call_at(when, partial(note, clock, log, when))
                await asyncio.sleep(1)
            assert [now - when for when, now in log] == [0] * 4 * 49
            clock.close()

        run_virtual(main)

    def test_a_dead_end_is_an_error_that_names_who_waits(self) -> None:
        async def main() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.set_name("reader")
            await asyncio.sleep(2.5)
            await asyncio.Event().wait()

        report = r"(?s)nothing can ever happen at 2\.5 s.*1 tasks wait:\n  reader: test_clock.py:\d+ in main > .* wait"
        with pytest.raises(RuntimeError, match=report):
            run_virtual(main)

    def test_time_stands_still_while_a_thread_works(self) -> None:
        async def main() -> tuple[bool, float]:
            loop, go = asyncio.get_running_loop(), threading.Event()
            work = loop.run_in_executor(None, go.wait, 60)
            alarm = threading.Timer(0.02, go.set)
            alarm.start()
            async with asyncio.timeout(1):
                try:
                    return await work, loop.time()
                finally:
                    alarm.join()

        assert run_virtual(main) == (True, 0.0)

    def test_file_descriptors_can_wake_it(self) -> None:
        if sys.platform == "win32":
            pytest.skip("select() takes only sockets on Windows")

        async def main() -> bytes:
            loop = asyncio.get_running_loop()
            come, (reader, writer) = asyncio.Event(), os.pipe()
            loop.add_reader(reader, come.set)
            timer = threading.Timer(0.01, os.write, (writer, b"real"))
            timer.start()
            try:
                await come.wait()
                return os.read(reader, 9)
            finally:
                timer.join()
                loop.remove_reader(reader)
                os.close(reader)
                os.close(writer)

        assert run_virtual(main) == b"real"
