"""The demo as a program: its arguments, its exit status, what it prints and what it captures."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import support.pure.sitecustomize as pure
from aionetflow.cli.main import main
from support.build import COMPILED, only_on_the_fastest_build, package_folder

SMALL = ("--size", "64K", "--loss", "0.03")
HALF = ("--size", "512K")


def demo(*arguments: str, env: dict[str, str] | None = None, python: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the demo in a process of its own; python is code to run first."""
    code = f"import sys\n{python}\nfrom aionetflow.cli.main import main\nsys.exit(main())"
    command = [sys.executable, "-c", code, "demo", *arguments]
    env = {**environment(), **(env or {})}
    return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", env=env)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": with_path(str(package_folder().parent))}


def with_path(folder: str) -> str:
    rest = os.environ.get("PYTHONPATH")
    return rest + os.pathsep + folder if rest else folder


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return Lines(capsys)


class Lines:
    """Runs the demo here, and gives what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> list[str]:
        assert main(["demo", *arguments]) == status
        printed = self._capsys.readouterr()
        assert printed.err == ""
        return printed.out.splitlines()

    def summary(self, *arguments: str, status: int = 0) -> dict[str, str]:
        """The summary's rows by name."""
        rows = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in self("--quiet", *arguments, status=status))
        return {row[0]: row[1] for row in rows if len(row) == 2}

    def fails(self, *arguments: str) -> str:
        """The complaint about the arguments."""
        try:
            status = main(["demo", *arguments])
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        printed = self._capsys.readouterr()
        assert (status, printed.out, printed.err.count("\n")) == (2, "", 1)
        return printed.err


# ---- what it prints


def test_the_default_page_arrives_byte_exact_although_frames_are_lost(lines: Lines) -> None:
    rows = lines.summary()
    assert rows["page"] == "1 MiB (1048576 octets), byte-exact"
    assert int(rows["retransmissions"].split()[0]) >= 1
    assert re.fullmatch("[0-9a-f]{64}", rows["SHA-256"])
    assert 0 < float(rows["goodput"].split()[0]) < 10


def test_the_default_story_fits_a_screen_and_a_half(lines: Lines) -> None:
    told = lines()
    assert 60 <= len(told) <= 110
    assert max(map(len, told)) <= 110


def test_the_same_seed_gives_the_same_lines_in_any_process() -> None:
    first, second = (demo(*SMALL, env={"PYTHONHASHSEED": number}) for number in "12")
    assert first.stdout == second.stdout
    assert (first.returncode, first.stderr) == (second.returncode, second.stderr) == (0, "")
    assert "AGAIN" in first.stdout


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled here, or this run is pure")
def test_the_pure_build_and_the_compiled_one_give_the_same_lines() -> None:
    plain = {"AIONETFLOW_PURE": "1", "PYTHONPATH": with_path(str(Path(pure.__file__).parent))}
    plain["PYTHONPATH"] += os.pathsep + str(package_folder().parent)
    compiled, slow = demo(), demo(env=plain)
    assert compiled.stdout == slow.stdout
    assert compiled.returncode == slow.returncode == 0


def test_quiet_says_no_more_and_nothing_else_than_the_summary(lines: Lines) -> None:
    told, quiet = lines(*SMALL), lines("--quiet", *SMALL)
    assert told[-len(quiet) :] == quiet
    assert len(told) > 3 * len(quiet)


# ---- options


def test_seed_changes_page_and_fate(lines: Lines) -> None:
    first, second = lines.summary("--seed", "1", *SMALL), lines.summary("--seed", "2", *SMALL)
    assert first["SHA-256"] != second["SHA-256"]
    assert first["virtual time"] != second["virtual time"]


def test_without_loss_nothing_is_sent_again(lines: Lines) -> None:
    rows = lines.summary("--loss", "0", "--size", "300K")
    assert rows["lost frames"].startswith("0 of ")
    assert rows["retransmissions"].startswith("0 ")


def test_loss_may_be_given_in_percent(lines: Lines) -> None:
    assert lines("--loss", "3%", "--size", "64K") == lines(*SMALL)


def test_delay_is_that_of_every_round_trip(lines: Lines) -> None:
    quick, slow = (
        float(lines.summary("--loss", "0", "--size", "0", "--delay", delay)["virtual time"].split()[0])
        for delay in ("10ms", "0.110")
    )
    # ARP beyond the lossy link, the handshake, the request: 6 ways, whose time is nearly all delay.
    assert slow - quick == pytest.approx(0.6, abs=0.001)


