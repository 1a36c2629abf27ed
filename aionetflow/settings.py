"""Which settings there are: Linux's names (ip-sysctl.rst, net.rst), what each may be, and which change nothing here.

docs/settings.md is made of these tables.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import NamedTuple, TypeAlias

Value: TypeAlias = int | str | tuple[int, ...]
_MOST = (1 << 31) - 1
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_TWO_KEYS = 32  # octets


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
        _ipv4("tcp_syn_linear_timeouts", 0, 127, "so many of the first SYNs are sent again without longer waits"),
        _ipv4("tcp_keepalive_time", 0, _MOST, "s of silence before SO_KEEPALIVE probes"),
        _ipv4("tcp_keepalive_intvl", 0, _MOST, "s between its probes"),
        _ipv4("tcp_keepalive_probes", 0, 255, "probes without an answer that end a connection"),
        _ipv4("tcp_notsent_lowat", 0, (1 << 32) - 1, "octets not sent above which a socket takes no more"),
        _ipv4("tcp_stdurg", 0, 1, "1: the urgent pointer is of the octet itself (RFC 1122 4.2.2.4), not of the next"),
        _ipv4("tcp_max_syn_backlog", 0, _MOST,
              "half-open connections of a listener; only without SYN cookies, of which the last quarter is for "
              "peers that are known"),
        _ipv4("tcp_abort_on_overflow", 0, 1,
              "an ACK that finds the accept queue full is answered by a RST, not dropped"),
        _ipv4("tcp_syncookies", 0, 2, "SYN cookies (RFC 4987 3.6): 1 when the SYN queue is full, 2 always"),
        _ipv4("tcp_fastopen", 0, _MOST,
              "Fast Open (RFC 7413), a sum: 1 for clients, 2 for servers, 4 clients need no cookie, 512 servers need "
              "none, 1024 every listener is such a server"),
        _ipv4("tcp_fastopen_blackhole_timeout_sec", 0, _MOST // 1000,
              "s without Fast Open as a client after three time-outs in a row, doubled each time; 0: never"),
        _ipv4("tcp_fastopen_key", 0, 0,
              "the key of its cookies, and after a comma the one before, each as 00000000-00000000-00000000-00000000; "
              "empty: drawn at random when it is needed"),
        _ipv4("tcp_tw_reuse", 0, 2,
              "connect() may take a port in TIME-WAIT: 1 where timestamps make that safe, 2 on loopback only"),
        _ipv4("tcp_tw_reuse_delay", 1, 60000, "ms in TIME-WAIT before that"),
        _ipv4("tcp_rfc1337", 0, 1, "1: a RST does not end TIME-WAIT (RFC 1337)"),
        _ipv4("tcp_max_tw_buckets", 0, _MOST, "connections in TIME-WAIT; what is more is closed at once"),
        _ipv4("tcp_challenge_ack_limit", 0, _MOST,
              "challenge ACKs (RFC 5961 7) of the whole host in a second; the default means no limit"),
        _ipv4("tcp_invalid_ratelimit", 0, _MOST,
              "ms between two answers to segments of one connection that make no sense"),
        _ipv4("tcp_mtu_probing", 0, 2,
              "the MTU of a path is probed for (RFC 4821): 0 never, 1 once segments vanish in a black hole, 2 always"),
        _ipv4("tcp_base_mss", 0, _MOST, "octets of a segment with which that begins"),
        _ipv4("tcp_mtu_probe_floor", 48, 65535, "octets of a segment below which it does not go"),
        _ipv4("tcp_min_snd_mss", 48, 65535, "octets of the shortest segments that a peer or a path can make us send"),
        _ipv4("tcp_probe_interval", 0, _MOST, "s after which a longer MTU is tried again"),
        _ipv4("tcp_probe_threshold", 0, _MOST, "octets: probing ends when the MTU is known to lie in so small a range"),
        _ipv4("tcp_retries1", 0, 255, "retransmissions after which a path is taken for a black hole"),
        _ipv4("tcp_pacing_ss_ratio", 0, 1000,
              "% of window by round trip at which data of a paced connection leave, in slow start"),
        _ipv4("tcp_pacing_ca_ratio", 0, 1000, "the same once the window is half of ssthresh or more"),
        _ipv4("tcp_min_tso_segs", 1, 65535, "segments in a burst of a paced connection, at least"),
        _ipv4("tcp_tso_rtt_log", 0, 31,
              "a paced connection's bursts are longer by 64 KiB, halved for each 2^this µs of its least round trip"),
        _ipv4("tcp_comp_sack_nr", 0, 255, "SACKs beyond the first three that are put together into one"),
        _ipv4("tcp_comp_sack_delay_ns", 0, _MOST, "ns that they wait for that, no longer than a twentieth of an RTT"),
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
_PATHS = "of several ways to a destination one is used"
_FIXED = "it is what Linux's default makes it, and cannot be changed"
_LABELS = "flow labels are 0"
_IGNORED: tuple[tuple[str, str, dict[str, Value]], ...] = (
    (_MEMORY, "net.ipv4.", {
        "tcp_mem": (0, 0, 0), "udp_mem": (0, 0, 0), "tcp_max_orphans": 262144, "udp_rmem_min": 4096,
        "udp_wmem_min": 4096,
    }),
    (_MACHINE, "net.ipv4.", {
        "tcp_low_latency": 0, "tcp_early_demux": 1, "udp_early_demux": 1, "ip_early_demux": 1,
        "tcp_backlog_ack_defer": 1, "tcp_child_ehash_entries": 0, "tcp_ehash_entries": 0, "udp_child_hash_entries": 0,
        "udp_hash_entries": 0, "tcp_migrate_req": 0, "inet_peer_maxttl": 600, "inet_peer_minttl": 120,
        "inet_peer_threshold": 65664, "ip_dynaddr": 0, "tcp_fack": 0, "tcp_available_ulp": "",
        "tcp_limit_output_bytes": 4194304, "tcp_tso_win_divisor": 3,
        "tcp_retrans_collapse": 1, "tcp_autocorking": 1, "tcp_workaround_signed_windows": 0, "fib_sync_mem": 524288,
        "nexthop_compat_mode": 1, "xfrm4_gc_thresh": 32768,
    }),
    (_MACHINE, "net.core.", {
        "busy_poll": 0, "busy_read": 0, "default_qdisc": "pfifo_fast", "dev_weight": 64, "netdev_budget": 300,
        "netdev_max_backlog": 1000, "optmem_max": 131072, "txrehash": 1,
    }),
    (_NAMES, "net.ipv4.", {
        "fwmark_reflect": 0, "tcp_fwmark_accept": 0, "tcp_l3mdev_accept": 0, "udp_l3mdev_accept": 0,
        "raw_l3mdev_accept": 1,
    }),
    (_METRICS, "net.ipv4.", {
        "tcp_no_metrics_save": 0, "tcp_no_ssthresh_metrics_save": 1,
    }),
    (_ROOT, "net.ipv4.", {
        "ip_unprivileged_port_start": 1024, "ping_group_range": (1, 0), "tcp_allowed_congestion_control": "reno cubic",
    }),
    (_PATHS, "net.ipv4.", {
        "fib_multipath_hash_policy": 0, "fib_multipath_hash_fields": 7, "fib_multipath_use_neigh": 0,
        "tcp_plb_enabled": 0, "tcp_plb_cong_thresh": 128, "tcp_plb_idle_rehash_rounds": 3, "tcp_plb_rehash_rounds": 12,
        "tcp_plb_suspend_rto_sec": 60,
    }),
    (_FIXED, "net.ipv4.", {
        "tcp_rto_min_us": 200000, "tcp_rto_max_ms": 120000, "tcp_min_rtt_wlen": 300,
        "tcp_adv_win_scale": 1, "tcp_app_win": 31, "tcp_moderate_rcvbuf": 1, "tcp_shrink_window": 0, "tcp_stdurg": 0,
        "tcp_pingpong_thresh": 1,
        "tcp_comp_sack_slack_ns": 100000, "tcp_ecn_fallback": 1, "tcp_thin_linear_timeouts": 0,
        "tcp_syn_linear_timeouts": 4, "tcp_reflect_tos": 0, "tcp_keepalive_time": 7200, "tcp_keepalive_intvl": 75,
        "tcp_keepalive_probes": 9, "tcp_notsent_lowat": 4294967295, "ip_default_ttl": 64,
        "ip_no_pmtu_disc": 0, "ip_forward_use_pmtu": 0, "ip_forward_update_priority": 1, "icmp_echo_ignore_all": 0,
        "icmp_echo_ignore_broadcasts": 1, "icmp_echo_enable_probe": 0, "icmp_errors_use_inbound_ifaddr": 0,
        "icmp_ignore_bogus_error_responses": 1, "icmp_msgs_burst": 50, "icmp_msgs_per_sec": 1000,
        "icmp_ratelimit": 1000, "icmp_ratemask": 6168, "ipfrag_high_thresh": 4194304, "ipfrag_low_thresh": 3145728,
        "ipfrag_max_dist": 64, "ipfrag_time": 30, "ipfrag_secret_interval": 0, "igmp_link_local_mcast_reports": 1,
        "igmp_max_memberships": 20, "igmp_max_msf": 10, "igmp_qrv": 2,
    }),
    (_FIXED, "net.ipv4.neigh.default.", {
        "anycast_delay": 100, "app_solicit": 0, "base_reachable_time_ms": 30000, "delay_first_probe_time": 5,
        "gc_interval": 30, "gc_stale_time": 60, "gc_thresh1": 128, "gc_thresh2": 512, "gc_thresh3": 1024,
        "interval_probe_time_ms": 5000, "mcast_resolicit": 0, "mcast_solicit": 3, "retrans_time_ms": 1000,
        "ucast_solicit": 3, "unres_qlen": 101, "unres_qlen_bytes": 212992,
    }),
    (_FIXED, "net.ipv6.neigh.default.", {
        "anycast_delay": 100, "app_solicit": 0, "base_reachable_time_ms": 30000, "delay_first_probe_time": 5,
        "gc_interval": 30, "gc_stale_time": 60, "gc_thresh1": 128, "gc_thresh2": 512, "gc_thresh3": 1024,
        "interval_probe_time_ms": 5000, "mcast_resolicit": 0, "mcast_solicit": 3, "retrans_time_ms": 1000,
        "ucast_solicit": 3, "unres_qlen": 101, "unres_qlen_bytes": 212992,
    }),
    (_FIXED, "net.ipv6.", {
        "bindv6only": 0, "ip6frag_high_thresh": 4194304, "ip6frag_low_thresh": 3145728, "ip6frag_time": 60,
        "ip_nonlocal_bind": 0, "mld_max_msf": 64, "mld_qrv": 2, "idgen_delay": 1, "idgen_retries": 3,
        "max_dst_opts_number": 8, "max_dst_opts_length": 2147483647, "max_hbh_opts_number": 8,
        "max_hbh_length": 2147483647,
    }),
    (_FIXED, "net.ipv6.icmp.", {
        "ratelimit": 1000, "echo_ignore_all": 0,
    }),
    (_FIXED, "net.ipv6.conf.all.", {
        "forwarding": 0, "hop_limit": 64, "mtu": 1280, "accept_ra": 1, "autoconf": 1, "dad_transmits": 1,
        "router_solicitations": -1, "use_tempaddr": 0, "disable_ipv6": 0,
    }),
    (_LABELS, "net.ipv6.", {
        "auto_flowlabels": 1, "flowlabel_consistency": 1, "flowlabel_reflect": 0, "flowlabel_state_ranges": 0,
    }),
)  # fmt: skip
IGNORED: dict[str, Ignored] = {
    prefix + name: Ignored(default, why)
    for why, prefix, group in _IGNORED
    for name, default in group.items()
    if prefix + name not in SETTINGS
}
IGNORED["net.ipv4.ip_forward"] = Ignored(0, "who forwards is made a router: Network.router()")


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


def fast_open_key(text: str) -> bytes:
    """The octets of one key of 128 bits or of two, as Linux writes them; none of "". ValueError if it is no such text.

    >>> fast_open_key("03020100-07060504-0b0a0908-0f0e0d0c") == bytes(range(16))
    True
    """
    octets = b""
    for key in text.split(",") if text else ():
        words = key.split("-")
        if len(words) != 4 or not all(len(word) <= 8 and set(word) <= _HEXADECIMAL and word for word in words):
            raise ValueError(f"a key is four hexadecimal numbers of 32 bits with hyphens between, not {key!r}")
        octets += b"".join([int(word, 16).to_bytes(4, "little") for word in words])
    if len(octets) > _TWO_KEYS:
        raise ValueError("there are at most two keys, the one in use and the one before")
    return octets


def fast_open_text(key: bytes) -> str:
    """A key of 16 octets as Linux writes it.

    >>> fast_open_text(bytes(range(16)))
    '03020100-07060504-0b0a0908-0f0e0d0c'
    """
    return "-".join(key[at : at + 4][::-1].hex() for at in range(0, len(key), 4))


_WORDS: dict[str, Callable[[str], object]] = {
    "net.ipv4.ip_local_reserved_ports": port_set,
    "net.ipv4.tcp_fastopen_key": fast_open_key,
}
