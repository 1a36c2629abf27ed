"""Which settings there are: Linux's names (ip-sysctl.rst, net.rst), what each may be, and which change nothing here.

docs/settings.md is made of these tables.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple, TypeAlias

Value: TypeAlias = int | str | tuple[int, ...]
_MOST = (1 << 31) - 1


class Setting(NamedTuple):
    """What is known of a setting that counts."""

    attribute: str  # of Sysctl: holds it
    low: int  # the least and the largest that it, or each of its numbers, may be
    high: int
    text: str  # what it does; units as Linux has them


class Ignored(NamedTuple):
    """What is known of a setting that is kept and changes nothing."""

    default: Value
    why: str


def _ipv4(name: str, low: int, high: int, text: str) -> tuple[str, Setting]:
    return f"net.ipv4.{name}", Setting(name.rpartition(".")[2], low, high, text)


def _ipv6(attribute: str, low: int, high: int, text: str) -> tuple[str, Setting]:
    return f"net.ipv6.{attribute}", Setting(attribute, low, high, text)


def _core(attribute: str, low: int, high: int, text: str) -> tuple[str, Setting]:
    return f"net.core.{attribute}", Setting(attribute, low, high, text)


SETTINGS: dict[str, Setting] = dict(
    (
        _ipv4("tcp_timestamps", 0, 2,
              "RFC 7323 timestamps: 0 none, 1 with a random offset for each pair of addresses, 2 without one"),
        _ipv4("tcp_sack", 0, 1, "selective acknowledgments (RFC 2018)"),
        _ipv4("tcp_dsack", 0, 1, "duplicate SACKs (RFC 2883)"),
        _ipv4("tcp_window_scaling", 0, 1, "window scale option (RFC 7323 2)"),
        _ipv4("tcp_ecn", 0, 2, "ECN (RFC 3168): 0 never, 1 asked for and granted, 2 granted to who asks"),
        _ipv4("tcp_recovery", 0, 7,
              "RACK (RFC 8985): 1 on, 2 with a fixed reordering window, 4 without the duplicate ACK threshold"),
        _ipv4("tcp_early_retrans", 0, 4, "tail loss probes (RFC 8985 7): 3 and 4 on, else off"),
        _ipv4("tcp_frto", 0, 2, "F-RTO (RFC 5682): 0 off"),
        _ipv4("tcp_reordering", 1, 300, "segments by which the network may reorder, to begin with"),
        _ipv4("tcp_max_reordering", 1, 300, "as far as that grows"),
        _ipv4("tcp_slow_start_after_idle", 0, 1, "an idle connection starts slowly again (RFC 2861)"),
        _ipv4("tcp_syn_retries", 1, 127, "how often connect() sends its SYN again"),
        _ipv4("tcp_synack_retries", 0, 255, "how often a SYN-ACK is sent again"),
        _ipv4("tcp_retries2", 0, 255, "retransmissions after which a connection is given up"),
        _ipv4("tcp_orphan_retries", 0, 255, "the same, of a connection that no application has; 0 means 8"),
        _ipv4("tcp_fin_timeout", 0, _MOST // 1000, "s in FIN-WAIT-2 when no application has the connection"),
        _ipv4("tcp_max_syn_backlog", 0, _MOST,
              "half-open connections of a listener; only without SYN cookies, of which the last quarter is for "
              "peers that are known"),
        _ipv4("tcp_abort_on_overflow", 0, 1,
              "an ACK that finds the accept queue full is answered by a RST, not dropped"),
        _ipv4("tcp_syncookies", 0, 2, "SYN cookies (RFC 4987 3.6): 1 when the SYN queue is full, 2 always"),
        _ipv4("tcp_tw_reuse", 0, 2,
              "connect() may take a port in TIME-WAIT: 1 where timestamps make that safe, 2 on loopback only"),
        _ipv4("tcp_tw_reuse_delay", 1, 60000, "ms in TIME-WAIT before that"),
        _ipv4("tcp_rfc1337", 0, 1, "1: a RST does not end TIME-WAIT (RFC 1337)"),
        _ipv4("tcp_max_tw_buckets", 0, _MOST, "connections in TIME-WAIT; what is more is closed at once"),
        _ipv4("tcp_challenge_ack_limit", 0, _MOST,
              "challenge ACKs (RFC 5961 7) of the whole host in a second; the default means no limit"),
        _ipv4("tcp_invalid_ratelimit", 0, _MOST,
              "ms between two answers to segments of one connection that make no sense"),
        _ipv4("tcp_congestion_control", 0, 0, "the congestion control of new connections"),
        _ipv4("tcp_rmem", 1, _MOST,
              "receive buffer of a stream socket: least, first, as far as it grows. Linux starts at 131072"),
        _ipv4("tcp_wmem", 1, _MOST, "send buffer, likewise. Linux starts at 16384"),
        _ipv4("ip_local_port_range", 1, 65535, "ports that connect(), and bind() to port 0, choose from"),
        _ipv4("ip_local_reserved_ports", 0, 0, 'ports that are not chosen, as "8080,9000-9010"'),
        _ipv4("ip_autobind_reuse", 0, 1, "bind() to port 0 may share a port with SO_REUSEADDR when no other is left"),
        _ipv4("ip_default_ttl", 1, 255, "TTL of packets whose socket says nothing of it"),
        _ipv4("ip_no_pmtu_disc", 0, 3,
              "1: packets of new sockets may be cut on the way; 2 and 3: and what ICMP says of it is not believed"),
        _ipv4("route.min_pmtu", 68, _MOST, "octets: the smallest path MTU that is believed"),
        _ipv4("route.mtu_expires", 0, _MOST, "s until a path MTU is forgotten"),
        _ipv4("ipfrag_high_thresh", 0, _MOST, "octets of fragments that may wait; 0: none are put together"),
        _ipv4("ipfrag_time", 0, _MOST, "s that fragments wait for the others"),
        _ipv4("ipfrag_max_dist", 0, _MOST, "fragments of others from one source between two of one packet; 0: any"),
        _ipv4("icmp_echo_ignore_all", 0, 1, "1: no echo request is answered"),
        _ipv4("icmp_echo_ignore_broadcasts", 0, 1, "1: no echo or timestamp request to all is answered"),
        _ipv4("icmp_ratelimit", 0, _MOST, "ms between ICMP errors to one destination, six of them saved up; 0: none"),
        _ipv4("icmp_ratemask", 0, _MOST, "which ICMP types are limited, a bit each"),
        _ipv4("icmp_msgs_per_sec", 0, _MOST, "ICMP errors to all destinations in a second"),
        _ipv4("icmp_msgs_burst", 0, _MOST, "as many of them at once"),
        _ipv4("igmp_max_memberships", 0, _MOST, "groups that a socket may be in"),
        _ipv4("igmp_max_msf", 0, _MOST, "sources in a socket's filter for a group"),
        _ipv4("igmp_qrv", 1, 7, "how often a change of memberships is reported, until a querier says otherwise"),
        _ipv6("ip6frag_high_thresh", 0, _MOST, "as ipfrag_high_thresh, of IPv6"),
        _ipv6("ip6frag_time", 0, _MOST, "as ipfrag_time, of IPv6"),
        _ipv6("mld_max_msf", 0, _MOST, "as igmp_max_msf, of IPv6"),
        _ipv6("mld_qrv", 1, 7, "as igmp_qrv, of IPv6"),
        _ipv4("ip_nonlocal_bind", 0, 1, "bind() takes addresses that the host has not"),
        _core("somaxconn", 0, _MOST, "the largest backlog that listen() takes"),
        _core("rmem_default", 2304, _MOST, "receive buffer of a datagram socket"),
        _core("wmem_default", 4608, _MOST, "send buffer of a datagram socket"),
        _core("rmem_max", 2304, _MOST, "the largest SO_RCVBUF, before it is doubled"),
        _core("wmem_max", 4608, _MOST, "the largest SO_SNDBUF, before it is doubled"),
    )
)  # fmt: skip

_MEMORY = "memory is bounded for each socket, not for all together"
_MACHINE = "about the kernel's own machinery, which has no counterpart here"
_ROOT = "programs here may do what root may"
_NAMES = "there are no marks, no virtual routing domains"
_METRICS = "nothing is remembered of a destination after its connections"
IGNORED: dict[str, Ignored] = {
    "net.ipv4.tcp_mem": Ignored((0, 0, 0), _MEMORY),
    "net.ipv4.udp_mem": Ignored((0, 0, 0), _MEMORY),
    "net.ipv4.tcp_max_orphans": Ignored(262144, _MEMORY),
    "net.ipv4.udp_rmem_min": Ignored(4096, _MEMORY),
    "net.ipv4.udp_wmem_min": Ignored(4096, _MEMORY),
    "net.ipv4.tcp_low_latency": Ignored(0, _MACHINE),
    "net.ipv4.tcp_early_demux": Ignored(1, _MACHINE),
    "net.ipv4.udp_early_demux": Ignored(1, _MACHINE),
    "net.ipv4.ip_early_demux": Ignored(1, _MACHINE),
    "net.ipv4.tcp_backlog_ack_defer": Ignored(1, _MACHINE),
    "net.ipv4.tcp_child_ehash_entries": Ignored(0, _MACHINE),
    "net.ipv4.tcp_ehash_entries": Ignored(0, _MACHINE),
    "net.ipv4.udp_child_hash_entries": Ignored(0, _MACHINE),
    "net.ipv4.udp_hash_entries": Ignored(0, _MACHINE),
    "net.ipv4.tcp_migrate_req": Ignored(0, _MACHINE),
    "net.ipv4.inet_peer_maxttl": Ignored(600, _MACHINE),
    "net.ipv4.inet_peer_minttl": Ignored(120, _MACHINE),
    "net.ipv4.inet_peer_threshold": Ignored(65664, _MACHINE),
    "net.ipv4.ip_dynaddr": Ignored(0, _MACHINE),
    "net.ipv4.tcp_fack": Ignored(0, _MACHINE),
    "net.ipv4.tcp_available_ulp": Ignored('', _MACHINE),
    "net.core.busy_poll": Ignored(0, _MACHINE),
    "net.core.busy_read": Ignored(0, _MACHINE),
    "net.core.default_qdisc": Ignored('pfifo_fast', _MACHINE),
    "net.core.dev_weight": Ignored(64, _MACHINE),
    "net.core.netdev_budget": Ignored(300, _MACHINE),
    "net.core.netdev_max_backlog": Ignored(1000, _MACHINE),
    "net.core.optmem_max": Ignored(131072, _MACHINE),
    "net.core.txrehash": Ignored(1, _MACHINE),
    "net.ipv4.fwmark_reflect": Ignored(0, _NAMES),
    "net.ipv4.tcp_fwmark_accept": Ignored(0, _NAMES),
    "net.ipv4.tcp_l3mdev_accept": Ignored(0, _NAMES),
    "net.ipv4.udp_l3mdev_accept": Ignored(0, _NAMES),
    "net.ipv4.raw_l3mdev_accept": Ignored(1, _NAMES),
    "net.ipv4.tcp_no_metrics_save": Ignored(0, _METRICS),
    "net.ipv4.tcp_no_ssthresh_metrics_save": Ignored(1, _METRICS),
    "net.ipv4.tcp_retries1": Ignored(3, "the route is looked up anew with each retransmission"),
    "net.ipv4.ip_unprivileged_port_start": Ignored(1024, _ROOT),
    "net.ipv4.ping_group_range": Ignored((1, 0), _ROOT),
    "net.ipv4.tcp_allowed_congestion_control": Ignored('reno cubic', _ROOT),
}


def find(name: str) -> Setting | Ignored:
    """What is known of a name; KeyError, with the nearest name, if there is no such setting."""
    setting = SETTINGS.get(name) or IGNORED.get(name)
    if setting is None:
        near = get_close_matches(name, (*SETTINGS, *IGNORED), 1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise KeyError(f"no setting named {name!r}{hint}")
    return setting


def check(name: str, setting: Setting, value: Value, before: Value) -> None:
    """Raises TypeError if the value is not of the kind of the one before, ValueError if it is out of its range."""
    if isinstance(before, str):
        if not isinstance(value, str):
            raise TypeError(f"{name} is a text, not {value!r}")
        _WORDS.get(name, str)(value)
        return
    kind = "a number" if isinstance(before, int) else f"a tuple of {len(before)} numbers"
    numbers = (value,) if isinstance(value, int) else value
    if isinstance(numbers, str) or isinstance(before, int) is not isinstance(value, int):
        raise TypeError(f"{name} is {kind}, not {value!r}")
    if isinstance(before, tuple) and len(before) != len(numbers):
        raise TypeError(f"{name} is {kind}, not {value!r}")
    if not all(setting.low <= number <= setting.high for number in numbers):
        raise ValueError(f"{name} is {setting.low} to {setting.high}, not {value}")
    if list(numbers) != sorted(numbers):
        raise ValueError(f"{name} goes up, not {value}")


def port_set(text: str) -> frozenset[int]:
    """The ports of "8080,9000-9002"; ValueError if it is no such list.

    >>> sorted(port_set("8080,9000-9002"))
    [8080, 9000, 9001, 9002]
    """
    ports: set[int] = set()
    for piece in text.split(",") if text else ():
        first, _, last = piece.partition("-")
        if not (first.isdigit() and (last or first).isdigit()) or not int(first) <= int(last or first) <= 65535:
            raise ValueError(f"ports are numbers and ranges to 65535, as in '8080,9000-9010', not {text!r}")
        ports.update(range(int(first), int(last or first) + 1))
    return frozenset(ports)


_WORDS: dict[str, Callable[[str], object]] = {"net.ipv4.ip_local_reserved_ports": port_set}