def test_rate_bounds_the_goodput(lines: Lines) -> None:
    rows = lines.summary("--loss", "0", "--rate", "1M", "--size", "500K")
    assert 0.85 < float(rows["goodput"].split()[0]) < 1.0
    assert rows["goodput"].endswith("over a link of 1 Mbit/s")


@pytest.mark.parametrize(("mtu", "mss"), [("576", 524), ("9000", 8948)])
def test_mtu_decides_the_segment_size(lines: Lines, mtu: str, mss: int) -> None:
    told = lines("--mtu", mtu, "--size", "64K")
    assert any(f"segments of at most {mss + 12} octets" in line for line in told)
    assert max(int(size) for line in told for size in re.findall(r"len (\d+)", line)) == mss


@pytest.mark.parametrize("mtu", ["68", "65535"])
def test_the_smallest_and_the_largest_mtu_work(lines: Lines, mtu: str) -> None:
    assert "byte-exact" in lines.summary("--mtu", mtu, "--size", "3000")["page"]


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("0", "0 B (0 octets)"), ("1", "1 B (1 octets)"), ("64KiB", "64 KiB (65536 octets)"),
        ("0.5M", "512 KiB (524288 octets)"), ("3kB", "3000 B (3000 octets)"),
    ],
)  # fmt: skip
def test_size_is_that_of_the_page(lines: Lines, text: str, page: str) -> None:
    assert lines.summary("--size", text)["page"] == f"{page}, byte-exact"


@pytest.mark.parametrize(
    "arguments",
    [
        "--loss 3", "--loss -0.1", "--loss nan", "--loss 101%", "--loss", "--delay 2", "--delay 20min", "--rate 0",
        "--rate 10Mb", "--rate inf", "--mtu 67", "--mtu 65536", "--mtu 1500.5", "--size -1", "--size 2G",
        "--size 0.3", "--seed x", "--seed 1.5", "--seed 0x10", "--bogus", "surplus",
    ],
)  # fmt: skip
def test_a_bad_value_is_a_line_on_stderr_and_status_2(lines: Lines, arguments: str) -> None:
    complaint = lines.fails(*arguments.split())
    assert complaint.startswith("python -m aionetflow")
    assert arguments.split(maxsplit=1)[0] in complaint


def test_a_command_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert capsys.readouterr().err.count("\n") == 1


def test_the_help_names_every_option_and_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["demo", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option in ("--pcap", "--seed", "--loss", "--delay", "--rate", "--mtu", "--size", "--quiet"):
        assert option in text
    for unit in ("seconds", "bits per second", "octets"):
        assert unit in text


# ---- what goes wrong


@pytest.mark.parametrize("name", ["missing/x.pcapng", "."])
def test_a_capture_that_cannot_be_written_is_a_bad_value(lines: Lines, tmp_path: Path, name: str) -> None:
    assert "--pcap" in lines.fails("--pcap", str(tmp_path / name))


def test_a_page_that_does_not_arrive_is_status_1(lines: Lines) -> None:
    page = lines.summary("--loss", "1", status=1)["page"]
    assert page.endswith("NOT WHOLE, 0 octets came: [Errno 113] No route to host")


def test_a_page_that_takes_too_long_is_status_1(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aionetflow.cli.demo.Settings.time_limit", 1.0)
    rows = lines.summary("--rate", "1M", status=1)
    assert rows["page"].endswith("octets came: not there after 1 s of virtual time")
    assert rows["virtual time"].startswith("1.000000 s ")


@pytest.mark.parametrize("missing", ["h11", "rich"])
def test_a_missing_library_is_named_with_the_cure(missing: str) -> None:
    ended = demo(python=f"sys.modules[{missing!r}] = None")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "pip install aionetflow[demo]" in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")
class TestUnix:
    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "aionetflow", "demo", "--size", "64M"]
        # a shell's job in the background ignores SIGINT, and so would what it starts
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        finally:
            signal.signal(signal.SIGINT, before)

    def test_ctrl_c_is_status_130_and_no_traceback(self) -> None:
        with self.start() as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate()
        assert (process.returncode, err) == (130, b"")

    def test_a_pipe_closed_early_ends_it_without_a_word(self) -> None:
        with self.start() as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
    def test_a_full_disk_is_said_in_one_line(self) -> None:
        command = [sys.executable, "-m", "aionetflow", "demo", *SMALL]
        with open("/dev/full", "w") as full:
            ended = subprocess.run(
                command, check=False, stdout=full, stderr=subprocess.PIPE, env=environment(), text=True
            )  # fmt: skip
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "No space left on device" in ended.stderr

    def test_a_terminal_gets_colour_a_bar_and_the_cpu_time(self) -> None:
        pty = pytest.importorskip("pty")
        ours, theirs = pty.openpty()
        env = {**environment(), "TERM": "xterm-256color", "COLUMNS": "120"}
        env.pop("NO_COLOR", None)
        command = [sys.executable, "-m", "aionetflow", "demo", "--size", "20K"]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=env):
            os.close(theirs)
            text = read_all(ours).decode()
        assert "\x1b[" in text
        assert "page" in text
        assert "━" in text
        assert re.search(r"\d s of CPU time", text)
        assert "byte-exact" in text


