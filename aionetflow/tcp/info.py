"""TCP_INFO: what a connection is doing, under the names and in the units of Linux's struct tcp_info (linux/tcp.h)."""

import struct
from typing import NamedTuple

from aionetflow.tcp.congestion.base import INFINITE
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.pace import UNLIMITED
from aionetflow.tcp.pacing import pacing_rate
from aionetflow.tcp.recovery import Recovery
from aionetflow.tcp.states import CLOSED, LISTEN
from aionetflow.widths import i64

_LAYOUT = struct.Struct("=8B24I4Q6I4Q2I2Q6I2HI")
_LONGEST = 65535  # what an IP packet's length field can say
_MICROSECOND = 1000
_MILLISECOND = 1_000_000
_UNLIMITED = (1 << 64) - 1  # of rates, in octets per second
_UNKNOWN = (1 << 32) - 1  # Linux: no round trip was measured
_OPT_TIMESTAMPS = 1
_OPT_SACK = 2
_OPT_WSCALE = 4
_OPT_ECN = 8
_OPT_SYN_DATA = 32
_OPT_TFO_CHILD = 128
_U8, _U16, _U32 = 0xFF, 0xFFFF, 0xFFFFFFFF


class TcpInfo(NamedTuple):
    """What getsockopt(TCP_INFO) tells; each name is Linux's without `tcpi_`.

    Windows and thresholds of congestion control are in segments, as there. What this stack does not measure is 0.

    >>> info = TcpInfo(state=1, rtt=100_000, snd_cwnd=10)
    >>> info.rtt, len(info.pack())
    (100000, 248)
    """

    state: int = 7  # aionetflow.tcp.states.State
    ca_state: int = 0  # 0 Open, 1 Disorder, 2 CWR, 3 Recovery, 4 Loss
    retransmits: int = 0  # time-outs since something new was acknowledged
    probes: int = 0  # of a closed window or of an idle peer, not answered
    backoff: int = 0  # how often the time-out was doubled
    options: int = 0  # 1 timestamps, 2 SACK, 4 window scale, 8 ECN, 32 data of the SYN were taken, 128 opened by them
    wscale: int = 0  # snd_wscale in the lower four bits, rcv_wscale in the upper
    flags: int = 0  # 1 delivery_rate is limited by the application, 6 fastopen_client_fail
    rto: int = 1_000_000  # µs
    ato: int = 0  # µs: how long an acknowledgment may wait
    snd_mss: int = 536
    rcv_mss: int = 0  # what the peer's full segments seem to hold
    unacked: int = 0  # segments; of a listener, connections that wait to be accepted
    sacked: int = 0  # segments; of a listener, the backlog
    lost: int = 0  # segments taken for lost
    retrans: int = 0  # segments sent again and not acknowledged
    fackets: int = 0
    last_data_sent: int = 0  # ms ago
    last_ack_sent: int = 0  # not remembered, neither on Linux
    last_data_recv: int = 0  # ms ago
    last_ack_recv: int = 0  # ms ago
    pmtu: int = 0
    rcv_ssthresh: int = 0  # the largest window that may be offered
    rtt: int = 0  # µs, smoothed
    rttvar: int = 0  # µs
    snd_ssthresh: int = INFINITE
    snd_cwnd: int = 10
    advmss: int = 0
    reordering: int = 3
    rcv_rtt: int = 0  # µs, as the receiver sees it
    rcv_space: int = 0
    total_retrans: int = 0  # segments
    pacing_rate: int = _UNLIMITED  # octets per second
    max_pacing_rate: int = _UNLIMITED
    bytes_acked: int = 0  # SYN and FIN count as one each
    bytes_received: int = 0
    segs_out: int = 0
    segs_in: int = 0
    notsent_bytes: int = 0
    min_rtt: int = _UNKNOWN  # µs
    data_segs_in: int = 0
    data_segs_out: int = 0
    delivery_rate: int = 0  # octets per second
    busy_time: int = 0  # µs
    rwnd_limited: int = 0  # µs
    sndbuf_limited: int = 0  # µs
    delivered: int = 0  # segments
    delivered_ce: int = 0
    bytes_sent: int = 0  # of data, what was sent again counted again
    bytes_retrans: int = 0
    dsack_dups: int = 0
    reord_seen: int = 0
    rcv_ooopack: int = 0  # segments that came ahead of their turn
    snd_wnd: int = 0  # the peer's window, scaled
    rcv_wnd: int = 0  # ours, as it was offered last
    rehash: int = 0
    total_rto: int = 0
    total_rto_recoveries: int = 0
    total_rto_time: int = 0  # ms

    def pack(self) -> bytes:
        """The octets of struct tcp_info as Linux 6.7 has it; later versions have more behind."""
        return _LAYOUT.pack(*self)


