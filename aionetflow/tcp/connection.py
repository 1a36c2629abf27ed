"""One TCP connection (RFC 9293): its control block, what the application does to it, and how it ends.

The verbs that drive a connection from below are functions of the modules named for them:

    handshake.open_actively(connection, now)           connect(); open_passively for a listener
    arrival.receive(connection, segment, now)          a segment came in; arrival.receive_icmp, an ICMP error
    departure.output(connection, packet, now)          makes the next segment that is due, until it says False
    connection.timers.deadline()                       when to call departure.expire(connection, now)

Nothing here sends, waits or calls back. Whoever drives a connection calls output until there is nothing more, looks at
the deadline, and tells the user when `wake` is set (socket/driver.py).
"""

from typing import Any

from aionetflow.config import DEFAULT_MSS, DEFAULT_TTL, MILLISECOND, NEVER, SECOND, TIME_WAIT_TIME
from aionetflow.ip.route import IP_PMTUDISC_WANT, Route
from aionetflow.packet import IcmpOrigin
from aionetflow.stats import TcpStats
from aionetflow.sysctl import Sysctl
from aionetflow.tcp.challenge import ChallengeLimit
from aionetflow.tcp.congestion.base import CongestionControl
from aionetflow.tcp.delayed_ack import Acknowledgments
from aionetflow.tcp.fast_open import FastOpen
from aionetflow.tcp.mtu_search import MtuSearch
from aionetflow.tcp.options import TIMESTAMPS_LENGTH
from aionetflow.tcp.pace import Pace
from aionetflow.tcp.patience import Patience
from aionetflow.tcp.receive import Receiver
from aionetflow.tcp.recovery import Recovery
from aionetflow.tcp.rtt import RttEstimator
from aionetflow.tcp.segment import RST, Segment
from aionetflow.tcp.send import Sender
from aionetflow.tcp.sequence import M32, seq_add, seq_between, seq_lt, seq_sub
from aionetflow.tcp.states import (
    CLOSED,
    FIN_WAIT_2,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    Event,
    is_open,
    is_synchronized,
    may_receive,
    next_state,
)
from aionetflow.tcp.timers import Timers
from aionetflow.tcp.urgent_mark import UrgentMark
from aionetflow.widths import i64, u32

_LONGEST = 65535  # what an IP packet's length field can say
_LEAST_ADVMSS = 256  # net.ipv4.route.min_adv_mss
_LEAST_ADVMSS_6 = 1220  # net.ipv6.route.min_adv_mss
_LONGEST_RTT = 0x7FFFFFFF // 1000  # milliseconds; Linux: what fits its microseconds
_CLOSE = int(Event.CLOSE)
_ABORT = int(Event.ABORT)
_TIMEOUT = int(Event.TIMEOUT)


class ConnectionUser:
    """Who uses a connection: a socket, or the listener that has yet to hand it out."""

    def changed(self, connection: "Connection") -> None:
        """Its state, its readable data, its room to write or its error has changed."""

    def hear_icmp(self, connection: "Connection", data: bytes, code: int, info: int, origin: IcmpOrigin | None) -> bool:
        """ICMP reports on a segment of its, of which data is quoted; True if an open one is to tell of it at once."""
        return False


