"""One host's settings, under Linux's names and with Linux 6's defaults (ip-sysctl.rst).

`host.sysctl["net.ipv4.tcp_sack"] = 0` is what `sysctl -w net.ipv4.tcp_sack=0` is on Linux; the core reads the same
number as `sysctl.tcp_sack`. A setting counts for what happens from then on.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from aionetflow.config import DEFAULT_TTL


class Setting(NamedTuple):
    """What is known of a setting: the attribute that holds it, the least and the largest value."""

    attribute: str
    low: int
    high: int


_INT_MAX = (1 << 31) - 1


def _ipv4(attribute: str, low: int, high: int) -> tuple[str, Setting]:
    return f"net.ipv4.{attribute}".replace("/", "."), Setting(attribute.rpartition("/")[2], low, high)


def _ipv6(attribute: str, low: int, high: int) -> tuple[str, Setting]:
    return f"net.ipv6.{attribute}", Setting(attribute, low, high)


SETTINGS: dict[str, Setting] = dict(
    (
        _ipv4("tcp_timestamps", 0, 2),
        _ipv4("tcp_sack", 0, 1),
        _ipv4("tcp_dsack", 0, 1),
        _ipv4("tcp_window_scaling", 0, 1),
        _ipv4("tcp_ecn", 0, 2),
        _ipv4("tcp_recovery", 0, 7),
        _ipv4("tcp_early_retrans", 0, 4),
        _ipv4("tcp_frto", 0, 2),
        _ipv4("tcp_reordering", 1, 300),
        _ipv4("tcp_max_reordering", 1, 300),
        _ipv4("tcp_slow_start_after_idle", 0, 1),
        _ipv4("tcp_syn_retries", 1, 127),
        _ipv4("tcp_synack_retries", 0, 255),
        _ipv4("tcp_retries1", 0, 255),
        _ipv4("tcp_retries2", 0, 255),
        _ipv4("tcp_orphan_retries", 0, 255),
        _ipv4("ip_default_ttl", 1, 255),
        _ipv4("ip_no_pmtu_disc", 0, 3),
        _ipv4("route/min_pmtu", 68, _INT_MAX),
        _ipv4("route/mtu_expires", 0, _INT_MAX),
        _ipv4("ipfrag_high_thresh", 0, _INT_MAX),
        _ipv4("ipfrag_time", 0, _INT_MAX),
        _ipv4("ipfrag_max_dist", 0, _INT_MAX),
        _ipv4("icmp_echo_ignore_all", 0, 1),
        _ipv4("icmp_echo_ignore_broadcasts", 0, 1),
        _ipv4("icmp_ratelimit", 0, _INT_MAX),
        _ipv4("icmp_ratemask", 0, _INT_MAX),
        _ipv4("icmp_msgs_per_sec", 0, _INT_MAX),
        _ipv4("icmp_msgs_burst", 0, _INT_MAX),
        _ipv4("igmp_max_memberships", 0, _INT_MAX),
        _ipv4("igmp_max_msf", 0, _INT_MAX),
        _ipv4("igmp_qrv", 1, _INT_MAX),
        _ipv6("mld_max_msf", 0, _INT_MAX),
        _ipv6("mld_qrv", 1, _INT_MAX),
        _ipv6("ip6frag_high_thresh", 0, _INT_MAX),
        _ipv6("ip6frag_time", 0, _INT_MAX),
    )
)


class Sysctl:
    """The settings of one host, as attributes for the core and by name for people.

    >>> sysctl = Sysctl()
    >>> sysctl["net.ipv4.tcp_sack"]
    1
    >>> sysctl["net.ipv4.tcp_sakc"] = 0
    Traceback (most recent call last):
        ...
    KeyError: "no setting named 'net.ipv4.tcp_sakc': did you mean 'net.ipv4.tcp_sack'?"
    """

    def __init__(self) -> None:
        self.tcp_timestamps = 1
        self.tcp_sack = 1
        self.tcp_dsack = 1
        self.tcp_window_scaling = 1
        self.tcp_ecn = 2
        self.tcp_recovery = 1
        self.tcp_early_retrans = 3
        self.tcp_frto = 2
        self.tcp_reordering = 3
        self.tcp_max_reordering = 300
        self.tcp_slow_start_after_idle = 1
        self.tcp_syn_retries = 6
        self.tcp_synack_retries = 5
        self.tcp_retries1 = 3
        self.tcp_retries2 = 15
        self.tcp_orphan_retries = 0
        self.tcp_congestion_control = "cubic"
        self.ip_default_ttl = DEFAULT_TTL
        self.ip_no_pmtu_disc = 0
        self.min_pmtu = 552
        self.mtu_expires = 600  # s
        self.ipfrag_high_thresh = 4 << 20  # octets
        self.ipfrag_time = 30  # s
        self.ipfrag_max_dist = 64
        self.icmp_echo_ignore_all = 0
        self.icmp_echo_ignore_broadcasts = 1
        self.icmp_ratelimit = 1000  # ms between errors to one destination, of which six may be saved up
        self.icmp_ratemask = 0x1818  # by ICMP type: unreachable, source quench, time exceeded, parameter problem
        self.icmp_msgs_per_sec = 1000
        self.icmp_msgs_burst = 50
        self.igmp_max_memberships = 20
        self.igmp_max_msf = 10
        self.igmp_qrv = 2
        self.mld_max_msf = 64
        self.mld_qrv = 2
        self.ip6frag_high_thresh = 4 << 20  # octets
        self.ip6frag_time = 60  # s

    def __getitem__(self, name: str) -> int:
        value: int = getattr(self, _find(name).attribute)
        return value

    def __setitem__(self, name: str, value: int) -> None:
        setting = _find(name)
        if not setting.low <= value <= setting.high:
            raise ValueError(f"{name} is {setting.low} to {setting.high}, not {value}")
        setattr(self, setting.attribute, value)

    def __iter__(self) -> Iterator[str]:
        return iter(SETTINGS)


def _find(name: str) -> Setting:
    setting = SETTINGS.get(name)
    if setting is None:
        near = get_close_matches(name, SETTINGS, 1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise KeyError(f"no setting named {name!r}{hint}")
    return setting
