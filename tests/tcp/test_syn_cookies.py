"""SYN cookies (RFC 4987 3.6): connections that are made from nothing but their last ACK, as on Linux."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from aionetflow.tcp.segment import CWR, ECE, Segment
from aionetflow.tcp.syncookies import MSS_TABLE, MSS_TABLE_6, Carried, SynCookies, read_stamp, stamp
from support.fixtures import listening
from support.modern import stamps_of, timestamps
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, Heard, Script, syn_options, tcp_segment

MINUTE = 60 * 1_000_000_000
KEY_4, KEY_6 = bytes(range(12)), bytes(range(36))


def always(backlog: int = 8) -> Script:
    """A listener that answers every SYN with a cookie."""
    script = listening(backlog)
    script.stack.sysctl["net.ipv4.tcp_syncookies"] = 2
    return script


def answered(script: Script, mss: int | None = 1460, wscale: int | None = None) -> Heard:
    """The SYN-ACK to a SYN; the script goes on from there."""
    script.sends(SYN, mss=mss, wscale=wscale)
    heard = script.take()
    assert heard.flags == SYN | ACK
    script.heard = heard.end
    return heard


def offer(mss: int | None, seq: int = ISS) -> Segment:
    """A SYN."""
    segment = Segment()
    segment.seq, segment.flags = seq, SYN
    segment.frame = b"" if mss is None else syn_options(mss, None)
    segment.options_end = len(segment.frame)
    return segment


def reply(cookie: int, seq: int = ISS) -> Segment:
    """The ACK to a cookie."""
    segment = Segment()
    segment.seq, segment.ack, segment.flags = (seq + 1) & M32, (cookie + 1) & M32, ACK
    return segment


def kept_mss(syn: Segment) -> int:
    return int.from_bytes(syn.frame[2:4], "big")


# ---- the number


@pytest.mark.parametrize(("key", "table"), [(KEY_4, MSS_TABLE), (KEY_6, MSS_TABLE_6)])
@pytest.mark.parametrize("mss", [None, 1, 535, 536, 1219, 1220, 1299, 1300, 1439, 1440, 1460, 8939, 8940, 65495])
def test_a_cookie_keeps_the_largest_mss_of_its_table_that_was_offered(
    key: bytes, table: tuple[int, ...], mss: int | None
) -> None:
    cookies, syn = SynCookies(random.Random(1)), Segment()
    cookie = cookies.make(key, offer(mss), syn, 0)
    assert cookies.take(key, reply(cookie), syn, 0, 0)
    assert kept_mss(syn) == max([size for size in table if size <= (mss or 0)], default=table[0])
    assert (syn.seq, syn.flags) == (ISS, SYN)


@rule("RFC 4987 3.6", "A cookie is taken back for one minute to two", code="tcp/syncookies.py")
@pytest.mark.parametrize(("sent", "back", "valid"), [(0, 119, True), (0, 120, False), (59, 60, True), (59, 119, True),
                                                     (59, 120, False), (0, 15360, False), (130, 60, False)],
)  # fmt: skip
def test_a_cookie_ages(sent: int, back: int, valid: bool) -> None:
    cookies, syn = SynCookies(random.Random(1)), Segment()
    cookie = cookies.make(KEY_4, offer(1460), syn, sent * MINUTE // 60)
    assert cookies.take(KEY_4, reply(cookie), syn, 0, back * MINUTE // 60) is valid


def test_a_cookie_is_for_its_ends_and_its_number_alone() -> None:
    cookies, syn = SynCookies(random.Random(1)), Segment()
    cookie = cookies.make(KEY_4, offer(1460), syn, 0)
    assert not cookies.take(KEY_4[1:] + b"x", reply(cookie), syn, 0, 0)
    assert not cookies.take(KEY_4, reply(cookie, ISS + 1000), syn, 0, 0)
    assert not SynCookies(random.Random(2)).take(KEY_4, reply(cookie), syn, 0, 0)


@rule("RFC 4987 3.6", "A cookie cannot be guessed", code="tcp/syncookies.py")
def test_a_guess_is_hardly_ever_a_cookie() -> None:
    cookies, syn, draws = SynCookies(random.Random(1)), Segment(), random.Random(2)
    taken = sum(cookies.take(KEY_4, reply(draws.getrandbits(32)), syn, 0, 0) for _ in range(2000))
    assert taken == 0  # one in eight million is one


@pytest.mark.parametrize("offered", [Carried(-1, False, False), Carried(0, True, False), Carried(14, True, True),
                                     Carried(7, False, True)])  # fmt: skip
@pytest.mark.parametrize("clock", [0, 1, 63, 64, 1_000_000_007, M32])
def test_a_timestamp_carries_what_a_syn_offers(clock: int, offered: Carried) -> None:
    stamped = stamp(clock, offered)
    assert read_stamp(stamped) == offered
    assert (clock - stamped) & M32 < 64


# ---- the connection


@rule("RFC 4987 3.6", "Nothing is kept of a SYN that is answered with a cookie", code="socket/half_open.py")
def test_nothing_is_kept_until_the_cookie_comes_back() -> None:
    script = always()
    answered(script)
    assert script.stack.half_open.requests == {}
    assert script.stack.table.connections == {}
    script.after(100).expect_nothing()  # and the SYN-ACK is not sent again
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    assert script.sock.getpeername() == ("10.0.0.2", 4000)
    counted = script.stack.stats.tcp
    assert (counted.SyncookiesSent, counted.SyncookiesRecv, counted.SyncookiesFailed) == (1, 1, 0)
    assert (counted.TCPReqQFullDoCookies, counted.PassiveOpens, counted.ListenDrops) == (1, 1, 0)
    script.sends(PSH | ACK, data=b"hello")
    assert script.sock.recv(10) == b"hello"


def test_the_segment_size_is_what_the_cookie_kept() -> None:
    script = always()
    answered(script, mss=1400)
    script.sends(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.send(bytes(3000))
    assert [len(heard.data) for heard in script.drain()][:2] == [1300, 1300]


def test_without_timestamps_nothing_else_is_offered() -> None:
    # Linux tcp_conn_request: what cannot be kept is not agreed on
    script = always()
    heard = answered(script, wscale=7)
    assert (heard.wscale, heard.mss) == (None, 1460)
    script.scales["peer"] = None
    script.sends(ACK, window=500)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.send(bytes(3000))
    assert sum(len(heard.data) for heard in script.drain()) == 500


def test_data_that_comes_with_the_cookie_is_read() -> None:
    script = always()
    answered(script)
    script.sends(PSH | FIN | ACK, data=b"request").expect(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    assert (script.sock.recv(10), script.sock.recv(10)) == (b"request", b"")


@pytest.mark.parametrize("change", [1, -4, 1 << 24, 1 << 31])  # each of four is one, for its MSS
def test_a_wrong_cookie_is_reset_and_counted(change: int) -> None:
    script = always()
    heard = answered(script)
    script.sends(ACK, ack=heard.end + change).expect(RST, seq=heard.end + change)
    assert script.stack.stats.tcp.SyncookiesFailed == 1
    script.sends(ACK).expect_nothing()
    assert script.stack.stats.tcp.SyncookiesRecv == 1


@pytest.mark.parametrize("flags", [ACK | RST, ACK | SYN])
def test_a_cookie_with_other_flags_opens_nothing(flags: int) -> None:
    script = always()
    answered(script)
    script.sends(flags, seq=ISS + 1)
    assert all(heard.flags & RST for heard in script.drain())
    assert script.stack.table.connections == {}


def test_a_cookie_is_not_looked_for_long_after_the_last_was_sent() -> None:
    script = always()
    heard = answered(script)
    script.after(121)
    script.sends(ACK).expect(RST, seq=heard.end)
    assert script.stack.stats.tcp.SyncookiesFailed == 0


def test_with_tcp_syncookies_0_none_is_taken_any_more() -> None:
    script = always()
    heard = answered(script)
    script.stack.sysctl["net.ipv4.tcp_syncookies"] = 0
    script.sends(ACK).expect(RST, seq=heard.end)


def test_a_cookie_that_finds_the_accept_queue_full_is_dropped() -> None:
    script = always(backlog=0)
    answered(script)
    answers = [script.heard, script.nxt]
    script.ports, script.nxt = (4001, 80), ISS
    answered(script)
    script.sends(ACK).expect_nothing()
    script.ports, (script.heard, script.nxt) = (4000, 80), answers
    script.sends(ACK).expect_nothing()
    counted = script.stack.stats.tcp
    assert (counted.ListenOverflows, counted.ListenDrops, counted.PassiveOpens) == (1, 1, 1)
    assert script.listener is not None
    script.listener.accept()
    script.sends(ACK).expect_nothing()
    script.listener.accept()


def test_without_pressure_no_cookie_is_sent() -> None:
    script = listening(backlog=8)
    script.sends(SYN)
    script.heard = IRS
    script.expect(SYN | ACK)
    assert script.stack.stats.tcp.SyncookiesSent == 0


# ---- with timestamps


def stamped(script: Script, options: bytes, flags: int = SYN) -> Heard:
    """The SYN-ACK to a SYN with these options beside a timestamp."""
    script.sends(flags, options=timestamps(1000, 0) + options)
    script.scales["peer"] = options[3] if 3 in options[:2] else None
    heard = script.take()
    assert heard.flags & (SYN | ACK) == SYN | ACK
    script.heard = heard.end
    return heard


@pytest.mark.parametrize("wscale", [None, 0, 7, 14])
@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("ecn", [False, True])
def test_with_timestamps_scale_sack_and_ecn_are_kept_too(wscale: int | None, sack: bool, ecn: bool) -> None:
    script = always()
    script.after(100.7)
    options = (b"" if wscale is None else bytes((1, 3, 3, wscale))) + (bytes((1, 1, 4, 2)) if sack else b"")
    heard = stamped(script, options, SYN | (ECE | CWR if ecn else 0))
    assert (heard.wscale is not None, 4 in heard.options, bool(heard.flags & ECE)) == (wscale is not None, sack, ecn)
    script.after(0.03)
    script.sends(ACK, options=timestamps(1030, stamps_of(heard)[0]))
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    connection = script.sock.connection
    assert connection is not None
    assert connection.timestamps
    assert (connection.scaling, connection.snd.snd_wscale) == (wscale is not None, wscale or 0)
    assert (connection.recovery.selective, connection.ecn) == (sack, ecn)
    # the clock of timestamps goes on from the one that the cookie was in, and never back
    script.sock.send(b"x")
    answer = script.take()
    assert 0 <= (stamps_of(answer)[0] - stamps_of(heard)[0]) & M32 < 200
    assert stamps_of(answer)[1] == 1030


def test_a_cookie_whose_timestamp_is_lost_opens_a_plain_connection() -> None:
    script = always()
    stamped(script, bytes((1, 3, 3, 7)))
    script.sends(ACK)
    assert script.listener is not None
    connection = script.listener.accept()[0].connection
    assert connection is not None
    assert (connection.timestamps, connection.scaling) == (False, False)


# ---- the flood


def flood(script: Script, rate: int, seconds: float) -> int:
    """SYNs from ever new ports and addresses, so many a second; every 10 ms somebody connects: how many could."""
    assert script.listener is not None
    batch, opened, number = rate // 100, 0, 0
    for _ in range(round(100 * seconds)):
        frames = []
        for _ in range(batch):
            number += 1
            frames.append(moved(number))
        script.deliver(frames)
        script.nic.sent.clear()
        opened += connects(script, 1024 + number % 50000)
        script.after(0.01)
        script.nic.sent.clear()
    return opened


_TEMPLATE = tcp_segment((1, 80), ISS, 0, SYN, 65535, options=syn_options(1460, None))


def moved(number: int) -> bytes:
    """A SYN from 11.x.y.z and a port that follow from a number, its checksums right (RFC 1624)."""
    address, port = (11 << 24) + number, 1024 + number * 7 % 60000
    frame = bytearray(_TEMPLATE)
    old = (10 << 24) + 2
    frame[12:16], frame[20:22] = address.to_bytes(4, "big"), port.to_bytes(2, "big")
    change = (address >> 16) + (address & 0xFFFF) - (old >> 16) - (old & 0xFFFF)
    for at, more in ((10, 0), (36, port - 1)):
        total = (~int.from_bytes(frame[at : at + 2], "big") & 0xFFFF) + change + more
        frame[at : at + 2] = ((~(total % 0xFFFF)) & 0xFFFF).to_bytes(2, "big")
    return bytes(frame)


def connects(script: Script, port: int) -> bool:
    """A real peer's handshake, and that its socket can be accepted and used."""
    assert script.listener is not None
    script.ports, script.nxt, script.edge, script.heard = (port, 80), ISS, None, 0
    answered(script)
    script.sends(ACK)
    try:
        sock, address = script.listener.accept()
    except BlockingIOError:
        return False
    script.sends(PSH | ACK, data=b"still there?")
    assert (sock.recv(100), address[1]) == (b"still there?", port)
    sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: closed at once
    sock.close()
    script.drain()
    return True


