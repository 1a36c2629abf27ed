"""The runner of the conformance tests: what it chooses, what it makes of outcomes, and when it complains."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
from conformance import __main__, report
from conformance.exclusions import Exclusions, excluded
from conformance.outcomes import Outcome, Result, read, short_name
from conformance.run import FileResult, run_file
from conformance.suites import CPYTHON, SUITES, UVLOOP, Suite
from conformance.used import KernelCalls

EXCLUSIONS = Exclusions({"file.*.test_of_the_kernel": "it tests the kernel"}, {})


def judged(test: str, status: Outcome) -> Outcome:
    result = Result(f"file.Class.{test}", status)
    EXCLUSIONS.judge([result])
    return result.status


def test_an_excluded_test_may_fail_and_must() -> None:
    assert judged("test_of_the_kernel", Outcome.FAILED) is Outcome.EXCLUDED
    assert judged("test_of_the_kernel", Outcome.PASSED) is Outcome.SURPRISE
    assert judged("test_of_the_kernel", Outcome.SKIPPED) is Outcome.SKIPPED
    assert judged("test_of_the_network", Outcome.FAILED) is Outcome.FAILED
    assert judged("test_of_the_network", Outcome.PASSED) is Outcome.PASSED


def test_an_exclusion_of_nothing_is_found() -> None:
    assert EXCLUSIONS.unmatched("file", [Result("file.Class.test_other")]) == ["file.*.test_of_the_kernel"]
    assert EXCLUSIONS.unmatched("file", [Result("file.Class.test_of_the_kernel")]) == []
    assert EXCLUSIONS.unmatched("another", []) == []


def test_a_test_that_began_and_did_not_end_has_failed(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    ended = {"test": "a", "status": "passed", "detail": "", "kernel": ["socket.bind ('127.0.0.1', 0)"]}
    lines.write_text("\n".join(json.dumps(line) for line in ({"test": "a"}, ended, {"test": "b"})))
    results = read(lines)
    assert {name: result.status for name, result in results.items()} == {"a": Outcome.PASSED, "b": Outcome.FAILED}
    part = FileResult("suite", "file", list(results.values()), lines)
    assert (part.count(Outcome.PASSED), part.kernel, [result.test for result in part.wrong]) == (1, 1, ["b"])


def test_the_table_has_a_line_for_each_file_and_one_for_all() -> None:
    parts = [FileResult("suite", name, [Result("t", Outcome.PASSED)], Path("log")) for name in ("one", "two")]
    assert [line.split() for line in report.table(parts).splitlines()[1:]] == [
        ["suite", "one", "1", "0", "0", "0", "0", "0", "0"],
        ["suite", "two", "1", "0", "0", "0", "0", "0", "0"],
        ["all", "2", "0", "0", "0", "0", "0", "0"],
    ]
    assert report.wrong(parts) == ""


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_every_exclusion_has_a_reason_and_a_file_that_is_run(suite: Suite) -> None:
    found = [excluded(suite.name, python=f"3.{minor}.0") for minor in range(11, 15)]
    for exclusions in found:
        assert all(len(reason) > 10 for reason in (*exclusions.tests.values(), *exclusions.files.values()))
        assert {pattern.partition(".")[0] for pattern in exclusions.tests} <= suite.files.keys()
        assert not exclusions.files.keys() & suite.files.keys()


def test_an_exclusion_may_be_for_one_version_of_python(tmp_path: Path) -> None:
    source = tmp_path / "list.toml"
    source.write_text('[s.tests]\n"f.a" = "always"\n[s.python."3.12"]\n"f.b" = "there"\n[s.files]\ng = "never run"\n')
    assert excluded("s", source, "3.11.7") == Exclusions({"f.a": "always"}, {"g": "never run"})
    assert excluded("s", source, "3.12.1").reason("f.b") == "there"


def test_the_loops_of_others_are_not_held_against_the_list() -> None:
    assert CPYTHON.takes("test_events", "EPollEventLoopTests.test_close")
    assert not CPYTHON.takes("test_events", "SelectEventLoopTests.test_close")
    assert UVLOOP.takes("test_context", "Test_AIO_Context.test_x")
    assert short_name("tests.test_context.Test_AIO_Context.test_x") == "test_context.Test_AIO_Context.test_x"


@pytest.mark.kernel
def test_calls_on_sockets_of_the_kernel_are_counted_and_unix_sockets_are_not(tmp_path: Path) -> None:
    calls = KernelCalls()
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as sock:
        unix.bind(str(tmp_path / "socket"))
        sock.bind(("127.0.0.1", 0))
    assert calls.take() == ["socket.bind ('127.0.0.1', 0)"]
    assert calls.take() == []


def test_a_choice_of_nothing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["no_such_file"]) == 2
    assert "nothing is called no_such_file" in capsys.readouterr().err
    assert __main__.main(["--list", "cpython*ssl"]) == 0
    assert capsys.readouterr().out == "cpython test_ssl\n"


@pytest.mark.kernel
@pytest.mark.parametrize("loop", ["original", "aionetflow"])
def test_a_file_runs_in_a_process_of_its_own(loop: str) -> None:
    """The smallest: one test, on the kernel and on a virtual network."""
    if not (Path(sys.base_prefix) / f"lib/python3.{sys.version_info[1]}/test/test_asyncio").is_dir():
        pytest.skip("this Python came without its own tests")
    part = run_file(CPYTHON, "test_buffered_proto", loop)
    assert (part.count(Outcome.PASSED), part.count(Outcome.FAILED)) == (1, 0)
    assert (part.kernel, part.virtual) == ((1, 0) if loop == "original" else (0, 1))