def read_all(descriptor: int) -> bytes:
    """What a terminal shows until it is hung up."""
    read = b""
    try:
        while piece := os.read(descriptor, 65536):
            read += piece
    except OSError:  # Linux: EIO when the other end is gone
        pass
    os.close(descriptor)
    return read


# ---- the capture

FIELDS = (
    "frame.number", "ip.src", "tcp.seq_raw", "frame.comment", "ip.checksum.status", "tcp.checksum.status",
    "_ws.malformed", "tcp.analysis.retransmission", "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission", "tcp.analysis.out_of_order",
)  # fmt: skip
CHECKS = ("ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE")
# A capture that holds a lost segment and the one sent in its place makes tshark say "new fragment overlaps old data",
# if what it puts together was complete before the second. Only headers and checksums are looked at here.
NOT_PUT_TOGETHER = "tcp.desegment_tcp_streams:FALSE"


def dissect(path: Path, *preferences: str) -> list[dict[str, str]]:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    command = [tshark, "-r", str(path), "-T", "fields", "-E", "separator=/t"]
    command += [word for preference in (*CHECKS, *preferences) for word in ("-o", preference)]
    command += [word for field in FIELDS for word in ("-e", field)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in text.splitlines()]


@pytest.mark.parametrize("arguments", [(), ("--seed", "2", *HALF), ("--seed", "7", *HALF), ("--mtu", "576", *HALF)])
@only_on_the_fastest_build
def test_tshark_finds_no_fault_with_the_capture(lines: Lines, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = tmp_path / "demo.pcapng"
    rows = lines.summary("--pcap", str(path), *arguments)
    frames = dissect(path, *([NOT_PUT_TOGETHER] if arguments else []))
    assert len(frames) > 200
    for frame in frames:
        assert frame["_ws.malformed"] == "", frame
        if "corrupted" not in frame["frame.comment"]:
            assert frame["ip.checksum.status"] in ("", "1"), frame
            assert frame["tcp.checksum.status"] in ("", "1"), frame
    fates = [frame["frame.comment"] for frame in frames if frame["frame.comment"]]
    assert rows["lost frames"].startswith(f"{fates.count('lost')} of {len(frames)} ")


@pytest.mark.parametrize("seed", ["", "2", "7", "11", "22"])
@only_on_the_fastest_build
def test_only_what_was_lost_is_sent_again(lines: Lines, tmp_path: Path, seed: str) -> None:
    path = tmp_path / "demo.pcapng"
    lines.summary("--pcap", str(path), *(["--seed", seed, *HALF] if seed else []))
    lost: dict[tuple[str, str], list[str]] = defaultdict(list)
    again = 0
    for frame in dissect(path):
        key = frame["ip.src"], frame["tcp.seq_raw"]
        if any(frame[field] for field in FIELDS if field.startswith("tcp.analysis")):
            again += 1
            assert lost[key], f"frame {frame['frame.number']}: {frame}"
        if set(frame["frame.comment"].split(", ")) & {"lost", "corrupted", "queue full"}:
            lost[key].append(frame["frame.number"])
    assert again


def test_the_capture_changes_nothing_in_the_story(lines: Lines, tmp_path: Path) -> None:
    assert lines(*SMALL, "--pcap", str(tmp_path / "demo.pcapng")) == lines(*SMALL)
