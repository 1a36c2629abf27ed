"""aionetflow host: two processes on the loopback, joined by a tunnel; what they say, and their exit status."""

from __future__ import annotations

import argparse
import os
import pkgutil
import pty
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.utils import PcapNgReader

from aionetflow.cli.host import address, interface, name
from aionetflow.cli.main import main
from support.build import PURE, package_folder
from support.decode import check_frame

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(PURE, reason="a minute of processes that start: on the compiled build alone"),
]
SIZE = 5 << 20  # octets of the file that is fetched
LONG = 60  # s; nothing here takes as long
ROOT = package_folder().parent
WARNING = "neither private nor authenticated"  # what a tunnel without a key says

LEARNING = ["--name", "web", "--tunnel", "127.0.0.1:0", "--learn"]
HASTY = "from aionetflow.cli import site; site.PATIENCE = 1.0"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
Ends = tuple[list[str], list[str]]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def ends() -> Ends:
    """The options of two ends of a tunnel: those of web, and of client."""
    one, other = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    return (
        ["--name", "web", "--tunnel", one, "--peer", other],
        ["--name", "client", "--tunnel", other, "--peer", one],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is served: a file of some MiB, one in a folder, and one outside that nobody may see."""
    served = tmp_path / "public"
    (served / "sub").mkdir(parents=True)
    (served / "big.iso").write_bytes(os.urandom(SIZE))
    (served / "sub" / "note.txt").write_text("a note\n")
    (tmp_path / "secret").write_text("nobody may see this\n")
    return served


def command(options: list[str], *words: str, before: str = "") -> list[str]:
    code = f"import sys\n{before}\nfrom aionetflow.cli.main import main\nsys.exit(main())"
    return [sys.executable, "-c", code, "host", *options, *words]


def run(
    options: list[str], *words: str, given: bytes = b"", cwd: Path | None = None, before: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command to its end."""
    line = command(options, *words, before=before)
    return subprocess.run(
        line, input=given, capture_output=True, timeout=LONG, cwd=cwd, env=ENVIRONMENT, check=False
    )  # fmt: skip


def said(result: subprocess.CompletedProcess[bytes]) -> list[str]:
    """What it has said on standard error, but for the warning of the tunnel."""
    return [line for line in result.stderr.decode().splitlines() if WARNING not in line]


class Running:
    """A command in a process of its own, which has said that it is ready."""

    def __init__(self, process: subprocess.Popen[bytes], ready: str) -> None:
        self.process = process
        assert process.stderr is not None
        self.lines: list[str] = []
        for line in process.stderr:
            self.lines.append(line.decode().rstrip())
            if ready in self.lines[-1]:
                return
        raise AssertionError(self.lines)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(LONG)


@contextmanager
def running(options: list[str], *words: str, ready: str, given: Path | None = None) -> Iterator[Running]:
    """Such a process, until the end of the context at the latest; its input is a file, or a pipe that stays open."""
    with (
        given.open("rb") if given is not None else nullcontext(subprocess.PIPE) as source,
        subprocess.Popen(
            command(options, *words), stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        ) as process,
    ):
        try:
            yield Running(process, ready)
        finally:
            process.kill()


@pytest.fixture
def served(ends: Ends, folder: Path) -> Iterator[Running]:
    """The folder, offered by web at the other end."""
    with running(ends[0], "serve", str(folder), ready="serving") as server:
        yield server


# ---- files


def asked(options: list[str], request: str) -> bytes:
    """What web answers to a request that is typed."""
    with subprocess.Popen(
        command(options, "nc", "web", "80"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as client:  # fmt: skip
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(request.encode())
        client.stdin.flush()  # and stays open: aiohttp takes the end of a request's stream for that of the answer
        answer = b""
        while not is_whole(answer) and (piece := os.read(client.stdout.fileno(), 65536)):
            answer += piece
        client.stdin.close()
    return answer


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    return bool(end) and length is not None and len(body) == int(length[1])


def test_a_file_arrives_whole_and_the_capture_shows_how(
    ends: Ends, folder: Path, served: Running, tmp_path: Path
) -> None:
    result = run([*ends[1], "--pcap", "way.pcapng"], "get", "http://web/big.iso", cwd=tmp_path)
    assert (result.returncode, result.stdout, said(result)) == (0, b"", [])
    assert (tmp_path / "big.iso").read_bytes() == (folder / "big.iso").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.iso", "public", "secret", "way.pcapng"]
    with PcapNgReader(str(tmp_path / "way.pcapng")) as capture:
        frames = list(capture)
    for frame in frames:
        check_frame(bytes(frame))
    carried = sum(frame[IP].len - 40 for frame in frames if TCP in frame and frame[TCP].sport == 80)
    assert carried >= SIZE


def test_a_file_goes_where_it_is_told(ends: Ends, served: Running, tmp_path: Path) -> None:
    result = run(ends[1], "get", "http://web/sub/note.txt", "-o", str(tmp_path / "other"))
    assert (result.returncode, said(result)) == (0, [])
    assert (tmp_path / "other").read_text() == "a note\n"
    assert run(ends[1], "get", "http://web/sub/note.txt", "-o", "-").stdout == b"a note\n"
    listing = run(ends[1], "get", "http://WEB.local/", "-o", "-").stdout
    assert re.findall(rb'href="([^"]*)"', listing) == [b"/big.iso", b"/sub"]


def test_a_terminal_shows_how_far_it_is(ends: Ends, served: Running, tmp_path: Path) -> None:
    terminal, line = pty.openpty()
    with subprocess.Popen(
        command(ends[1], "get", "http://web/big.iso"), stderr=line, cwd=tmp_path,
        env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "80"},
    ) as client:  # fmt: skip
        os.close(line)
        shown = b""
        with suppress(OSError):  # EIO: nobody has the terminal any more
            while piece := os.read(terminal, 65536):
                shown += piece
    os.close(terminal)
    assert client.returncode == 0
    assert b"5.0/5.0 MiB" in shown


def test_nothing_outside_of_the_folder_is_shown_and_a_part_of_a_file_can_be_asked_for(
    ends: Ends, folder: Path, served: Running
) -> None:
    for path in ("/../secret", "/%2e%2e/secret", "/sub/../../secret", "//secret"):
        request = f"GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
        answer = asked(ends[1], request)
        assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 403")), path
        assert b"nobody may see this" not in answer
    request = "GET /big.iso HTTP/1.1\r\nHost: web\r\nRange: bytes=1000-1009\r\nConnection: close\r\n\r\n"
    answer = asked(ends[1], request)
    assert answer.startswith(b"HTTP/1.1 206")
    assert answer.endswith(b"\r\n\r\n" + (folder / "big.iso").read_bytes()[1000:1010])


def test_a_peer_need_not_be_named_where_it_is_learned(ends: Ends, folder: Path) -> None:
    learning = [*ends[0][:4], "--learn", "--vni", "7", "--address", "10.0.3.4/16"]
    with running(learning, "serve", "--port", "8080", str(folder), ready="serving") as server:
        assert server.lines[-1].endswith(" at http://web:8080/ (10.0.3.4 and fd61:696f:6e66:0:5300:4b72:e7:63c5)")
        result = run([*ends[1], "--vni", "7"], "get", "http://web:8080/sub/note.txt", "-o", "-")
        assert (result.returncode, result.stdout) == (0, b"a note\n")


# ---- a connection by hand, ping, bench


def test_what_is_typed_goes_there_and_back_each_way_to_its_own_end(ends: Ends, tmp_path: Path) -> None:
    there, back = os.urandom(300_000), os.urandom(200_000)
    (tmp_path / "back").write_bytes(back)
    with running(ends[0], "nc", "-l", "9000", ready="waits at port 9000", given=tmp_path / "back") as server:
        result = run(ends[1], "nc", "web", "9000", given=there)
        assert (result.returncode, said(result)) == (0, [])
        assert result.stdout == back
        out, _ = server.process.communicate(timeout=LONG)
        assert (server.process.returncode, out) == (0, there)


def test_ping_prints_as_ping_does(ends: Ends, served: Running) -> None:
    result = run(ends[1], "ping", "-c", "2", "-i", "0.05", "web")
    lines = result.stdout.decode().splitlines()
    assert (result.returncode, said(result)) == (0, [])
    assert lines[0] == "PING web (10.0.43.99) 56(84) bytes of data."
    assert lines[1].startswith("64 bytes from 10.0.43.99: icmp_seq=1 ttl=64 time=")
    assert lines[-2].startswith("2 packets transmitted, 2 received, 0% packet loss")
    result = run(ends[1], "ping", "-c", "1", "-W", "0.5", "10.0.99.99")
    assert (result.returncode, said(result)) == (1, [])


def test_bench_says_how_much_and_what_it_costs(ends: Ends) -> None:
    line = r"\d+ octets in [\d.]+ s: [\d.]+ [MG]bit/s, CPU \d+ %"
    with running(ends[0], "bench", "serve", ready="waits at port 5201") as server:
        result = run(ends[1], "bench", "web", "--seconds", "0.3")
        assert (result.returncode, said(result)) == (0, [])
        assert re.fullmatch(line + r" here, \d+ % at web\n", result.stdout.decode())
        assert server.end() == 130
        assert server.process.stderr is not None
        assert re.fullmatch(r"10\.0\.117\.9: " + line + r"\n", server.process.stderr.read().decode())


# ---- what goes wrong


def test_what_cannot_be_fetched_is_said_in_a_line(ends: Ends, served: Running, tmp_path: Path) -> None:
    for url, words in (
        ("http://web/none", "http://web/none: 404 Not Found"), ("http://web:81/", "http://web:81/: Connection refused"),
        ("http://nobody/", "no host is named 'nobody'"),
    ):  # fmt: skip
        result = run(ends[1], "get", url, cwd=tmp_path, before=HASTY)
        assert (result.returncode, said(result)) == (1, [f"aionetflow host: error: {words}"])
    result = run(ends[1], "get", "http://web/big.iso", "-o", str(tmp_path / "none" / "file"))
    assert (result.returncode, said(result)[0].split(": ")[-1]) == (1, "No such file or directory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["public", "secret"]


@pytest.mark.parametrize("words", [("get", "http://web/"), ("nc", "10.0.0.9", "80"), ("ping", "web")])
def test_a_peer_that_is_not_there_is_named(ends: Ends, words: tuple[str, ...]) -> None:
    result = run(ends[1], *words, before=HASTY)
    assert (result.returncode, said(result)) == (1, [f"aionetflow host: error: no answer from {ends[0][3]}"])


def test_who_has_no_peer_yet_is_told_so(ends: Ends) -> None:
    result = run([*ends[1][:4], "--learn"], "get", "http://web/", before=HASTY)
    assert (result.returncode, said(result)) == (
        1, ["aionetflow host: error: nobody is there: no --peer is named, and none has come"],
    )  # fmt: skip


def test_what_cannot_be_opened_is_said_in_a_line(ends: Ends, served: Running, tmp_path: Path) -> None:
    taken = ["--name", "other", "--tunnel", ends[0][3], "--peer", ends[1][3]]
    for options, words in (
        (taken, f"{ends[0][3]}: the address is in use"),
        ([*ends[1][:4], "--peer", "no.such.host.invalid:1"], "no.such.host.invalid: "),
        ([*ends[1], "--pcap", str(tmp_path / "none" / "x")], "cannot write "),
        ([*ends[1], "--key-file", str(tmp_path / "none")], "cannot read the key: "),
    ):
        result = run(options, "ping", "web")
        assert result.returncode == 1
        assert said(result)[0].startswith(f"aionetflow host: error: {words}")
        assert len(said(result)) == 1


def test_a_port_that_is_not_for_everybody_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 22:
        pytest.skip("here every port is for everybody")
    user = os.geteuid()
    assert "host".encode("idna")  # which the other user may not be able to load
    if user == 0:
        os.seteuid(65534)
    try:
        assert main(["host", "--name", "web", "--tunnel", "127.0.0.1:22", "--peer", "127.0.0.1:9", "ping", "x"]) == 1
    finally:
        os.seteuid(user)
    assert re.fullmatch("aionetflow host: error: 127.0.0.1:22: .*\n", capsys.readouterr().err)


def test_a_folder_that_is_not_there_is_said_in_a_line(ends: Ends, tmp_path: Path) -> None:
    result = run(ends[0], "serve", str(tmp_path / "none"))
    assert (result.returncode, said(result)) == (1, [f"aionetflow host: error: no such folder: {tmp_path / 'none'}"])


def test_without_aiohttp_it_is_said_what_to_install(ends: Ends, tmp_path: Path) -> None:
    for words in (("serve", str(tmp_path)), ("get", "http://web/")):
        result = run(ends[0], *words, before="sys.modules['aiohttp'] = None")
        assert result.returncode == 1
        assert said(result)[0].endswith(": pip install aionetflow[host]")


# ---- what ends it from outside


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_ends_its_transfers_and_says_goodbye(
    ends: Ends, folder: Path, served: Running, tmp_path: Path, number: signal.Signals
) -> None:
    os.truncate(folder / "big.iso", 4 << 30)  # more than can be fetched meanwhile
    with subprocess.Popen(
        command(ends[1], "get", "http://web/big.iso"), cwd=tmp_path, stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as client:  # fmt: skip
        wait_for(tmp_path / "big.iso.part")
        assert served.end(number) == 130
        _, errors = client.communicate(timeout=LONG)
    assert client.returncode == 1
    assert errors.decode().splitlines()[-1].endswith("the connection has ended before the file was whole")
    assert not (tmp_path / "big.iso.part").exists()
    assert not (tmp_path / "big.iso").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_transfer_that_is_stopped_leaves_nothing_behind(
    ends: Ends, folder: Path, served: Running, tmp_path: Path, number: signal.Signals
) -> None:
    os.truncate(folder / "big.iso", 4 << 30)
    with subprocess.Popen(
        command(ends[1], "get", "http://web/big.iso"), cwd=tmp_path, stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as client:  # fmt: skip
        wait_for(tmp_path / "big.iso.part")
        client.send_signal(number)
        _, errors = client.communicate(timeout=LONG)
    assert client.returncode == 130
    assert "Traceback" not in errors.decode()
    assert not (tmp_path / "big.iso.part").exists()
    assert run(ends[1], "get", "http://web/sub/note.txt", "-o", "-").stdout == b"a note\n"  # the server goes on


def test_who_waits_for_input_can_be_stopped(ends: Ends, served: Running) -> None:
    with running(ends[1], "nc", "-l", "9000", ready="waits at port") as client:
        assert client.end() == 130


def wait_for(path: Path) -> None:
    end = time.monotonic() + LONG
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < end, f"{path} has not come"
        time.sleep(0.01)


# ---- arguments


@pytest.mark.parametrize("text", ["", "a:b", "1.2.3.4:70000", "::1", "[::1", "[::1]7", "a:1:2"])
def test_what_is_no_address_of_a_tunnel_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be HOST:PORT"):
        address(text)


@pytest.mark.parametrize("text", ["", "a b", "-a", "a..b", "localhost", "lan", "w" * 64, "a/b"])
def test_what_is_no_name_of_a_host_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        name(text)


@pytest.mark.parametrize("text", ["10.0.0.1", "10.0.0.1/33", "web/8"])
def test_what_is_no_address_with_a_length_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        interface(text)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--name", "web", "--tunnel", ":1", "serve", "."], "name a --peer, or --learn"),
        ([*LEARNING, "--address", "10.0.0.5/16", "--address", "10.0.0.5/8", "ping", "x"], "10.0.0.5"),
        ([*LEARNING, "nc", "web"], "nc wants HOST PORT, or -l PORT"),
        ([*LEARNING, "nc", "-l", "0"], "nc wants HOST PORT, or -l PORT"),
        ([*LEARNING, "nc", "-l", "web", "80"], "nc wants HOST PORT, or -l PORT"),
    ],
)
def test_a_bad_argument_is_status_two(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["host", *words]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [], ["--name", "web", "--learn", "serve", "."], ["--name", "web", "--tunnel", ":1", "--learn"],
        ["--name", "web", "--tunnel", ":1", "--learn", "--mtu", "10", "serve", "."],
        ["--name", "web", "--tunnel", ":1", "--learn", "--vni", "16777216", "serve", "."],
        ["--name", "web", "--tunnel", ":1", "--learn", "get", "ftp://web/"],
        ["--name", "web", "--tunnel", ":1", "--learn", "get", "http://[::1/"],
    ],
)  # fmt: skip
def test_the_parser_refuses_in_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["host", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("job", [[], ["serve"], ["get"], ["ping"], ["nc"], ["bench"]])
def test_help_says_what_there_is(job: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--name", "web", "--tunnel", ":1"] if job else []
    with pytest.raises(SystemExit) as ended:
        main(["host", *options, *job, "--help"])
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out


# ---- the page


def test_the_two_terminals_of_the_pages_work_as_written(folder: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    pages = [(root / name).read_text(encoding="utf-8") for name in ("README.md", "docs/tunnel.md")]
    terminals = [re.findall(r"^```\n(aionetflow host .*)\n```$", page, re.MULTILINE) for page in pages]
    assert terminals[0] == terminals[1]
    first, second = terminals[0]
    for port in (4789, 4790):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                pytest.skip("a port of the page is in use here")
    _, _, *serve = first.split()
    _, _, *get = second.split()
    assert serve.pop() == "public"
    with running(serve, str(folder), ready="serving"):
        result = run(get, cwd=tmp_path)
    assert (result.returncode, said(result)) == (0, [])
    assert (tmp_path / "big.iso").read_bytes() == (folder / "big.iso").read_bytes()


def test_a_key_lets_in_who_has_it(ends: Ends, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    keys = [tmp_path / "one", tmp_path / "other"]
    for path in keys:
        path.write_text(secrets.token_hex(32) + "\n")
    mine = ["--key-file", str(keys[0])]
    with running([*ends[0], *mine], "serve", str(folder), ready="serving"):
        result = run([*ends[1], *mine], "get", "http://web/sub/note.txt", "-o", "-")
        assert (result.returncode, result.stdout) == (0, b"a note\n")
        result = run([*ends[1], "--key-file", str(keys[1])], "get", "http://web/sub/note.txt", before=HASTY)
        assert result.returncode == 1
        assert f"aionetflow host: error: no answer from {ends[0][3]}" in said(result)
    (tmp_path / "weak").write_text("secret")
    result = run([*ends[0], "--key-file", str(tmp_path / "weak")], "serve", str(folder))
    assert (result.returncode, said(result)[0].startswith("aionetflow host: error: not a key")) == (2, True)


def test_the_command_has_a_name_of_its_own() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert pkgutil.resolve_name(project["scripts"]["aionetflow"]) is main
