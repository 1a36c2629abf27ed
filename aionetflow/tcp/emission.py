"""Writes segments: headers with their options, resets, and what is sent once more (RFC 9293 3.1)."""

from aionetflow.config import NEVER
from aionetflow.fast import put32, put_tcp_header
from aionetflow.packet import TxPacket
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.early_data import fill_syn
from aionetflow.tcp.handshake import emit_syn
from aionetflow.tcp.options import NOP, SACK, TIMESTAMPS_LENGTH
from aionetflow.tcp.sack import block, blocks_to_send
from aionetflow.tcp.scoreboard import EVER_RESENT, Run, segments_in
from aionetflow.tcp.segment import ACK, ECE, FIN, PLAIN_TIMESTAMPS, PROTOCOL, PSH, RST, emit
from aionetflow.tcp.sequence import seq_sub
from aionetflow.tcp.timeouts import within_user_timeout
from aionetflow.tcp.urgent import stamp
from aionetflow.widths import i64, u32


def emit_segment(connection: Connection, packet: TxPacket, seq: u32, flags: int, now: i64) -> None:
    """Writes a segment's header: with our acknowledgment and window, which settles any ACK that was owed."""
    rcv = connection.rcv
    window = rcv.window() >> rcv.rcv_wscale
    blocks = blocks_due(connection)
    length = 20 + (TIMESTAMPS_LENGTH if connection.timestamps else 0) + (8 * blocks + 4 if blocks else 0)
    if connection.ecn_echo:
        flags |= ECE
    packet.reset(PROTOCOL, length)
    packet.ident = connection.ident
    put_tcp_header(
        packet.header, packet.l4, connection.local_port, connection.remote_port, seq, rcv.rcv_nxt,
        length << 10 | flags, window,
    )  # fmt: skip
    at = packet.l4 + 20
    if connection.timestamps:
        put32(packet.header, at, PLAIN_TIMESTAMPS)
        put32(packet.header, at + 4, connection.tsval(now))
        put32(packet.header, at + 8, rcv.ts_recent)
        at += TIMESTAMPS_LENGTH
    if blocks:
        _put_blocks(connection, packet, at, blocks)
    if (window == 0) != rcv.told_closed:
        _count_closing(connection)
    if connection.urgent is not None:
        stamp(connection, packet, seq)
    rcv.rcv_wup = rcv.rcv_nxt
    connection.need_ack = False
    connection.timers.delayed_ack = NEVER
    if connection.acks.compressed > 0:
        connection.stats.TCPAckCompressed += connection.acks.compressed
    connection.acks.on_sent(rcv.is_tight())


def _count_closing(connection: Connection) -> None:
    """The window that is told is zero now, or zero no more."""
    rcv, stats = connection.rcv, connection.stats
    rcv.told_closed = not rcv.told_closed
    if rcv.told_closed:
        stats.TCPToZeroWindowAdv += 1
    else:
        stats.TCPFromZeroWindowAdv += 1


def blocks_due(connection: Connection) -> int:
    """How many SACK blocks the next segment carries."""
    rcv = connection.rcv
    if rcv.reassembly.length == 0 and not rcv.dsack_due and not rcv.fin_received:
        return 0
    return blocks_to_send(connection) if connection.recovery.selective else 0


def _put_blocks(connection: Connection, packet: TxPacket, at: i64, count: int) -> None:
    """RFC 2018 3."""
    put32(packet.header, at, NOP << 24 | NOP << 16 | SACK << 8 | (8 * count + 2))
    for number in range(count):
        start, end = block(connection, number)
        put32(packet.header, at + 4 + 8 * number, start)
        put32(packet.header, at + 8 + 8 * number, end)
    connection.rcv.dsack_due = False


def emit_reset(connection: Connection, packet: TxPacket, now: i64) -> None:
    """The RST that is due: to a segment of another life, or the end of this connection."""
    connection.stats.OutRsts += 1
    if connection.refuse_due:
        connection.refuse_due = False
        emit(packet, connection.local_port, connection.remote_port, connection.refused, 0, RST, 0, b"")
        return
    connection.reset_due = False
    connection.ecn_echo = False
    emit_segment(connection, packet, connection.snd.snd_nxt, RST | ACK, now)


def send_syn(connection: Connection, packet: TxPacket, now: i64) -> None:
    """The SYN or the SYN-ACK, and the timer that sends it again."""
    connection.syn_due = False
    connection.need_ack = False
    emit_syn(connection, packet, now)
    packet.ident = 0 if connection.passive else connection.ident  # Linux ip_build_and_send_pkt: 0 in SYN-ACKs
    if connection.fast_open is not None:
        fill_syn(connection, packet, now)
    if connection.timers.retransmit == NEVER:
        connection.timers.retransmit = now + within_user_timeout(connection, connection.recovery.rtt.rto(), now)
    if connection.syn_sent:
        connection.stats.RetransSegs += 1
        connection.total_retrans += 1
    else:
        connection.sent_at = connection.stuck_since = now
    connection.syn_sent = True


def emit_run(connection: Connection, packet: TxPacket, run: Run, now: i64) -> None:
    """Sends a run once more."""
    snd = connection.snd
    offset: i64 = seq_sub(run.start, snd.snd_una)
    data = max(snd.unacknowledged() - offset, 0)
    length = min(data, seq_sub(run.end, run.start))
    fin = snd.fin_sent and run.end == snd.snd_nxt
    flags = ACK
    if ((length == data and snd.unsent() == 0) or snd.marks is not None) and snd.pushes(offset, length):
        flags |= PSH
    if fin:
        flags = (flags | FIN) if length else ACK | FIN
    emit_segment(connection, packet, run.start, flags, now)
    if length > 0:
        snd.queue.fill(packet, offset, length)
        packet.mss = mss_in(connection, packet)
    segments = segments_in(seq_sub(run.end, run.start), snd.mss)
    if connection.search is not None:
        connection.search.probe_size = 0  # what is lost beside a probe may be why that is (RFC 4821 7.6.4)
    run.flags |= EVER_RESENT
    run.sent_at = now
    connection.total_retrans += segments
    connection.bytes_retrans += length
    connection.stats.RetransSegs += segments


def mss_in(connection: Connection, packet: TxPacket) -> i64:
    """How much fits behind the header of this packet, whose SACK blocks may make it longer than usual."""
    header = 20 + (TIMESTAMPS_LENGTH if connection.timestamps else 0)
    return connection.snd.mss + header - (packet.l5 - packet.l4)
