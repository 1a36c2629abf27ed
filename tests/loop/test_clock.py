"""The clock over an event loop, stock asyncio's, uvloop's and ours; and our loop's own clocks."""

import asyncio
import contextlib
import contextvars
import gc
import os
import random
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

import pytest

from aionetflow import EventLoop
from aionetflow import run as run_on_ours
from aionetflow.clock import Due
from aionetflow.loop.clock import ManualTime
from aionetflow.network.clock import LoopClock

MS = 1_000_000
not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="select() takes only sockets on Windows")
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

    def test_what_falls_due_in_the_course_of_a_turn_waits_until_the_next_turns_work_is_done(self) -> None:
        async def main(unit: int) -> list[str]:
            clock, log = LoopClock(), list[str]()
            loop = asyncio.get_running_loop()
            start = clock.now()

            def work_until(when: int, name: str, then: Callable[[], object]) -> None:
                if clock.now() >= start + 8 * unit:
                    log.append("the machine stood still")
                while clock.now() <= when:
                    pass
                log.append(name)
                then()

            # The first timer is due when the second turn begins, the second timer in its course. What is ready in a
            # turn runs before the timers, in the third turn too.
            clock.call_at(start + unit, lambda: log.append("first timer"))
            clock.call_at(start + 8 * unit, lambda: log.append("second timer"))
            third = partial(log.append, "third turn")
            second = partial(work_until, start + 9 * unit, "second turn", partial(loop.call_soon, third))
            loop.call_soon(work_until, start + unit, "first turn", partial(loop.call_soon, second))
            over = asyncio.Event()
            clock.call_at(start + 10 * unit, over.set)
            await over.wait()
            clock.close()
            return log

        logs = (run_on_ours(main(unit)) for unit in (MS, 4 * MS, 16 * MS, 64 * MS))
        log = next(log for log in logs if "the machine stood still" not in log)
        assert log == ["first turn", "second turn", "first timer", "third turn", "second timer"]

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

    def test_what_is_posted_while_it_is_held_runs_with_the_last_release(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock, log = LoopClock(), list[str]()
            frames = Due(lambda: log.append("frames"))
            clock.hold()
            clock.hold()
            clock.post(frames)
            clock.call_soon(lambda: log.append("timer"))
            clock.release()
            assert log == []
            clock.release()
            assert log == ["frames", "timer"]
            clock.hold()
            clock.release()
            clock.post(frames)
            assert log == ["frames", "timer"]  # nobody holds it: in the loop's next turn
            await asyncio.sleep(0)
            assert log == ["frames", "timer", "frames"]
            clock.close()

        run(main)

    def test_time_stands_still_while_it_is_held(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock = LoopClock()
            clock.hold()
            begin, end = clock.now(), monotonic_ns() + 100_000
            while monotonic_ns() < end:
                assert clock.now() == begin
            clock.release()
            assert clock.now() >= begin
            clock.close()

        run(main)

    def test_a_timer_set_while_it_is_held_runs_when_it_is_due(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock, done = LoopClock(), asyncio.Event()
            clock.hold()
            clock.call_at(clock.now() + MS, done.set)
            clock.release()
            await asyncio.wait_for(done.wait(), 5)
            clock.close()

        run(main)

    def test_a_release_runs_a_burst_and_leaves_the_rest_to_later_turns(self, run: Callable[[Main], Any]) -> None:
        async def main() -> None:
            clock = LoopClock()
            ran = 0

            def again() -> None:
                nonlocal ran
                ran += 1
                clock.post(due)

            due = Due(again)
            clock.hold()
            clock.post(due)
            clock.release()
            assert 0 < ran <= 100
            for _ in range(10):
                before = ran
                await asyncio.sleep(0)
                assert 0 < ran - before <= 100
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


class TestVirtualTime:
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

    def test_every_positive_sleep_moves_it_even_after_years(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            for years in (0, 1, 50):
                await asyncio.sleep(years * 365 * 86400)
                before = loop.time_ns()
                await asyncio.sleep(1e-12)
                assert loop.time_ns() == before + 1

        run_virtual(main)

    def test_whoever_waits_for_a_time_reaches_it(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            for start in (0.1, 1e8):
                await asyncio.sleep(start)
                end = loop.time() + 0.2
                while loop.time() < end:
                    reached = loop.create_future()
                    loop.call_at(end, reached.set_result, None)
                    await reached
                assert loop.time() - end < 1e-6

        run_virtual(main)

    def test_a_timeout_and_what_is_due_at_its_very_time(self) -> None:
        async def main() -> float:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await asyncio.sleep(1)
            return asyncio.get_running_loop().time()

        assert run_virtual(main) == 0.3

    @not_on_windows
    def test_time_stands_still_while_a_subprocess_runs(self) -> None:
        async def main() -> tuple[int, float]:
            async with asyncio.timeout(0.001):
                process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(0.05)")
                return await process.wait(), asyncio.get_running_loop().time()

        assert run_virtual(main) == (0, 0.0)

    def test_time_goes_on_when_a_subprocess_could_not_be_started(self) -> None:
        async def main() -> float:
            with pytest.raises(OSError):
                await asyncio.create_subprocess_exec("/no/such/program")
            await asyncio.sleep(5)
            return asyncio.get_running_loop().time()

        assert run_virtual(main) == 5.0

    @not_on_windows
    def test_time_stands_still_while_a_descriptor_is_watched(self) -> None:
        async def main() -> tuple[bytes, float]:
            loop = asyncio.get_running_loop()
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                timer = threading.Timer(0.02, theirs.send, (b"real",))
                timer.start()
                async with asyncio.timeout(0.001):
                    data = await loop.sock_recv(ours, 9)
                timer.join()
            at = loop.time()
            await asyncio.sleep(5)
            assert loop.time() == at + 5
            return data, at

        assert run_virtual(main) == (b"real", 0.0)

    def test_a_listening_socket_does_not_hold_time_but_is_waited_for(self, tmp_path: Path) -> None:
        path = str(tmp_path / "socket")

        def call() -> None:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)

        async def main() -> float:
            called = asyncio.Event()

            def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                called.set()
                writer.close()

            server = await asyncio.start_unix_server(serve, path)
            loop = asyncio.get_running_loop()
            await asyncio.sleep(3600)
            assert loop.time() == 3600
            caller = threading.Timer(0.02, call)
            caller.start()
            await called.wait()
            caller.join()
            server.close()
            await server.wait_closed()
            await asyncio.sleep(0)
            return loop.time()

        assert run_virtual(main) == 3600

    def test_a_hold_of_anybody_holds_time_until_it_is_released_from_any_thread(self) -> None:
        async def main() -> float:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            hold = loop.clock.hold()
            done: list[float] = []

            def release() -> None:
                done.append(loop.time())
                hold.release()

            alarm = threading.Timer(0.02, release)
            alarm.start()
            await asyncio.sleep(5)
            alarm.join()
            assert done == [0.0]
            hold.release()
            return loop.time()

        assert run_virtual(main) == 5.0

    def test_signals_and_threads_are_heard_while_time_jumps_for_ever(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            heard = asyncio.Event()
            thread = threading.Timer(0.01, loop.call_soon_threadsafe, (heard.set,))
            thread.start()
            if sys.platform != "win32":
                loop.add_signal_handler(signal.SIGUSR1, heard.set)
                os.kill(os.getpid(), signal.SIGUSR1)
            while not heard.is_set():  # noqa: ASYNC110 -- time is to jump meanwhile
                await asyncio.sleep(1)
            thread.join()

        run_virtual(main)

    def test_the_executor_is_shut_down_on_real_time(self) -> None:
        async def main() -> float:
            go = threading.Event()
            work = asyncio.get_running_loop().run_in_executor(None, go.wait, 60)
            work.cancel()  # nobody waits for it, but the thread is there
            threading.Timer(0.02, go.set).start()
            await asyncio.sleep(1)
            return asyncio.get_running_loop().time()

        with asyncio.Runner(loop_factory=partial(EventLoop, time="virtual")) as runner:
            assert runner.run(main()) == 1.0
            runner.get_loop().run_until_complete(runner.get_loop().shutdown_default_executor())
            assert runner.get_loop().time() == 1.0

    def test_the_report_names_places_what_is_awaited_and_sockets(self) -> None:
        async def inner() -> None:
            await asyncio.get_running_loop().create_future()

        async def outer() -> None:
            await inner()

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            listener = loop.networks[0].localhost.socket()
            listener.bind(("127.0.0.1", 80))
            listener.listen()
            await asyncio.wait([asyncio.create_task(outer(), name=f"waiter {n}") for n in range(30)])

        with pytest.raises(RuntimeError) as caught:
            run_virtual(main)
        text = str(caught.value)
        assert "these 31 tasks wait" in text
        assert re.search(r"waiter 0: test_clock\.py:\d+ in outer > test_clock\.py:\d+ in inner, awaits <Future", text)
        assert "... and 11 more" in text
        assert re.search(r"LISTEN .* 127\.0\.0\.1:80 ", text)

    def test_a_task_that_does_not_end_when_cancelled_does_not_mask_the_report(self) -> None:
        async def stubborn() -> None:
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.get_running_loop().create_future()

        async def main() -> None:
            task = asyncio.create_task(stubborn(), name="stubborn")
            await asyncio.sleep(1)
            await task

        def run_quietly() -> None:
            with asyncio.Runner(loop_factory=partial(EventLoop, time="virtual")) as runner:
                runner.get_loop().set_exception_handler(lambda _, context: None)  # the task is lost, and says so
                runner.run(main())

        with pytest.raises(RuntimeError, match=r"nothing can ever happen at 1\.0 s") as caught:
            run_quietly()
        assert caught.value.__context__ is None
        del caught
        gc.collect()

    def test_after_a_dead_end_what_is_cancelled_may_still_take_its_time(self) -> None:
        log: list[float] = []

        async def main() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(3)
                log.append(asyncio.get_running_loop().time())

        with pytest.raises(RuntimeError, match="nothing can ever happen at"):
            run_virtual(main)
        assert log == [3.0]


class TestManualTime:
    def test_each_timer_runs_at_its_own_time_also_those_that_are_added(self) -> None:
        log: list[float] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            assert isinstance(loop.clock, ManualTime)

            def again() -> None:
                log.append(loop.time())
                loop.call_later(1.5, again)

            loop.call_later(1, again)
            loop.call_soon(log.append, -1.0)
            await loop.clock.advance(5)
            assert loop.time() == 5.0
            loop.clock.advance(1)
            await loop.clock.advance(0.5)
            assert loop.time() == 6.5

        run_on_ours(main(), time="manual")
        assert log == [-1.0, 1.0, 2.5, 4.0, 5.5]

    def test_what_is_due_has_run_to_its_end_when_the_time_is_reached(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            assert isinstance(loop.clock, ManualTime)
            log: list[str] = []

            async def sleeper() -> None:
                await asyncio.sleep(2)
                for _ in range(10):
                    await asyncio.sleep(0)
                log.append("done")

            task = asyncio.create_task(sleeper())
            await loop.clock.advance(2)
            assert log == ["done"]
            await task

        run_on_ours(main(), time="manual")

    def test_one_need_not_wait_for_it(self) -> None:
        async def main() -> float:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, EventLoop)
            assert isinstance(loop.clock, ManualTime)
            loop.clock.advance(10)
            await asyncio.sleep(4)
            return loop.time()

        assert run_on_ours(main(), time="manual") == 4.0

    @pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), -float("inf")])
    def test_time_does_not_go_back_or_for_ever(self, seconds: float) -> None:
        loop = EventLoop(time="manual")
        assert isinstance(loop.clock, ManualTime)
        with pytest.raises(ValueError, match="finite and not negative"):
            loop.clock.advance(seconds)
        loop.close()

    def test_nobody_who_moves_it_is_a_dead_end(self) -> None:
        async def main() -> None:
            await asyncio.sleep(1)

        with pytest.raises(RuntimeError, match="nobody moves the clock"):
            run_on_ours(main(), time="manual")


class TestStdlibTime:
    """Libraries that keep connections read time.monotonic() to know when those are too old."""

    def test_an_expiry_read_from_the_time_module_follows_the_loop(self) -> None:
        async def main() -> tuple[bool, float, float, int]:
            expires, begin = time.monotonic() + 5, time.time()
            assert abs(begin - wall) < 60
            await asyncio.sleep(3600)
            return time.monotonic() > expires, time.time() - begin, time.perf_counter(), time.monotonic_ns()

        wall = time.time()
        assert run_on_ours(main(), time="virtual", patch_time=True) == (True, 3600.0, 3600.0, 3600 * 10**9)

    def test_without_it_the_time_module_is_left_alone(self) -> None:
        async def main() -> bool:
            await asyncio.sleep(3600)
            return time.monotonic is real

        real = time.monotonic
        assert run_on_ours(main(), time="virtual")

    def test_it_is_restored_whatever_happens(self) -> None:
        async def main() -> None:
            assert time.monotonic is not before[0]
            raise KeyboardInterrupt

        before = (time.monotonic, time.time, time.perf_counter_ns)
        with pytest.raises(KeyboardInterrupt):
            run_on_ours(main(), time="virtual", patch_time=True)
        assert (time.monotonic, time.time, time.perf_counter_ns) == before

    def test_other_threads_keep_the_real_time(self) -> None:
        async def main() -> tuple[float, float]:
            return await asyncio.to_thread(time.monotonic), time.monotonic()

        begin = time.monotonic()
        elsewhere, here = run_on_ours(main(), time="manual", patch_time=True)
        assert begin <= elsewhere <= time.monotonic()
        assert here == 0.0
