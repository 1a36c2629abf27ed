"""The way of the bytes, line by line: from taps on links and interfaces, and from looks at control blocks.

Nothing is printed here but what a frame says or a control block holds at that moment of virtual time: the same run
gives the same lines. Sequence numbers are absolute in the handshake and relative from then on, as in Wireshark: the
first octet of each direction is number 1.
"""

from collections.abc import Callable

from aionetflow.async_socket import Socket
from aionetflow.cli.frames import TcpFrame, read_tcp
from aionetflow.cli.output import TITLE, Line
from aionetflow.clock import Clock
from aionetflow.config import DUP_ACK_THRESHOLD, RTO_MAX
from aionetflow.ethernet import arp
from aionetflow.ethernet.frame import BROADCAST, mac_text
from aionetflow.ip.address import unpack
from aionetflow.link.channel import Channel
from aionetflow.link.memory import MemoryLink
from aionetflow.network.host import Host
from aionetflow.tcp.congestion.base import INFINITE
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.recovery import LOSS, RECOVERY
from aionetflow.tcp.segment import ACK, FIN, RST, SYN
from aionetflow.tcp.sequence import seq_lt, seq_sub
from aionetflow.tcp.states import CLOSED, SYN_RECEIVED, SYN_SENT, TIME_WAIT, State

WIDTH = 100  # columns of the longest line that is meant to be read
SEGMENTS = ("SYN", "DATA", "ACK", "FIN", "RST")  # kinds of line that tell of a segment; all are about TCP


class End:
    """One end of the connection, as the story knows it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name = host.name
        self.block: Connection | None = None
        self.state = CLOSED
        self.iss = -1  # -1: no SYN yet
        self.window_scale = -1
        self.mss = 0
        self.next = 0  # the number after the last one sent
        self.segments = 0  # with data, and sent for the first time
        self.acks = 0  # without data
        self.fin_sent = False
        self.window = -1  # the receive window that was last told
        self.cwnd = 0  # the congestion window that was last told
        self.ssthresh = INFINITE
        self.recover = -1  # the fast recovery that was last told
        self.timeouts = 0  # how many were told
        self.probes = 0

    def relative(self, number: int) -> int:
        """A sequence number of this end's, counted from its SYN."""
        return seq_sub(number, self.iss)