def info_of_listener(ready: int, backlog: int) -> TcpInfo:
    """What there is to tell of a socket that listens."""
    return TcpInfo(state=LISTEN, unacked=ready, sacked=backlog)


def info_of(connection: Connection, now: i64) -> TcpInfo:
    """What a connection is doing now."""
    snd, rcv, acks = connection.snd, connection.rcv, connection.acks
    fields = _of_recovery(connection.recovery, snd.mss)
    fields |= _of_timers(connection, now)
    data, fast = snd.queue.released, connection.fast_open
    return TcpInfo(
        state=connection.state,
        options=_options(connection),
        wscale=snd.snd_wscale | rcv.rcv_wscale << 4 if connection.scaling else 0,
        flags=fast.client_fail << 1 if fast is not None else 0,
        ato=acks.ato // _MICROSECOND,
        snd_mss=snd.mss,
        rcv_mss=rcv.mss,
        unacked=-(-snd.unacknowledged() // snd.mss) if connection.state != CLOSED else 0,
        pmtu=min(connection.mtu, connection.route.interface.mtu, _LONGEST),
        rcv_ssthresh=rcv.trusted,
        advmss=connection.advertised_mss(),
        rcv_space=rcv.limit,
        total_retrans=connection.total_retrans & _U32,
        pacing_rate=_rate(pacing_rate(connection)),
        max_pacing_rate=_rate(connection.pace.asked if connection.pace is not None else UNLIMITED),
        bytes_acked=data + int(snd.syn_acked and not connection.passive) + int(snd.fin_acknowledged()),
        bytes_received=rcv.received + int(rcv.ended),
        segs_out=connection.segs_out & _U32,
        segs_in=connection.segs_in & _U32,
        notsent_bytes=max(snd.unsent(), 0) if snd.queue.length else 0,
        data_segs_in=connection.data_segs_in & _U32,
        data_segs_out=connection.data_segs_out & _U32,
        bytes_sent=data + max(snd.unacknowledged(), 0) + connection.bytes_retrans,
        bytes_retrans=connection.bytes_retrans,
        snd_wnd=snd.snd_wnd,
        rcv_wnd=rcv.offered(),
        total_rto=min(connection.total_rto, _U16),
        **fields,
    )


def _rate(rate: i64) -> int:
    """Octets per second, or Linux's number for no limit."""
    return rate if rate < UNLIMITED else _UNLIMITED


def _options(connection: Connection) -> int:
    """What both ends have agreed on."""
    fast = connection.fast_open
    agreed = (
        (connection.timestamps, _OPT_TIMESTAMPS),
        (connection.recovery.selective, _OPT_SACK),
        (connection.scaling, _OPT_WSCALE),
        (connection.ecn, _OPT_ECN),
        (fast is not None and fast.acknowledged, _OPT_SYN_DATA),
        (fast is not None and fast.queue is not None, _OPT_TFO_CHILD),
    )
    return sum(bit for is_on, bit in agreed if is_on)


def _of_recovery(recovery: Recovery, mss: i64) -> dict[str, int]:
    """What loss recovery and congestion control know, in segments where they count octets."""
    rtt, cc = recovery.rtt, recovery.cc
    least = recovery.min_rtt
    return {
        "ca_state": recovery.state,
        "backoff": min(rtt.backoff, _U8),
        "rto": rtt.rto() // _MICROSECOND,
        "rtt": rtt.srtt // _MICROSECOND,
        "rttvar": (rtt.mdev >> 2) // _MICROSECOND,
        "min_rtt": least // _MICROSECOND if least else _UNKNOWN,
        "reordering": recovery.reordering,
        "reord_seen": int(recovery.reord_seen),
        "sacked": -(-recovery.sacked // mss),
        "lost": -(-recovery.lost // mss),
        "retrans": -(-recovery.resent // mss),
        "delivered": recovery.delivered // mss & _U32,
        "dsack_dups": recovery.dsack_count,
        "snd_ssthresh": cc.ssthresh // mss if cc.ssthresh < INFINITE else INFINITE,
        "snd_cwnd": cc.cwnd // mss,
    }


def _of_timers(connection: Connection, now: i64) -> dict[str, int]:
    """How often was tried, and how long ago what was heard."""
    probing = connection.snd.in_flight() == 0
    patience = connection.patience
    probes = connection.retries if probing else 0
    if patience is not None and patience.probed_at > connection.heard_at:
        probes = patience.probes
    return {
        "retransmits": 0 if probing else min(connection.retries, _U8),
        "probes": min(probes, _U8),
        "last_data_sent": _age(connection.sent_at, now),
        "last_data_recv": _age(connection.acks.received_at, now),
        "last_ack_recv": _age(connection.heard_at, now),
    }


def _age(when: i64, now: i64) -> int:
    """ms; 0 if it never was."""
    return min((now - when) // _MILLISECOND, _U32) if when <= now else 0
