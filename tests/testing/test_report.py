"""What is told of a test that failed on a network, and that the run it tells of can be had again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from aionetflow.link.capture import LINKTYPE_ETHERNET, LINKTYPE_RAW
from aionetflow.testing import report
from support.build import only_on_the_pure_build
from support.netflow import RUNNERS, passes, run_tests, section

pytestmark = only_on_the_pure_build

pytest_plugins = ["pytester"]

FAILS = """
@pytest.mark.netflow(time="virtual", loss=0.2, delay=0.01)
async def test_fails(netflow):
    far = netflow.host("far")
    async def serve():
        async with await asyncio.start_server(lambda reader, writer: writer.close(), "far", 80) as server:
            await server.serve_forever()
    far.spawn(serve(), name="server")
    await asyncio.sleep(1)
    reader, writer = await asyncio.open_connection("far", 80)
    try:
        assert await reader.read() == b"what nobody sends"
    finally:
        writer.close()
"""


@pytest.mark.parametrize("runner", RUNNERS)
def test_seed_command_frames_and_sockets_are_told(pytester: pytest.Pytester, runner: str) -> None:
    told = section(run_tests(pytester, runner, FAILS))
    seed = re.search(r"seed (\d+), virtual time", told)
    assert seed is not None
    assert f"    pytest test_it.py::test_fails --netflow-seed={seed[1]}\n" in told
    assert re.search(r"\n +2\.\d{6}  localhost → lan  TCP 10\.0\.0\.1:\d+ > 10\.0\.0\.2:80 SYN seq \d+ len 0", told)
    assert re.search(r"\n +\d\.\d{6}  .* ARP who has 10\.0\.0\.2\? tell 10\.0\.0\.1", told)
    assert re.search(r"sockets:\n(.*\n)*far +tcp +LISTEN +0 +100 +10\.0\.0\.2:80 .*\"server\"", told)


def test_the_command_runs_it_again_frame_by_frame(pytester: pytest.Pytester) -> None:
    told = section(run_tests(pytester, "alone", FAILS))
    command = shlex.split(next(line for line in told.splitlines() if line.startswith("    pytest ")))
    again = section(run_tests(pytester, "alone", FAILS, *command[1:]))
    assert frames_of(again) == frames_of(told) != []
    other = section(run_tests(pytester, "alone", FAILS, "--netflow-seed=8"))
    assert frames_of(other) != frames_of(told)
    assert "seed 8," in other


def test_the_seed_is_the_tests_own_unless_it_is_given(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
@pytest.mark.netflow
async def test_own(netflow, request):
    seen.append(netflow.seed)

seen = []

@pytest.mark.netflow
async def test_other(netflow):
    assert [netflow.seed] != seen

@pytest.mark.netflow(seed="a word")
async def test_given(netflow):
    assert netflow.seed == "a word"
""")
    passes(result, 3)
    passes(run_tests(pytester, "alone", """
@pytest.mark.netflow(seed=7)
async def test_command_line_goes_first(netflow):
    assert netflow.seed == "a seed"
""", "--netflow-seed=a seed"), 1)  # fmt: skip


@pytest.mark.parametrize("said", ["seed=[3, 5]", "seeds=range(3, 6, 2)"])
@pytest.mark.parametrize("runner", RUNNERS)
def test_many_seeds_make_a_test_of_each(pytester: pytest.Pytester, runner: str, said: str) -> None:
    result = run_tests(pytester, runner, f"""
@pytest.mark.netflow({said}, time="virtual")
async def test_seeds(netflow, request):
    assert netflow.seed in (3, 5)
    assert request.node.name == f"test_seeds[seed{{netflow.seed}}]"
""")
    passes(result, 2)


def test_only_the_last_of_many_frames_are_shown(pytester: pytest.Pytester) -> None:
    told = section(run_tests(pytester, "alone", """
@pytest.mark.netflow(time="virtual")
async def test_talks():
    loop = asyncio.get_running_loop()
    sock, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 99))
    for number in range(100):
        sock.sendto(b"x" * (number + 1), ("127.0.0.1", 99))
        await asyncio.sleep(1)
    sock.close()
    assert False
"""))
    assert re.search(r"the last 30 of 10\d frames:", told)
    assert len(frames_of(told)) == 30
    assert frames_of(told)[-1] == "  99.000000  localhost lo  UDP 127.0.0.1:99 > 127.0.0.1:99 len 100"


