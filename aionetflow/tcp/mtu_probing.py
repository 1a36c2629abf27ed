"""Finding the MTU of a path whose routers tell none (RFC 4821, as Linux's net.ipv4.tcp_mtu_probing).

A connection that searches begins with small segments. Now and then it sends one that is longer, halfway to the longest
that could be, with enough behind it that its loss is seen at once. If it arrives, segments are as long from then on; if
it does not, no congestion is to blame, and shorter ones are tried. One whose segments vanish for long begins to search
then, as the path may be a black hole for them.
"""

from aionetflow.config import RTO_MIN, SECOND
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.mtu_search import MtuSearch
from aionetflow.tcp.options import TIMESTAMPS_LENGTH
from aionetflow.tcp.recovery import CWR, OPEN
from aionetflow.tcp.sequence import seq_add, seq_lt
from aionetflow.tcp.timeouts import model_timeout
from aionetflow.widths import i64

_LEAST_WINDOW = 11  # Linux tcp_mtu_probe: segments


def begin_with_search(connection: Connection, now: i64) -> None:
    """The peer's SYN is here, and the connection is to search from the start (Linux tcp_mtup_init).

    As on Linux, who has accepted sends long segments for all that until the first probe has arrived.
    """
    _begin(connection, now)
    if not connection.passive:
        connection.fit_mss()


def look_for_black_hole(connection: Connection, now: i64) -> None:
    """A time-out: segments that vanish for so long may be too long for the way (RFC 4821 7.7, Linux tcp_mtu_probing).

    The first time they are made as short as net.ipv4.tcp_base_mss, then half as long with each time-out.
    """
    sysctl = connection.sysctl
    if not sysctl.tcp_mtu_probing or connection.retries == 0:
        return
    if now - connection.stuck_since < model_timeout(sysctl.tcp_retries1, RTO_MIN):
        return
    search = connection.search
    if search is None:
        _begin(connection, now)
    else:
        half = (search.low - _overhead(connection)) >> 1
        least = max(sysctl.tcp_mtu_probe_floor, sysctl.tcp_min_snd_mss)
        search.low = max(min(sysctl.tcp_base_mss, half), least) + _overhead(connection)
    connection.fit_mss()


def probe_length(connection: Connection, now: i64) -> i64:
    """How many octets of new data are to go as a probe now; 0 for none, -1 if new data wait until one can go.

    RFC 4821 7.3, 7.4; Linux tcp_mtu_probe. The caller has nothing to report by SACK.
    """
    search, snd, recovery = connection.search, connection.snd, connection.recovery
    assert search is not None
    cwnd = recovery.cc.cwnd
    if search.probe_size or recovery.state != OPEN or cwnd < _LEAST_WINDOW * snd.mss:
        return 0
    overhead = _overhead(connection)
    if search.high - search.low < connection.sysctl.tcp_probe_threshold:
        if now - search.since >= connection.sysctl.tcp_probe_interval * SECOND:
            _search_anew(connection, search, now)
        return 0
    length = (search.high + search.low) // 2 - overhead
    needed = length + (recovery.reordering + 1) * snd.mss  # so much that duplicates will tell of its loss
    flight: i64 = snd.in_flight()
    if snd.unsent() < needed or snd.snd_wnd < needed or connection.urgent is not None:
        return 0
    if flight + needed > snd.snd_wnd:
        return -1
    if recovery.in_flight(flight) + max(length, 2 * snd.mss) > cwnd:
        return -1 if recovery.in_flight(flight) else 0
    return length


def note_probe(connection: Connection, length: i64) -> None:
    """That many octets leave as a probe, from snd_nxt on."""
    search, snd = connection.search, connection.snd
    assert search is not None
    search.probe_size = length + _overhead(connection)
    search.probe_start = snd.snd_nxt
    search.probe_end = seq_add(snd.snd_nxt, length)


def take_ack_of_probe(connection: Connection, now: i64) -> None:
    """Something was acknowledged: the probe too? Then segments may be as long (RFC 4821 7.6.1)."""
    search, recovery = connection.search, connection.recovery
    assert search is not None
    if not search.probe_size or seq_lt(connection.snd.snd_una, search.probe_end):
        return
    # Linux tcp_mtup_probe_success; its window is one of segments and shrinks, ours is one of octets
    recovery.prior_ssthresh = recovery.current_ssthresh()
    recovery.cc.ssthresh = recovery.prior_ssthresh
    recovery.cwnd_stamp = now
    search.low = search.probe_size
    search.probe_size = 0
    connection.fit_mss()
    connection.stats.TCPMTUPSuccess += 1


def probe_failed(connection: Connection) -> bool:
    """Whether what was found to be lost is the probe alone; then it is sent again in short segments.

    RFC 4821 7.6.2: that is no sign of congestion. The window stays.
    """
    search, recovery = connection.search, connection.recovery
    assert search is not None
    if not search.probe_size or recovery.state >= CWR or connection.snd.snd_una != search.probe_start:
        return False
    search.high = search.probe_size - 1
    connection.stats.TCPMTUPFail += 1
    _resend_probe(connection, search)
    return True


def limit_search(connection: Connection) -> None:
    """ICMP has told what the way takes: nothing longer is tried, and a probe that is longer is lost."""
    search = connection.search
    assert search is not None
    search.high = min(search.high, connection.mtu)
    if search.probe_size > connection.mtu:
        _resend_probe(connection, search)


def _begin(connection: Connection, now: i64) -> None:
    low = connection.sysctl.tcp_base_mss + _overhead(connection)
    connection.search = MtuSearch(low, _highest(connection), now)


def _search_anew(connection: Connection, search: MtuSearch, now: i64) -> None:
    """Linux tcp_mtu_check_reprobe: the way may take more by now."""
    search.low = connection.snd.mss + _overhead(connection)
    search.high = _highest(connection)
    search.since = now


def _highest(connection: Connection) -> i64:
    """The longest packet that may be tried."""
    return min(min(connection.peer_mss, connection.advertised_mss()) + connection.header_length(), connection.mtu)


def _overhead(connection: Connection) -> i64:
    """What of a packet is no data: headers, with the timestamps in them."""
    return connection.header_length() + (TIMESTAMPS_LENGTH if connection.timestamps else 0)


def _resend_probe(connection: Connection, search: MtuSearch) -> None:
    search.probe_size = 0
    connection.recovery.resend(search.probe_start, search.probe_end, connection.snd.snd_nxt)