class Connection:
    """The control block of one connection."""

    def __init__(
        self, route: Route, local: bytes, local_port: int, remote: bytes, remote_port: int, iss: u32,
        receive_limit: i64, send_limit: i64, cc: CongestionControl, stats: TcpStats, sysctl: Sysctl,
        challenges: ChallengeLimit,
    ) -> None:  # fmt: skip
        """A closed one. The list is better whole."""
        self.route = route
        self.local = local
        self.local_port = local_port
        self.remote = remote
        self.remote_port = remote_port
        self.stats = stats
        self.sysctl = sysctl
        self.challenges = challenges
        self.state = CLOSED
        self.user: ConnectionUser | None = None  # None: closed by the application, finishing alone
        self.error = 0  # an errno the application has yet to hear (Linux sk_err)
        self.soft_error = 0  # why nothing may be arriving, told if the connection times out (Linux sk_err_soft)
        self.ttl = DEFAULT_TTL
        self.tos = 0
        self.passive = False
        self.scaling = False  # both ends offered a window scale
        self.timestamps = False  # ... and timestamps (RFC 7323)
        self.ts_offset: u32 = 0  # what our clock of timestamps began with
        self.tsecr: u32 = 0  # the last timestamp of ours that the peer gave back
        self.ecn = False  # both ends know ECN (RFC 3168)
        self.ecn_echo = False  # the peer's packets met congestion, and it has not said yet that it knows
        self.cwr_due = False  # our window was reduced, which the peer has yet to be told
        self.read_shut = self.write_shut = False
        self.snd = Sender(iss, send_limit)
        self.rcv = Receiver(receive_limit)
        self.acks = Acknowledgments()
        self.timers = Timers()
        self.recovery = Recovery(iss, cc, RttEstimator(), sysctl.tcp_reordering)
        self.sent_at: i64 = NEVER  # when new data, or the first SYN, was last sent
        self.user_mss = 0  # TCP_MAXSEG; 0: no limit
        self.peer_mss: i64 = DEFAULT_MSS  # what the peer's SYN offered
        self.device = 0  # the index of the interface that it is bound to; 0: any
        self.mtu: i64 = _LONGEST  # of the way, when the segment size was last looked at
        self.mtu_discover = IP_PMTUDISC_WANT
        self.ident = (iss ^ iss >> 16) & 0xFFFF  # of its next packet (Linux inet_id: random)
        self.retries = 0  # retransmissions, or probes, since the peer was last heard
        self.stuck_since: i64 = NEVER  # when the first of them was made (probes: since the window was last open)
        self.heard_at: i64 = 0  # when the peer acknowledged something last, be it what it had acknowledged before
        self.urgent: UrgentMark | None = None  # where urgent data are, if there ever were any
        self.patience: Patience | None = None  # how long to go on, where the application has a say in that
        self.pace: Pace | None = None  # when data may leave, where they do so at a rate
        self.search: MtuSearch | None = None  # for the longest packet that the way takes, where one goes on
        self.fast_open: FastOpen | None = None  # what RFC 7413 has to do with it, if anything
        # TCP_INFO tells of these
        self.segs_in = self.segs_out = self.data_segs_in = self.data_segs_out = 0
        self.total_retrans = self.total_rto = self.bytes_retrans = 0
        self.syn_due = self.syn_sent = self.need_ack = False
        self.dup_acks_due = 0  # acknowledgments owed for segments ahead of their turn, one each (RFC 5681 4.2)
        self.tail_due = False  # a loss probe is to be sent
        self.probe_due = self.reset_due = False
        self.refused: u32 = 0  # SYN-SENT, SYN-RECEIVED: the number for the RST to a segment of another life
        self.refuse_due = False
        self.answered_at: i64 = -NEVER  # when a segment that makes no sense was last answered
        self.wake = False  # the user should be told
        self.waiting = False  # counted among the host's connections in TIME-WAIT
        self.numbered = True  # its packets have identifications: it still has a socket, as Linux sees it
        self.queued = False  # the driver has it on its list
        self.unscheduled = False  # the driver has yet to look at its timers
        self.scheduled_at: i64 = NEVER  # the driver's timer entry
        self.key = b""  # the host's table of sockets has it under this ...
        self.claim: Any = None  # ... with this claim to its port; None: the table has it not
        if cc.paces:
            self.pace = Pace(iss, 0)

    # The application's side ---------------------------------------------------------------------------------

    def room(self) -> i64:
        """How much may be written now."""
        snd = self.snd
        room = snd.room()
        if snd.unsent_limit:
            flight = snd.in_flight()
            room = min(room, snd.unsent_room(min(snd.snd_wnd - flight, self.recovery.room(flight))))
        return room

    def write(self, data: bytes) -> None:
        """Queues data to be sent. The caller has seen that there is room and that the state allows it."""
        self.snd.queue.append(data)

    def write_part(self, data: bytes, start: i64, stop: i64) -> None:
        """As write, of [start, stop) of data, without a copy."""
        self.snd.queue.append_part(data, start, stop)

    def read(self, limit: i64) -> bytes:
        """Takes up to limit octets of what was received; the peer hears of the room when that matters."""
        data = self.rcv.queue.read(limit)
        self.after_read()
        return data

    def read_piece(self, limit: i64) -> bytes:
        """As read, but maybe less than there is, where that saves a copy."""
        data = self.rcv.queue.read_piece(limit)
        self.after_read()
        return data

    def read_into(self, view: memoryview) -> i64:
        """As read, into a writable view of octets, as many as it holds: how many."""
        count = self.rcv.queue.read_into(view)
        self.after_read()
        return count

    def after_read(self) -> None:
        """Something was read: the acknowledgment that was to wait for that is due, or one that opens the window."""
        if self.acks.after_read(self.rcv) or (may_receive(self.state) and self.rcv.window_opened()):
            self.need_ack = True

    def shut_write(self) -> None:
        """No more will be written: a FIN follows what is queued (RFC 9293 3.10.4)."""
        if self.write_shut:
            return
        self.write_shut = True
        if self.user is not None and self.is_early():
            return  # Linux tcp_shutdown: the FIN is for when the handshake has ended
        self.snd.fin_queued = is_open(self.state) or self.state == SYN_RECEIVED
        self.transition(_CLOSE)
        self.wake = True

    def close(self, now: i64) -> None:
        """The application lets go: finish in good order, or by RST if it left data unread (RFC 2525 2.17)."""
        self.user = None
        if self.rcv.queue.length > 0 and self.state != CLOSED and self.state != TIME_WAIT:
            self.stats.TCPAbortOnClose += 1
            self.abort(0)
            return
        self.read_shut = True
        if self.state == SYN_SENT:
            self.fail(_CLOSE, 0)
            return
        self.shut_write()
        if self.state == FIN_WAIT_2 and not self._leave(now):
            self.abort(0)

    def abort(self, error: int) -> None:
        """Ends the connection now; the peer gets a RST if it knows of us (RFC 9293 3.10.5)."""
        self.reset_due = is_synchronized(self.state) or self.state == SYN_RECEIVED
        if self.state == TIME_WAIT:
            self.reset_due = False
        self.fail(_ABORT, error)

    # What the roles share ---------------------------------------------------------------------------------------

    def transition(self, event: int) -> None:
        """Moves along the table: the only place that changes the state."""
        before = self.state
        self.state = next_state(before, event)
        self.stats.CurrEstab += is_open(self.state) - is_open(before)

    def fail(self, event: int, error: int) -> None:
        """The connection is over; error is what the application will hear, 0 for nothing."""
        if self.state == SYN_SENT or (self.state == SYN_RECEIVED and self.passive):
            self.stats.AttemptFails += 1
        elif is_open(self.state):
            self.stats.EstabResets += 1
        if self.fast_open is not None:
            self.fast_open.over(self.data_segs_in > 0)
        self.transition(event)
        if error:
            self.error = error
        self.read_shut = self.write_shut = True
        self.timers.stop()
        self.snd.queue.clear()
        self.recovery.clear()
        self.rcv.reassembly.clear()
        self.syn_due = self.need_ack = self.probe_due = self.tail_due = self.acks.scheduled = False
        self.dup_acks_due = 0
        self.wake = True

    def refuse(self, segment: Segment) -> None:
        """A segment acknowledges what was never sent: its sender gets a RST, this connection goes on."""
        if not segment.flags & RST:
            self.refused = segment.ack
            self.refuse_due = True

    def is_early(self) -> bool:
        """Whether it was made by a SYN with data whose answer is not acknowledged yet (RFC 7413)."""
        return self.fast_open is not None and self.fast_open.pending

    def is_opening(self) -> bool:
        """Whether data must wait for the end of the handshake; by RFC 7413 not always."""
        if self.state != SYN_SENT and self.state != SYN_RECEIVED:
            return False
        return self.fast_open is None or not (self.fast_open.pending or self.fast_open.deferred)

    def advertised_mss(self) -> i64:
        """The largest segment that the way out takes, less headers (RFC 9293 3.7.1)."""
        mss = min(self.route.interface.mtu, _LONGEST) - self.header_length()
        return min(mss, self.user_mss) if self.user_mss else mss

    def offered_mss(self, now: i64) -> i64:
        """The segment size that a SYN offers: no more than fits what is known of the way back's MTU.

        Linux ipv4_default_advmss, ip6_default_advmss: but not less than 256 octets, over IPv6 1220.
        """
        least = _LEAST_ADVMSS if len(self.local) == 4 else _LEAST_ADVMSS_6
        return min(self.advertised_mss(), max(self.route.path_mtu(now) - self.header_length(), least))

    def max_mss(self) -> i64:
        """The largest segment that the whole way takes, as far as is known."""
        return min(self.advertised_mss(), self.mtu - self.header_length())

    def header_length(self) -> i64:
        """Octets of an IP header and a TCP header without options."""
        return 40 if len(self.local) == 4 else 60

    def fit_mss(self) -> None:
        """Segments are as long as peer and way take, as far as is known (Linux tcp_sync_mss)."""
        mss = min(self.peer_mss, self.max_mss())
        self.set_mss(mss if self.search is None else min(mss, self.search.low - self.header_length()))

    def set_mss(self, mss: i64) -> None:
        """Segments hold at most that many octets from now on, timestamps included (Linux tcp_mtu_to_mss)."""
        mss = max(mss, min(self.sysctl.tcp_min_snd_mss, self.advertised_mss()))  # no more than the way out takes
        if self.timestamps:
            mss -= TIMESTAMPS_LENGTH
        self.snd.path_mss = mss
        self.bound_mss()

    def bound_mss(self) -> None:
        """As set_mss, when it may be that the peer has offered a larger window than ever (Linux tcp_sync_mss)."""
        snd, cc = self.snd, self.recovery.cc
        mss = snd.fitting_mss(20 + (TIMESTAMPS_LENGTH if self.timestamps else 0))
        snd.is_bounded = snd.max_wnd < 2 * snd.path_mss
        if mss > snd.mss:
            cc.cwnd = cc.cwnd // snd.mss * mss  # Linux counts the window in segments
        snd.mss = mss
        cc.on_mss(mss)

    def is_cut_too_long(self) -> bool:
        """Whether our segments are longer than the way takes."""
        return self.snd.path_mss + (TIMESTAMPS_LENGTH if self.timestamps else 0) > self.max_mss()

    def tsval(self, now: i64) -> u32:
        """The time in our timestamps: milliseconds from a random start (RFC 7323 5.4, Linux tcp_time_stamp)."""
        return seq_add(self.ts_offset, (now // MILLISECOND) & M32)

    def echoed_rtt(self, tsecr: u32, now: i64) -> i64:
        """The round-trip time that an echoed timestamp tells (RFC 7323 4.1), at least a millisecond; -1 if none."""
        ticks = seq_sub(self.tsval(now), tsecr)
        return max(ticks, 1) * MILLISECOND if ticks < _LONGEST_RTT else -1

    def echoes_before(self, when: i64) -> bool:
        """Whether the last echo was of a segment sent before a time."""
        return self.timestamps and self.tsecr != 0 and seq_lt(self.tsecr, self.tsval(when))

    def echoes_our_syn(self, segment: Segment, now: i64) -> bool:
        """Whether a SYN-ACK gives back a timestamp of this SYN, not of another life (Linux PAWSActiveRejected)."""
        if not segment.timestamped or segment.tsecr == 0 or not self.sysctl.tcp_timestamps:
            return True
        if self.sent_at == NEVER or seq_between(self.tsval(self.sent_at), segment.tsecr, self.tsval(now)):
            return True
        self.stats.PAWSActive += 1
        return False

    def queue_cwr(self) -> None:
        """The window is being reduced: the peer is told with the next new data (RFC 3168 6.1.2)."""
        if self.ecn:
            self.cwr_due = True

    def challenge(self, now: i64) -> None:
        """RFC 5961: asks the peer by an ACK whether it meant that; 7: not too often (Linux tcp_send_challenge_ack)."""
        if self.was_answered(now):
            self.stats.TCPACKSkippedChallenge += 1
        elif self.challenges.allows(self.sysctl.tcp_challenge_ack_limit, now):
            self.stats.TCPChallengeACK += 1
            self.need_ack = True

    def is_answered(self, now: i64, by_stamp: bool) -> bool:
        """Whether a segment with a wrong number, or a wrong timestamp, was answered a moment ago.

        Two ends must not answer each other for ever.
        """
        if not self.was_answered(now):
            return False
        if by_stamp:
            self.stats.TCPACKSkippedPAWS += 1
        else:
            self.stats.TCPACKSkippedSeq += 1
        return True

    def was_answered(self, now: i64) -> bool:
        """Whether a segment that makes no sense was answered a moment ago (net.ipv4.tcp_invalid_ratelimit).

        If not, it counts as answered now.
        """
        if now < self.answered_at + self.sysctl.tcp_invalid_ratelimit * MILLISECOND:
            return True
        self.answered_at = now
        return False

    def settle(self, now: i64) -> None:
        """After a transition of the closing: starts the wait that the new state calls for."""
        if self.state == TIME_WAIT:
            self.timers.stop()
            self.timers.wait = now + TIME_WAIT_TIME
            self.snd.queue.clear()
            self.recovery.clear()
            self.wake = True
        elif self.state == FIN_WAIT_2 and self.user is None:
            if not self._leave(now):
                self.refused = self.snd.snd_nxt
                self.refuse_due = True
                self.fail(_ABORT, 0)
        elif self.state == CLOSED:  # LAST-ACK is over
            self.fail(_TIMEOUT, 0)

    def _leave(self, now: i64) -> bool:
        """Nobody holds it, and only the peer's FIN is missing: waits for that, False if TCP_LINGER2 says not at all.

        Linux tcp_fin_time: no shorter than three and a half retransmission time-outs.
        """
        seconds: i64 = self.patience.orphan_seconds if self.patience is not None else 0
        if seconds < 0:
            self.stats.TCPAbortOnLinger += 1
            return False
        seconds = seconds or self.sysctl.tcp_fin_timeout
        rto = self.recovery.rtt.rto()
        self.timers.wait = now + max(seconds * SECOND, 4 * rto - rto // 2)
        return True
