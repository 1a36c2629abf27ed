"""One host's settings, under Linux's names and with Linux 6's defaults.

`host.sysctl["net.ipv4.tcp_sack"] = 0` is what `sysctl -w net.ipv4.tcp_sack=0` is on Linux; the core reads the same
number as `sysctl.tcp_sack`. A setting counts for what happens from then on. Values are numbers, tuples of numbers where
Linux has several in a line, and text; units are Linux's. settings.py says what there is.
"""

import warnings
from collections.abc import Callable, Iterator

from aionetflow.config import (
    DEFAULT_TTL,
    EPHEMERAL_PORTS,
    SOCKET_BUFFER_MAX,
    SOMAXCONN,
    TCP_BUFFER_MAX,
    TCP_RECEIVE_BUFFER,
    TCP_SEND_BUFFER,
    TCP_SEND_BUFFER_MAX,
    UDP_QUEUE_LIMIT,
)
from aionetflow.settings import IGNORED, SETTINGS, Ignored, Value, check, find

_MOST = (1 << 31) - 1


class IgnoredSetting(UserWarning):
    """A setting of Linux's was changed that changes nothing here."""


class Sysctl:
    """The settings of one host, as attributes for the core and by name for people.

    >>> sysctl = Sysctl()
    >>> sysctl["net.ipv4.tcp_sack"], sysctl["net.ipv4.ip_local_port_range"]
    (1, (32768, 60999))
    >>> sysctl["net.ipv4.tcp_sakc"] = 0
    Traceback (most recent call last):
        ...
    KeyError: "no setting named 'net.ipv4.tcp_sakc': did you mean 'net.ipv4.tcp_sack'?"

    What Linux has and this stack has no use for is kept, and setting it warns (IgnoredSetting); `ignored` says why.

    >>> sysctl.ignored("net.ipv4.tcp_mem")
    'memory is bounded for each socket, not for all together'
    >>> sysctl.ignored("net.ipv4.tcp_sack")
    ''
    """

    def __init__(self) -> None:
        """Linux's defaults; one line for each, which is better whole."""
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
        self.tcp_retries2 = 15
        self.tcp_orphan_retries = 0
        self.tcp_syn_linear_timeouts = 4
        self.tcp_keepalive_time = 7200  # s
        self.tcp_keepalive_intvl = 75  # s
        self.tcp_keepalive_probes = 9
        self.tcp_notsent_lowat = (1 << 32) - 1
        self.tcp_stdurg = 0
        self.tcp_fin_timeout = 60
        self.tcp_max_syn_backlog = 2048
        self.tcp_abort_on_overflow = 0
        self.tcp_syncookies = 1
        self.tcp_fastopen = 1
        self.tcp_fastopen_blackhole_timeout_sec = 0
        self.tcp_fastopen_key = ""
        self.tcp_tw_reuse = 2
        self.tcp_tw_reuse_delay = 1000
        self.tcp_rfc1337 = 0
        self.tcp_max_tw_buckets = 262144
        self.tcp_challenge_ack_limit = _MOST
        self.tcp_invalid_ratelimit = 500
        self.tcp_comp_sack_nr = 44
        self.tcp_comp_sack_delay_ns = 1_000_000
        self.tcp_rmem = (4096, TCP_RECEIVE_BUFFER, TCP_BUFFER_MAX)
        self.tcp_wmem = (4096, TCP_SEND_BUFFER, TCP_SEND_BUFFER_MAX)
        self.ip_local_port_range = EPHEMERAL_PORTS
        self.ip_local_reserved_ports = ""
        self.ip_autobind_reuse = 0
        self.ip_nonlocal_bind = 0
        self.somaxconn = SOMAXCONN
        self.rmem_default = UDP_QUEUE_LIMIT
        self.wmem_default = UDP_QUEUE_LIMIT
        self.rmem_max = SOCKET_BUFFER_MAX
        self.wmem_max = SOCKET_BUFFER_MAX
        self.tcp_mtu_probing = 0
        self.tcp_base_mss = 1024
        self.tcp_mtu_probe_floor = 48
        self.tcp_min_snd_mss = 48
        self.tcp_probe_interval = 600  # s
        self.tcp_probe_threshold = 8
        self.tcp_retries1 = 3
        self.tcp_pacing_ss_ratio = 200
        self.tcp_pacing_ca_ratio = 120
        self.tcp_min_tso_segs = 2
        self.tcp_tso_rtt_log = 9
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
        self._kept: dict[str, Value] | None = None  # of what is ignored: what was set
        self._watchers: dict[str, Callable[[Value], None]] | None = None

    def __getitem__(self, name: str) -> Value:
        setting = find(name)
        if isinstance(setting, Ignored):
            return setting.default if self._kept is None else self._kept.get(name, setting.default)
        value: Value = getattr(self, setting.attribute)
        return value

    def __setitem__(self, name: str, value: Value) -> None:
        setting = find(name)
        if isinstance(setting, Ignored):
            if self._kept is None:
                self._kept = {}
            self._kept[name] = value
            warnings.warn(f"{name} changes nothing here: {setting.why}", IgnoredSetting, stacklevel=2)
            return
        check(name, setting, value, getattr(self, setting.attribute))
        if self._watchers is not None and name in self._watchers:
            self._watchers[name](value)
        setattr(self, setting.attribute, value)

    def __iter__(self) -> Iterator[str]:
        return iter((*SETTINGS, *IGNORED))

    def __len__(self) -> int:
        return len(SETTINGS) + len(IGNORED)

    def __contains__(self, name: object) -> bool:
        return name in SETTINGS or name in IGNORED

    def ignored(self, name: str) -> str:
        """Why a setting changes nothing here; "" if it counts. KeyError if there is none of that name."""
        setting = find(name)
        return setting.why if isinstance(setting, Ignored) else ""

    def watch(self, name: str, changed: Callable[[Value], None]) -> None:
        """Has a new value of a setting told, before it counts, to who keeps it elsewhere; it may raise ValueError."""
        if self._watchers is None:
            self._watchers = {}
        self._watchers[name] = changed