class Story:
    """Tells what happens between two hosts, one of which connects to the other once."""

    def __init__(self, show: Callable[[Line], None], clock: Clock, client: Host, server: Host) -> None:
        self._show = show
        self._clock = clock
        self._ends = {host.addresses[0]: End(host) for host in (client, server)}
        self._hops: dict[Channel, tuple[str, str]] = {}
        self._crossings: list[tuple[int, Channel, TcpFrame]] = []  # of the packet that is followed
        self._followed = False
        self._closing = False
        self._looking = False
        for host in (client, server):
            host.interfaces[0].taps.append(self._at_interface)

    def watch(self, link: MemoryLink, a: str, b: str) -> None:
        """Tells of a link too; a and b are the names of the nodes at its ends."""
        self._hops[link.a_to_b] = (a, b)
        self._hops[link.b_to_a] = (b, a)
        link.tap(self._at_link)

    def heading(self, text: str) -> None:
        """Begins a chapter."""
        for line in heading(text):
            self._show(line)

    def tell(self, kind: str, where: str, text: str, time_ns: int | None = None) -> None:
        """One line: when (now if nothing else is said), where, about what, and what."""
        when = self._clock.now() if time_ns is None else time_ns
        subject = "TCP" if kind in SEGMENTS else kind
        self._show(Line(kind, f"{when / 1e6:10.3f}  {where:<13} {subject:<6} {text}".rstrip()))

    def socket_made(self, sock: Socket) -> None:
        """A program has a new socket: what its control block says."""
        core, name = sock.core, sock.host.name
        local = f"local {unpack(core.local)}:{core.local_port or '*'}"
        peer = f"peer {unpack(core.remote)}:{core.remote_port or '*'}"
        self.tell("SOCKET", name, f"control block: fd {core.fileno()}, tcp {core.state_name()}, {local}, {peer}")
        owner = f"owner task {core.owner.task!r} of this process"
        self.tell("SOCKET", name, f"{owner}; SO_RCVBUF {core.receive_buffer}, SO_SNDBUF {core.send_buffer}")

    # What the taps see --------------------------------------------------------------------------------------------

    def _at_interface(self, time_ns: int, frame: bytes, outbound: bool) -> None:
        """Whatever comes in or goes out may change a control block: look when the stack is done with it."""
        if not self._looking:
            self._looking = True
            self._clock.call_soon(self._look_later)

    def _look_later(self) -> None:
        self._looking = False
        self.look()

    def _at_link(self, time_ns: int, channel: Channel, frame: bytes, fate: str) -> None:
        sender, receiver = self._hops[channel]
        self._look_at_states()
        seen = read_tcp(frame)
        if seen is None:
            self._arp(frame, sender, receiver, fate)
            return
        end = self._ends.get(unpack(seen.source))
        peer = self._ends.get(unpack(seen.destination))
        if end is None or peer is None:
            return
        if sender == end.name:
            self._departs(end, peer, seen)
            self._look_at_windows()
        if fate:
            reason = "" if fate == "lost" else f"  ({fate})"
            self.tell("LOST", f"{sender} ✗ {receiver}", f"{self._segment(end, peer, seen)}{reason}")
        elif not self._followed and seen.length:
            self._follow(time_ns, channel, seen, peer)

    # ARP ----------------------------------------------------------------------------------------------------------

    def _arp(self, frame: bytes, sender: str, receiver: str, fate: str) -> None:
        heard = arp.parse(frame)
        if heard is None or heard.sender == heard.target:
            return  # a host announces its own address: nobody asked
        target, asker = unpack(heard.target), f"tell {unpack(heard.sender)}, {mac_text(heard.sender_mac)}"
        if heard.operation == arp.REPLY:
            text = f"{unpack(heard.sender)} is at {mac_text(heard.sender_mac)}"
        elif frame[:6] == BROADCAST:
            text = f"who has {target}? {asker}  (to all)"
        else:
            text = f"{target}, are you still there? {asker}"
        self.tell("ARP", f"{sender} → {receiver}", f"{text}  ({fate})" if fate else text)

    # TCP ----------------------------------------------------------------------------------------------------------

    def _departs(self, end: End, peer: End, seen: TcpFrame) -> None:
        """A segment leaves the host that made it."""
        where = f"{end.name} → {peer.name}"
        again = end.iss >= 0 and seen.occupies and seq_lt(seen.seq, end.next)
        if seen.flags & SYN and not again:
            end.iss, end.next = seen.seq, seen.seq
            end.mss, end.window_scale = seen.mss, seen.window_scale
        if again:
            self.tell("AGAIN", where, f"{self._segment(end, peer, seen)}  {self._why(end)}")
        elif seen.flags & SYN:
            self.tell("SYN", where, self._syn_text(seen))
        elif seen.flags & RST:
            self.tell("RST", where, self._text(end, peer, seen))
        elif seen.flags & FIN:
            self._begin_closing()
            self.tell("FIN", where, self._text(end, peer, seen))
        elif seen.length:
            end.segments += 1
            if _is_told(end.segments):
                self.tell("DATA", where, self._text(end, peer, seen, f"#{end.segments}"))
        else:
            self._acknowledges(end, peer, seen, where)
        if seen.occupies and not again:
            end.next = seen.end
            end.fin_sent = bool(seen.flags & FIN)
        if not seen.flags & (SYN | RST):
            self._receive_window(end, peer, seen, where)

    def _acknowledges(self, end: End, peer: End, seen: TcpFrame, where: str) -> None:
        end.acks += 1
        if end.acks == 1 and end.segments == 0 and peer.segments == 0:
            self.tell("SYN", where, self._numbers(seen))
            self._agreed(end, peer)
        elif _is_told(end.acks) or (peer.fin_sent and seen.ack == peer.next):
            self.tell("ACK", where, self._text(end, peer, seen, f"#{end.acks}"))

    def _begin_closing(self) -> None:
        if not self._closing:
            self._closing = True
            self.heading("the close: a FIN from each side, each acknowledged")

    def _syn_text(self, seen: TcpFrame) -> str:
        offers = [f"mss {seen.mss}"] if seen.mss else []
        if seen.window_scale >= 0:
            offers.append(f"wscale {seen.window_scale}")
        return f"{self._numbers(seen)} <{', '.join(offers)}>"

    def _numbers(self, seen: TcpFrame) -> str:
        """A segment of the handshake, its numbers as they stand in the header."""
        ack = f"ack {seen.ack}" if seen.flags & ACK else ""
        return f"{seen.names:<7}  seq {seen.seq:<10}  {ack:<14}  win {seen.window}"

    def _agreed(self, client: End, server: End) -> None:
        """What both SYNs come to (RFC 9293 3.7.1, RFC 7323 2.2)."""
        where = f"{client.name} ⇄ {server.name}"
        numbers = f"{client.name} counts from {client.iss} = 0, {server.name} from {server.iss} = 0"
        self.tell("AGREED", where, f"below, {numbers}")
        offers = [mss for mss in (client.mss, server.mss) if mss]
        segment = f"segments of at most {min(offers)} octets (the lesser MSS)" if offers else "segments of 536 octets"
        scaled = client.window_scale >= 0 and server.window_scale >= 0
        factors = sorted({1 << client.window_scale, 1 << server.window_scale}) if scaled else [1]
        self.tell("AGREED", where, f"{segment}, windows in units of {' and '.join(map(str, factors))}")

    def _text(self, end: End, peer: End, seen: TcpFrame, number: str = "") -> str:
        """A segment's flags, numbers and window."""
        segment = f"{self._segment(end, peer, seen):<30}"
        return f"{seen.names:<11}  {segment}  win {self._window_of(end, peer, seen):<6}  {number}"

    def _segment(self, end: End, peer: End, seen: TcpFrame) -> str:
        """Which numbers a segment takes, or which it acknowledges."""
        if seen.flags & SYN:
            return seen.names
        if not seen.occupies:
            return f"ack {peer.relative(seen.ack)}"
        first = end.relative(seen.seq)
        return f"seq {f'{first}:{first + seen.length}':<15}  len {seen.length}"

    # Windows ------------------------------------------------------------------------------------------------------

    def _window_of(self, end: End, peer: End, seen: TcpFrame) -> int:
        """The window that a segment offers, in octets."""
        scaled = end.window_scale >= 0 and peer.window_scale >= 0 and not seen.flags & SYN
        return seen.window << end.window_scale if scaled else seen.window

    def _receive_window(self, end: End, peer: End, seen: TcpFrame, where: str) -> None:
        """Tells the receive window when it has changed by a quarter since it was last told."""
        window, before = self._window_of(end, peer, seen), end.window
        if before < 0:
            end.window = window
        elif abs(window - before) * 4 >= max(before, 1):
            end.window = window
            closed = ", closed" if window == 0 else ""
            self.tell("WINDOW", where, f"receive window of {end.name} {before} → {window} octets{closed}")

    def _congestion_window(self, end: End, block: Connection) -> None:
        """Tells the congestion window when it has doubled, and when a loss was the reason to lower it."""
        cc = block.recovery.cc
        if cc.cwnd == 0 or block.state in (SYN_RECEIVED, CLOSED):
            return
        if cc.ssthresh != end.ssthresh:
            text = f"cwnd {cc.cwnd}, ssthresh {cc.ssthresh}: half of what is in flight"
        elif end.cwnd == 0:
            text = f"cwnd {cc.cwnd}, {cc.cwnd // cc.mss} segments: slow start"
        elif cc.cwnd >= 2 * end.cwnd and block.recovery.state != RECOVERY:
            phase = "slow start" if cc.cwnd < cc.ssthresh else "congestion avoidance"
            text = f"cwnd {end.cwnd} → {cc.cwnd}: {phase}"
        else:
            return
        end.cwnd, end.ssthresh = cc.cwnd, cc.ssthresh
        self.tell("WINDOW", end.name, text)

    # Why something is sent again ----------------------------------------------------------------------------------

    def _why(self, end: End) -> str:
        """Why a host sends something again, from what it knows itself."""
        block = end.block
        if block is None:
            return "sent again"
        recovery = block.recovery
        if block.state == SYN_SENT or block.state == SYN_RECEIVED:
            return f"no answer for {_rto(block)}" if block.retries else "the peer's SYN came again"
        if recovery.state == RECOVERY:
            if recovery.high_seq == end.recover:
                return "partial ACK: the next hole"
            end.recover = recovery.high_seq
            return f"{DUP_ACK_THRESHOLD} duplicate ACKs: fast retransmit"
        probes = end.host.stats.tcp.TCPLossProbes
        if probes != end.probes:
            end.probes = probes
            return "no ACK for two round trips: the last segment once more (loss probe)"
        timeouts = end.host.stats.tcp.TCPTimeouts
        if timeouts != end.timeouts:
            end.timeouts = timeouts
            return f"time-out: no ACK for {_rto(block)}"
        return "after the time-out: the next hole" if recovery.state == LOSS else "sent again"

    # One packet on all its links ----------------------------------------------------------------------------------

    def _follow(self, time_ns: int, channel: Channel, seen: TcpFrame, peer: End) -> None:
        """Notes each link that the first packet with data crosses, and tells all when it has crossed the last."""
        if self._crossings and self._crossings[0][2].ident != seen.ident:
            self._crossings.clear()  # that one was lost: follow the one sent in its place
        self._crossings.append((time_ns, channel, seen))
        if self._hops[channel][1] != peer.name:
            return
        self._followed = True
        text = f"this packet, IP id {seen.ident:#06x}, link by link: new MACs, one TTL less"
        self.tell("HOP", "", text)
        for when, link, frame in self._crossings:
            macs = f"{mac_text(frame.source_mac)} → {mac_text(frame.destination_mac)}"
            text = f"{macs}  TTL {frame.ttl}  checksum {frame.ip_checksum:#06x}"
            self.tell("HOP", " → ".join(self._hops[link]), text, when)
        self.tell("HOP", "", f"IP {unpack(seen.source)} → {unpack(seen.destination)} on all of them")

    # Control blocks -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Tells what is new in the control blocks of both ends."""
        self._look_at_states()
        self._look_at_windows()

    def _look_at_states(self) -> None:
        for end in self._ends.values():
            if end.block is None:
                self._find_block(end)
            elif end.block.state != end.state:
                self._move(end, end.block, "")

    def _look_at_windows(self) -> None:
        for end in self._ends.values():
            if end.block is not None and end.block.passive:  # the end that has much to send
                self._congestion_window(end, end.block)

    def _find_block(self, end: End) -> None:
        for block in end.host.bare_stack.table.connections.values():
            end.block = block
            local = f"{unpack(block.local)}:{block.local_port}"
            remote = f"{unpack(block.remote)}:{block.remote_port}"
            text = f"  for {local} ⇄ {remote}, ISS {block.snd.iss}"
            self._move(end, block, "" if end.state == SYN_RECEIVED else text)
            return
        for request in end.host.bare_stack.half_open.requests.values():
            if end.state != SYN_RECEIVED:
                local = f"{unpack(request.local)}:{request.local_port}"
                remote = f"{unpack(request.remote)}:{request.remote_port}"
                text = f"  for {local} ⇄ {remote}, ISS {request.iss}"
                self.tell("STATE", end.name, f"{_name(end.state)} → {_name(SYN_RECEIVED)}{text}")
                end.state = SYN_RECEIVED

    def _move(self, end: End, block: Connection, text: str) -> None:
        """The connection is in another state than it was."""
        before, end.state = end.state, block.state
        unsent = block.snd.unsent()
        if block.snd.fin_queued and not block.snd.fin_sent and unsent > 0:
            text = f"  (closed; the FIN goes after {unsent} octets)"
        elif block.state == TIME_WAIT:
            text = f"  (for {(block.timers.wait - self._clock.now()) / 1e9:.0f} s: the last ACK may get lost)"
        elif block.state == CLOSED:
            text = "  (the control block is gone)"
        self.tell("STATE", end.name, f"{_name(before)} → {_name(block.state)}{text}")


def heading(text: str) -> list[Line]:
    """What begins a chapter."""
    return [Line(TITLE, ""), Line(TITLE, f"── {text} ".ljust(WIDTH, "─"))]


def _is_told(number: int) -> bool:
    """Whether the segment of this number is one of the few that are told: 1, 2, 4, 16, 64, 256, ..."""
    return number == 2 or (number & (number - 1) == 0 and number.bit_length() % 2 == 1)


def _name(state: int) -> str:
    return State(state).name.replace("_", "-")


def _rto(block: Connection) -> str:
    """The time-out that has just passed: the next one is twice as long (RFC 6298 5.5)."""
    rtt = block.recovery.rtt
    return f"{min(rtt.base_rto << max(rtt.backoff - 1, 0), RTO_MAX) / 1e6:.0f} ms"
