"""python -m aionetflow ping and traceroute: what they print, and their exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from aionetflow.cli.main import main

SCENARIO = """
def build(net):
    a, b = net.host("alpha", "10.7.0.1/24"), net.host("beta", "10.8.0.1/24")
    router = net.router("middle", "10.7.0.2/24", "10.8.0.2/24")
    net.link(a, router, delay=0.001)
    net.link(router, b, delay=0.002)
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "scenario.py"
    path.write_text(SCENARIO)
    return str(path)


def test_ping_prints_each_reply_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "-4", "-c", "3", "-i", "0.5", "web"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "PING web (10.0.3.80) 56(84) bytes of data."
    assert lines[2].startswith("64 bytes from 10.0.3.80: icmp_seq=2 ttl=62 time=40")
    assert lines[-3] == "--- web ping statistics ---"
    assert lines[-2].startswith("3 packets transmitted, 3 received, 0% packet loss")


def test_the_same_seed_gives_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for _ in range(2):
        main(["ping", "-4", "-c", "40", "-i", "0.1", "--seed", "5", "web"])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


@pytest.mark.parametrize("options", [[], ["-I"], ["-q", "1"]])
def test_traceroute_prints_the_way(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traceroute", "-4", *options, "web"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "traceroute to web (10.0.3.80), 30 hops max, 60 byte packets"
    assert [line.split()[1] for line in lines[1:]] == ["west", "east", "web"]


def test_a_file_builds_the_network(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traceroute", "-4", "--network", scenario, "beta"]) == 0
    assert "1  middle (10.7.0.2)" in capsys.readouterr().out
    assert main(["ping", "-4", "--network", scenario, "--from", "beta", "-c", "1", "alpha"]) == 0
    assert "64 bytes from 10.7.0.1" in capsys.readouterr().out


def test_nothing_that_comes_is_status_one(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "--network", scenario, "-c", "1", "-W", "1", "10.8.0.9"]) == 1
    assert "+1 errors" not in capsys.readouterr().out  # the router asks for three seconds
    assert main(["traceroute", "-4", "--network", scenario, "-m", "1", "beta"]) == 1
    assert capsys.readouterr().out.count("\n") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "no function build"), ("def build(net): raise KeyError(7)", "KeyError: 7"),
        ("def build(net:", "SyntaxError"), (SCENARIO, "no host is named 'gamma'"),
        ("def build(net): net.switch('s')", "no host to send from"), (None, "no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_said_in_one_line(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "network.py"
    if text is not None:
        path.write_text(text)
    source = ["--from", "gamma"] if text == SCENARIO else []
    assert main(["ping", "--network", str(path), *source, "beta"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


def test_an_unknown_target_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "nobody"]) == 2
    assert "no host named 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["-c", "0"], ["-t", "256"], ["-s", "65508"], ["-i", "-1"], ["-4", "-6"], []])
def test_a_wrong_argument_is_status_two(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ping", *wrong, *(["web"] if wrong else [])])
    assert ended.value.code == 2