def test_doubts_about_the_next_run_are_told(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    told = section(run_tests(pytester, "alone", """
import threading

@pytest.fixture
def workers():
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join()

@pytest.mark.netflow
async def test_it(workers):
    assert False
"""))
    assert "on real time no two runs are the same" in told
    assert "PYTHONHASHSEED is not set" in told
    assert "threads that the test has started: 2" in told


def test_where_nothing_is_in_doubt_no_doubt_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    told = section(run_tests(pytester, "alone", """
@pytest.mark.netflow(time="virtual")
async def test_it():
    assert False
"""))
    assert re.fullmatch(r"seed .*\n    pytest .*\nno frames\nno sockets", told)


def test_a_test_that_passes_says_nothing(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", "@pytest.mark.netflow\nasync def test_it():\n    pass\n", "-rA")
    result.stdout.no_fnmatch_line("*netflow ---*")
    result.stdout.no_fnmatch_line("*seed*")


def test_a_fixture_that_fails_is_reported_too(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
@pytest.fixture
def broken(netflow):
    raise ValueError

@pytest.mark.netflow
async def test_it(broken):
    pass
""")
    result.assert_outcomes(errors=1)
    assert section(result).startswith("seed ")


# ---- captures


def test_a_failed_test_leaves_a_capture_of_all_links(pytester: pytest.Pytester) -> None:
    passing = "\n@pytest.mark.netflow\nasync def test_passes():\n    pass\n"
    told = section(run_tests(pytester, "alone", FAILS + passing, "--netflow-pcap=here/captures"))
    (capture,) = (pytester.path / "here" / "captures").iterdir()
    assert capture.name == report.file_name("test_it.py::test_fails")
    assert f"capture: here/captures/{capture.name}" in told
    linktypes, frames = read_capture(capture)
    assert linktypes == [LINKTYPE_RAW, LINKTYPE_RAW, LINKTYPE_ETHERNET, LINKTYPE_ETHERNET]
    assert len(frames) >= len(frames_of(told)) > 0
    assert 1_000_000_000 <= frames[0] < frames[-1] < 3600_000_000_000  # ns since the test began


def test_a_capture_that_cannot_be_written_is_said(pytester: pytest.Pytester) -> None:
    pytester.makefile("", occupied="a file")
    told = section(run_tests(pytester, "alone", FAILS, "--netflow-pcap=occupied"))
    assert "capture: not written: " in told


def test_a_capture_keeps_the_last_frames_if_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from aionetflow.testing import recording

    monkeypatch.setattr(recording, "_CAPTURED", 10_000)
    recorder = recording.Recorder(capture=True)
    saw = recorder.add(recording.Place("lo", LINKTYPE_RAW, ("lo", "lo")))
    for number in range(100):
        saw(number * 1_000_000_000, True, bytes(800), "")
    lines = recorder.lines(0)
    assert len(lines) == 10
    assert lines[-1] == "  99.000000  lo  800 octets"
    assert recorder.count == 100


def test_file_names_are_short_and_differ() -> None:
    names = {report.file_name(f"test_a.py::test[{case}]") for case in ("a/b", "a_b", "x" * 300, "y" + "x" * 300)}
    assert len(names) == 4
    assert all(len(name) < 200 and "/" not in name for name in names)


def frames_of(told: str) -> list[str]:
    return re.findall(r"^ +\d+\.\d{6}  .*$", told, re.MULTILINE)


def read_capture(path: Path) -> tuple[list[int], list[int]]:
    """Of a pcapng file: the link type of each interface, the time of each frame in ns."""
    data, place = path.read_bytes(), 0
    linktypes, times = [], []
    while place < len(data):
        kind, length = (int.from_bytes(data[place + i : place + i + 4], "little") for i in (0, 4))
        if kind == 1:
            linktypes.append(int.from_bytes(data[place + 8 : place + 10], "little"))
        elif kind == 6:
            high, low = (int.from_bytes(data[place + i : place + i + 4], "little") for i in (12, 16))
            times.append(high << 32 | low)
        place += length
    return linktypes, times


