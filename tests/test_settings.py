"""Settings and counters: Linux's names, what they may be, and the pages that list them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aionetflow.settings import IGNORED, SETTINGS, Value
from aionetflow.socket.options import SO_RCVBUF, SOL_SOCKET
from aionetflow.stats import Stats
from aionetflow.sysctl import IgnoredSetting, Sysctl
from support.lan import raw_host
from support.pages import PAGES, ROOT

PROC = Path("/proc/net")
NOT_COUNTERS = {"Forwarding", "DefaultTTL", "RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_is_made_of_the_source_is_up_to_date(page: str) -> None:
    there = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert there == PAGES[page](), f"docs/{page} is out of date: run PYTHONPATH=tests python tests/support/pages.py"


# ---- settings


@pytest.mark.parametrize("name", SETTINGS)
def test_a_default_is_in_its_range_and_can_be_set_again(name: str) -> None:
    sysctl = Sysctl()
    sysctl[name] = sysctl[name]
    assert sysctl.ignored(name) == ""


def test_a_new_value_is_the_one_that_the_core_reads() -> None:
    sysctl = Sysctl()
    sysctl["net.ipv4.tcp_retries2"] = 8
    sysctl["net.ipv4.ip_local_port_range"] = 50000, 50009
    assert (sysctl.tcp_retries2, sysctl["net.ipv4.tcp_retries2"]) == (8, 8)
    assert (sysctl.ip_local_port_range, Sysctl().ip_local_port_range) == ((50000, 50009), (32768, 60999))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("net.ipv4.tcp_sack", 2, ValueError),
        ("net.ipv4.tcp_sack", -1, ValueError),
        ("net.ipv4.tcp_sack", "1", TypeError),
        ("net.ipv4.tcp_sack", (1, 1), TypeError),
        ("net.ipv4.tcp_rmem", 4096, TypeError),
        ("net.ipv4.tcp_rmem", (4096, 8192), TypeError),
        ("net.ipv4.ip_local_port_range", (60000, 50000), ValueError),
        ("net.ipv4.ip_local_port_range", (0, 50000), ValueError),
        ("net.ipv4.ip_local_reserved_ports", 8080, TypeError),
        ("net.ipv4.ip_local_reserved_ports", "http", ValueError),
        ("net.ipv4.ip_local_reserved_ports", "9000-8000", ValueError),
        ("net.ipv4.ip_local_reserved_ports", "65536", ValueError),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(name: str, value: Value, error: type[Exception]) -> None:
    sysctl = Sysctl()
    before = sysctl[name]
    with pytest.raises(error, match=name if name != "net.ipv4.ip_local_reserved_ports" else "ports|text"):
        sysctl[name] = value
    assert sysctl[name] == before


@pytest.mark.parametrize("name", ["net.ipv4.tcp_sakc", "tcp_sack", "net.ipv4.no_such_thing_at_all_xyz", ""])
def test_an_unknown_name_is_an_error_that_says_what_is_near(name: str) -> None:
    sysctl = Sysctl()
    with pytest.raises(KeyError, match="no setting named"):
        sysctl[name]
    with pytest.raises(KeyError, match="no setting named") as caught:
        sysctl[name] = 0
    assert ("did you mean 'net.ipv4.tcp_sack'" in str(caught.value)) is (name in ("net.ipv4.tcp_sakc", "tcp_sack"))


@pytest.mark.parametrize("name", IGNORED)
def test_what_changes_nothing_is_kept_and_says_so(name: str) -> None:
    sysctl = Sysctl()
    assert sysctl[name] == IGNORED[name].default
    assert sysctl.ignored(name)
    with pytest.warns(IgnoredSetting, match="changes nothing here"):
        sysctl[name] = 1
    assert sysctl[name] == 1
    assert Sysctl()[name] == IGNORED[name].default


def test_with_ip_nonlocal_bind_any_address_can_be_bound() -> None:
    host = raw_host()
    with pytest.raises(OSError, match="Cannot assign"):
        host.tcp(("192.0.2.1", 80))
    host.stack.sysctl["net.ipv4.ip_nonlocal_bind"] = 1
    assert host.tcp(("192.0.2.1", 80)).getsockname() == ("192.0.2.1", 80)


def test_buffers_begin_as_large_as_the_settings_say() -> None:
    host = raw_host()
    sysctl = host.stack.sysctl
    sysctl["net.ipv4.tcp_rmem"], sysctl["net.ipv4.tcp_wmem"] = (4096, 100_000, 200_000), (4096, 50_000, 60_000)
    sysctl["net.core.rmem_default"], sysctl["net.core.wmem_default"] = 30_000, 40_000
    sysctl["net.core.rmem_max"] = 20_000
    assert host.tcp().buffer_sizes() == (100_000, 50_000)
    datagrams = host.udp()
    assert datagrams.buffer_sizes() == (30_000, 40_000)
    datagrams.setsockopt(SOL_SOCKET, SO_RCVBUF, 1_000_000)
    assert datagrams.getsockopt(SOL_SOCKET, SO_RCVBUF) == 40_000


def test_every_setting_that_counts_is_read_somewhere() -> None:
    read = set[tuple[str, str]]()
    for path in (ROOT / "aionetflow").rglob("*.py"):
        if path.name not in ("sysctl.py", "settings.py"):
            read |= set(re.findall(r"sysctl\.(\w+)|\"(\w+_max)\"", path.read_text(encoding="utf-8")))
    names = {name for pair in read for name in pair}
    unread = [name for name, setting in SETTINGS.items() if setting.attribute not in names]
    assert not unread, f"nobody reads {unread}"


def test_settings_can_be_listed() -> None:
    sysctl = Sysctl()
    names = list(sysctl)
    assert len(names) == len(sysctl) == len(set(names))
    assert "net.core.somaxconn" in sysctl
    assert "net.core.nothing" not in sysctl
    assert {name: sysctl[name] for name in sysctl}["net.ipv4.tcp_syn_retries"] == 6


def test_who_keeps_a_setting_elsewhere_is_told_and_may_refuse() -> None:
    sysctl, seen = Sysctl(), list[Value]()

    def follow(value: Value) -> None:
        if value == 0:
            raise ValueError("not that")
        seen.append(value)

    sysctl.watch("net.ipv4.tcp_retries2", follow)
    sysctl["net.ipv4.tcp_retries2"] = 9
    with pytest.raises(ValueError, match="not that"):
        sysctl["net.ipv4.tcp_retries2"] = 0
    assert (seen, sysctl.tcp_retries2) == ([9], 9)


@pytest.mark.kernel
@pytest.mark.parametrize("name", [*SETTINGS, *IGNORED])
def test_a_name_is_one_of_the_kernels(name: str) -> None:
    path = Path("/proc/sys", *name.split("."))
    if not path.exists() and len(list(Path("/proc/sys/net/ipv4").glob("tcp_*"))) < 80:
        pytest.skip("this kernel hides its settings, or is older")
    assert path.exists()


# ---- counters


def kernel_names(path: Path) -> dict[str, set[str]]:
    """Groups and names of /proc/net/snmp or netstat."""
    heads = path.read_text().splitlines()[::2]
    return {head.partition(":")[0]: set(head.partition(":")[2].split()) - NOT_COUNTERS for head in heads}


@pytest.mark.kernel
@pytest.mark.parametrize("file", ["snmp", "netstat"])
def test_every_counter_of_the_kernel_has_its_name_here(file: str) -> None:
    ours = Stats().as_dict()
    for group, names in kernel_names(PROC / file).items():
        if group in ours:
            assert names <= set(ours[group]), group


@pytest.mark.kernel
def test_every_counter_of_ipv6_has_its_name_here() -> None:
    if not (PROC / "snmp6").exists():
        pytest.skip("this kernel has no IPv6")
    names = {line.split()[0] for line in (PROC / "snmp6").read_text().splitlines()}
    wanted = {name for name in names if name.startswith(("Ip6", "Icmp6", "Udp6")) and "Type" not in name}
    assert wanted <= set(Stats().nstat())


def test_counters_can_be_read_as_nstat_shows_them() -> None:
    stats = Stats()
    stats.tcp.InSegs += 3
    stats.tcp.ListenDrops += 1
    stats.ip.InCEPkts += 2
    assert stats.nstat(zeros=False) == {"TcpInSegs": 3, "TcpExtListenDrops": 1, "IpExtInCEPkts": 2}
    assert stats.as_dict()["TcpExt"]["ListenDrops"] == 1
    assert "ListenDrops" not in stats.as_dict()["Tcp"]