def flooded() -> Script:
    """A listener for the flood, and a network for its senders."""
    script = listening(backlog=128)
    script.stack.add_address(script.nic, "11.0.0.1/8")
    script.nic.sent.clear()
    return script


@rule("RFC 4987 3.6", "Under a flood of SYNs connections are still made, and nothing more is kept of it",
      code="socket/half_open.py")  # fmt: skip
def test_in_a_flood_of_syns_connections_are_made_and_nothing_piles_up() -> None:
    script = flooded()
    assert flood(script, 100_000, 0.03) == 3
    counted, stack = script.stack.stats.tcp, script.stack
    assert counted.SyncookiesSent > 2800
    assert counted.SyncookiesRecv == 3
    assert len(stack.half_open.requests) == 129
    assert len(stack.table.connections) == 0
    # when it is over all is as it was
    script.after(130)
    script.nic.sent.clear()
    assert stack.half_open.requests == {}
    before = counted.SyncookiesSent
    assert connects(script, 999)
    assert counted.SyncookiesSent == before


@pytest.mark.soak
def test_in_a_long_flood_of_100000_syns_a_second_connections_are_made_and_memory_is_flat() -> None:
    script = flooded()
    tracemalloc.start()
    try:
        assert flood(script, 100_000, 0.2) == 20
        before = tracemalloc.get_traced_memory()[0]
        assert flood(script, 100_000, 5) == 500
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # what the routing table remembers of destinations comes and goes
    assert after - before < 1_000_000
    assert script.stack.stats.tcp.SyncookiesRecv >= 500
