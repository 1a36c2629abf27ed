"""The pages of docs that are made of the source: `PYTHONPATH=tests python tests/support/pages.py` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from aionetflow.settings import IGNORED, SETTINGS, Value
from aionetflow.stats import Stats
from aionetflow.sysctl import Sysctl

ROOT = Path(__file__).parents[2]
_IP_BOTH = "fragment|multicast|interface"
_UDP = "udp|demux|socket/datagram|stack"
# Which files count for a group of counters, as part of their paths; for the rest all do.
FILES = {
    "Ip": f"ip/v4|{_IP_BOTH}", "IpExt": f"ip/v4|{_IP_BOTH}", "Icmp": "ip/(icmp|ping)\\.py",
    "Ip6": f"ip/v6|{_IP_BOTH}", "Icmp6": "icmpv6|ndp|mld|multicast|ping", "Udp": _UDP, "Udp6": _UDP,
}  # fmt: skip

SETTINGS_HEAD = """# Settings

`host.sysctl["net.ipv4.tcp_sack"] = 0` is what `sysctl -w net.ipv4.tcp_sack=0` is on Linux: Linux's names, units, ranges
and defaults (Linux 6, Documentation/networking/ip-sysctl.rst). On the bare stack it is `stack.sysctl`. A setting counts
for what happens from then on. A name that is unknown raises KeyError and says which is nearest; a value out of range
raises ValueError, one of another kind TypeError.

```
>>> from aionetflow.sysctl import Sysctl
>>> sysctl = Sysctl()
>>> sysctl["net.ipv4.tcp_fin_timeout"] = 30
>>> sysctl["net.ipv4.ip_local_port_range"] = 50000, 50999
>>> sysctl["net.ipv4.ip_local_reserved_ports"] = "50080,50900-50910"

```

This page is made of `aionetflow/settings.py`.

| setting | default | range | |
|---|---|---|---|
"""
IGNORED_HEAD = """
## Kept, without effect

Setting one of these warns (`aionetflow.sysctl.IgnoredSetting`), and `host.sysctl.ignored(name)` says why.

| setting | default | why |
|---|---|---|
"""
COUNTERS_HEAD = """# Counters

`host.stats` has the counters of /proc/net/snmp, netstat and snmp6 under Linux's names: `host.stats.tcp.RetransSegs`,
`host.stats.as_dict()["TcpExt"]["ListenDrops"]`, and as nstat(8) names them, `host.stats.nstat(zeros=False)`. All of
Linux's names are there; those in brackets stay at 0, since what they count cannot happen here or is not told apart.
`CurrEstab` goes down as well as up.

This page is made of `aionetflow/stats.py` and of the files that count.
"""


def plain(value: Value) -> str:
    """A value as sysctl(8) prints it."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value) if value != "" else "(empty)"


def settings_page() -> str:
    """docs/settings.md."""
    sysctl = Sysctl()
    lines = [SETTINGS_HEAD]
    for name, setting in SETTINGS.items():
        low_to_high = f"{setting.low} to {setting.high}" if setting.high else "text"
        lines.append(f"| `{name}` | {plain(sysctl[name])} | {low_to_high} | {setting.text} |\n")
    lines.append(IGNORED_HEAD)
    lines += (f"| `{name}` | {plain(known.default)} | {known.why} |\n" for name, known in IGNORED.items())
    return "".join(lines)


def counted() -> Iterator[tuple[str, str]]:
    """Each file of the package that counts something, and what: (its path, counter)."""
    for path in (ROOT / "aionetflow").rglob("*.py"):
        for match in re.finditer(r"\.([A-Z]\w+) (?:[+-]= |= [^=])", path.read_text(encoding="utf-8")):
            yield str(path), match[1]


def counters_page() -> str:
    """docs/counters.md."""
    found = list(counted())
    lines = [COUNTERS_HEAD]
    for group, names in Stats().as_dict().items():
        live = {name for path, name in found if re.search(FILES.get(group, ""), path)}
        lines.append(f"\n## {group}\n\n")
        lines.append(", ".join(name if name in live else f"({name})" for name in names) + "\n")
    return "".join(lines)


PAGES = {"settings.md": settings_page, "counters.md": counters_page}

if __name__ == "__main__":
    for file, make in PAGES.items():
        (ROOT / "docs" / file).write_text(make(), encoding="utf-8")
