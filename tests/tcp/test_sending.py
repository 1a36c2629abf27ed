"""What is sent when: RFC 9293 3.7, 3.8.6, RFC 1122 4.2.3.4, RFC 6429, tcp(7)'s TCP_NODELAY and TCP_CORK."""

import pytest

from aionetflow.tcp.states import State
from support.fixtures import accepted, established
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, SYN, Heard, Script

TCP_NODELAY = (6, 1)
TCP_CORK = (6, 3)


def text(length: int) -> bytes:
    """Octets that tell where they belong."""
    return bytes(index * 7 % 251 for index in range(length))


# Cutting --------------------------------------------------------------------------------------------------------


@rule("RFC 9293 3.9.1.2", "The last segment of what was written carries PSH", code="tcp/departure.py")
def test_one_write_is_cut_at_the_mss_with_push_on_the_last() -> None:
    script = established()
    assert script.sock.send(text(2500)) == 2500
    segments = script.expect_data(text(2500), [1000, 1000, 500])
    assert [bool(heard.flags & PSH) for heard in segments] == [False, False, True]
    script.expect_nothing()


def test_a_write_of_whole_segments_has_push_on_the_last() -> None:
    script = established()
    script.sock.send(text(3000))
    segments = script.expect_data(text(3000), [1000, 1000, 1000])
    assert [bool(heard.flags & PSH) for heard in segments] == [False, False, True]


def test_one_octet() -> None:
    script = established()
    script.sock.send(b"x")
    script.expect(PSH | ACK, data=b"x")
    script.expect_nothing()


def test_writing_nothing_sends_nothing() -> None:
    script = established()
    assert script.sock.send(b"") == 0
    script.expect_nothing()


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_what_was_written_may_be_changed_afterwards(kind: type) -> None:
    script = established(window=0)
    buffer = bytearray(b"before")
    script.sock.send(kind(buffer))
    buffer[:] = b"after!"
    script.sends(ACK, window=1000)
    script.expect(PSH | ACK, data=b"before")


@rule(
    "RFC 9293 3.7.1", "Segments are no longer than the least of the peer's MSS and what the MTU leaves",
    code="tcp/connection.py",
)  # fmt: skip
def test_the_mtu_bounds_what_the_peer_s_mss_allows() -> None:
    script = established(mss=8960)
    script.sock.send(text(3000))
    script.expect_data(text(3000), [1460, 1460, 80])


# The window -----------------------------------------------------------------------------------------------------


@rule("RFC 9293 3.8.6", "No more is sent than the window allows", code="tcp/send.py")
def test_the_window_is_respected_and_its_advance_releases_more() -> None:
    script = established(window=3000)
    script.sock.send(text(9500))
    script.expect_data(text(3000), [1000] * 3)
    script.expect_nothing()
    script.sends(ACK, ack=IRS + 1001, window=3000)
    script.expect_data(text(4000)[3000:], [1000])
    script.sends(ACK, window=3000)
    script.expect_data(text(7000)[4000:], [1000] * 3)
    script.sends(ACK, window=3000)
    script.expect_data(text(9500)[7000:], [1000, 1000, 500])
    script.expect_nothing()


@rule("RFC 9293 3.8.6.2.1", "A sender waits for a full segment or half of the largest window", code="tcp/send.py")
def test_a_sliver_of_window_is_not_used() -> None:
    """Silly window avoidance, RFC 9293 3.8.6.2.1: neither a full segment nor half of the largest window."""
    script = established(window=2500)
    script.sock.send(text(3000))
    script.expect_data(text(2000), [1000, 1000])
    script.expect_nothing()
    script.sends(ACK, window=2500)
    script.expect_data(text(3000)[2000:], [1000])


@rule("RFC 9293 3.8.6.2.1", "All that is queued goes if it fits the window", code="tcp/send.py")
def test_the_last_octets_may_use_a_sliver_of_window() -> None:
    """RFC 9293 3.8.6.2.1 (2): all that is queued fits."""
    script = established(window=2500)
    script.sock.send(text(2400))
    script.expect_data(text(2400), [1000, 1000, 400])


@rule("RFC 9293 3.8.6.2.1", "A time-out overrides the avoidance of silly windows", code="tcp/departure.py")
def test_a_window_that_stays_too_small_is_used_after_a_time_out() -> None:
    """RFC 9293 3.8.6.2.1: override time-out; Linux: the probe timer, an RTO, sends what fits (tcp_write_wakeup)."""
    script = established()
    script.sends(ACK, window=400).expect_nothing()
    script.sock.send(text(1000))
    script.at(0.299999).expect_nothing()
    script.at(0.3)
    assert len(script.expect_some().data) == 400


@rule("RFC 9293 3.10.7.4", "SND.WL1 and SND.WL2 keep an old segment from changing the window", code="tcp/send.py")
def test_a_window_update_from_an_older_segment_is_not_used() -> None:
    """RFC 9293 3.10.7.4 fifth: SND.WL1 and SND.WL2 keep old segments from changing the window."""
    script = established(window=3000)
    first = script.segment(PSH | ACK, data=b"a", window=3000)
    script.deliver([first])
    script.sends(PSH | ACK, data=b"b", window=0)
    script.deliver([first]).after(0.04).drain()
    script.sock.send(text(100))
    script.expect_nothing()


@rule("RFC 9293 3.8.6", "A sender is robust against a window that shrinks", code="tcp/send.py")
def test_a_window_that_shrank_is_respected() -> None:
    """RFC 9293 3.8.6: a sender must be robust against it; what was sent stays sent."""
    script = established(window=3000)
    script.sock.send(text(3000))
    script.expect_data(text(3000), [1000] * 3)
    script.sends(ACK, ack=IRS + 1001, window=500).expect_nothing()
    script.sock.send(text(100))
    script.expect_nothing()
    script.sends(ACK, window=3000)
    script.expect(PSH | ACK, data=text(100))


# Zero window ------------------------------------------------------------------------------------------------------


def is_probe(script: Script, heard: Heard, next_octet: bytes) -> None:
    """Linux's probe, an old octet's number and nothing in it; or RFC 9293 3.8.6.1's, one octet that is new."""
    nxt = script.heard if not heard.data else (script.heard - 1) & M32
    empty = heard.seq == (nxt - 1) & M32 and not heard.data
    assert empty or (heard.seq == nxt and heard.data == next_octet), heard
    assert heard.flags & ACK, heard


def closed_window() -> Script:
    """100 octets wait for a window."""
    script = established()
    script.sends(ACK, window=0).expect_nothing()
    script.sock.send(text(100))
    return script.mark()


@rule(
    "RFC 9293 3.8.6.1", "A closed window is probed first after the RTO, then ever more rarely",
    code="tcp/departure.py",
)  # fmt: skip
def test_a_closed_window_is_probed_with_back_off() -> None:
    script = closed_window()
    due = 0.0
    for factor in range(6):
        due += 0.3 * 2**factor
        script.at(due - 0.000001).expect_nothing()
        before = script.at(due).heard
        is_probe(script, script.take(), text(1))
        script.heard = before
        script.deliver([script.segment(ACK, window=0)]).expect_nothing()
    assert script.state == State.ESTABLISHED


@rule("RFC 9293 3.8.6.1", "The connection stays open as long as probes are acknowledged", code="tcp/departure.py")
@rule(
    "RFC 6429 4", "An endpoint may stay in the persist condition for ever if its peer acknowledges",
    code="tcp/departure.py",
)  # fmt: skip
def test_probing_does_not_end_while_the_peer_answers() -> None:
    """RFC 9293 3.8.6.1: as long as it acknowledges, the connection stays open; intervals reach 120 s."""
    script = closed_window()
    times: list[float] = []
    while script.now() < 5000:
        script.clock.run_timers(script.clock.next_deadline())
        before = script.heard
        times.extend(heard.time for heard in script.drain())
        script.heard = before
        script.deliver([script.segment(ACK, window=0)])
    assert script.state == State.ESTABLISHED
    assert round(times[-1] - times[-2], 6) == 120
    script.sends(ACK, window=1000).expect(PSH | ACK, data=text(100))


def test_probing_ends_when_nobody_answers() -> None:
    """Linux tcp_probe_timer: tcp_retries2 probes without an answer."""
    script = closed_window()
    script.after(3000)
    assert 10 <= len([heard for heard in script.drain() if heard.time < 3000]) <= 17
    assert script.state == State.CLOSED
    assert script.sock.getsockopt(1, 4) == 110  # ETIMEDOUT


@rule("RFC 9293 3.8.6", "A window update lets go at once what waited for it", code="tcp/acknowledgment.py")
def test_a_window_update_reopens_at_once_and_ends_probing() -> None:
    script = closed_window()
    script.at(0.1).sends(ACK, window=5000).expect(PSH | ACK, data=text(100))
    script.sends(ACK).after(100).expect_nothing()


def test_an_answer_to_a_probe_that_opens_the_window() -> None:
    script = closed_window()
    before = script.at(0.3).heard
    probe = script.take()
    script.heard = before
    script.sends(ACK, ack=IRS + 1 + len(probe.data), window=5000)
    script.expect_data(text(100)[len(probe.data) :])


@rule("RFC 9293 3.8.6", "A FIN has a number like an octet, and waits for the window like one", code="tcp/send.py")
def test_a_fin_waits_for_the_window() -> None:
    """Linux tcp_snd_wnd_test; what is sent meanwhile is a probe."""
    script = established()
    script.sends(ACK, window=0)
    script.sock.shutdown(1)
    script.expect_nothing()
    script.at(0.3).expect(ACK, seq=IRS)
    script.sends(ACK, window=1)
    script.expect(FIN | ACK)


def test_data_that_a_fin_ends_wait_until_there_is_room_for_both() -> None:
    script = established()
    script.sends(ACK, window=100)
    script.sock.setsockopt(*TCP_CORK, 1)
    script.sock.send(text(100))
    script.sock.shutdown(1)
    script.expect_nothing()
    script.sends(ACK, window=101)
    script.expect(FIN | PSH | ACK, data=text(100))


def test_data_do_not_wait_for_ever_for_the_fin_that_ends_them() -> None:
    """Linux tcp_write_wakeup: after a retransmission time-out goes what fits."""
    script = established()
    script.sends(ACK, window=100)
    script.sock.setsockopt(*TCP_CORK, 1)
    script.sock.send(text(100))
    script.sock.shutdown(1)
    script.at(0.3).expect(PSH | ACK, data=text(100))
    script.sends(ACK, window=100)
    script.expect(FIN | ACK)


def test_no_probes_when_nothing_waits() -> None:
    script = established()
    script.sends(ACK, window=0).after(1000).expect_nothing()


# Nagle ------------------------------------------------------------------------------------------------------------


@rule("RFC 9293 3.7.4", "Nagle: while data are unacknowledged, small writes wait", code="tcp/send.py")
def test_small_writes_wait_for_the_ack_of_the_one_before() -> None:
    """RFC 1122 4.2.3.4."""
    script = established()
    script.sock.send(b"first")
    script.expect(PSH | ACK, data=b"first")
    for piece in (b"sec", b"ond", b" and third"):
        script.sock.send(piece)
    script.at(0.1).expect_nothing()
    script.sends(ACK)
    script.expect(PSH | ACK, data=b"second and third")


@rule("RFC 9293 3.7.4", "Nagle: a full segment goes at once", code="tcp/send.py")
def test_small_writes_that_fill_a_segment_go_at_once() -> None:
    script = established()
    script.sock.send(text(100))
    script.expect(PSH | ACK, data=text(100))
    script.sock.send(text(600))
    script.expect_nothing()
    script.sock.send(text(600))
    script.expect_data((text(600) + text(600))[:1000], [1000])
    script.expect_nothing()
    script.sends(ACK)
    script.expect(PSH | ACK, data=text(600)[400:])


def test_a_small_rest_does_not_wait_for_full_segments() -> None:
    """Minshall: only a small segment under way holds a small one back."""
    script = established()
    script.sock.send(text(2000))
    script.expect_data(text(2000), [1000, 1000])
    script.sock.send(b"rest")
    script.expect(PSH | ACK, data=b"rest")
    script.sock.send(b"more")
    script.expect_nothing()


@rule("RFC 1122 4.2.3.4", "An application can turn Nagle's algorithm off for its connection", code="tcp/send.py")
def test_nodelay_does_not_wait() -> None:
    script = established()
    script.sock.setsockopt(*TCP_NODELAY, 1)
    for piece in (b"a", b"bc", b"def"):
        script.sock.send(piece)
        script.expect(PSH | ACK, data=piece)


def test_setting_nodelay_sends_what_waits() -> None:
    """tcp(7)."""
    script = established()
    script.sock.send(b"first")
    script.sock.send(b"second")
    script.expect(PSH | ACK, data=b"first")
    script.sock.setsockopt(*TCP_NODELAY, 1)
    script.expect(PSH | ACK, data=b"second")


def test_nodelay_is_inherited_from_the_listener() -> None:
    script = accepted()
    assert script.listener is not None
    assert script.sock.getsockopt(*TCP_NODELAY) == 0
    script.listener.setsockopt(*TCP_NODELAY, 1)
    script.ports = (6001, 80)
    script.nxt, script.edge = ISS, None
    script.sends(SYN, mss=1000)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.sends(ACK)
    assert script.listener.accept()[0].getsockopt(*TCP_NODELAY) == 1


# Cork -------------------------------------------------------------------------------------------------------------


def corked() -> Script:
    """TCP_CORK is set."""
    script = established()
    script.sock.setsockopt(*TCP_CORK, 1)
    return script


def test_cork_holds_a_partial_segment_for_a_retransmission_time_out_at_most() -> None:
    """tcp(7) says 200 ms, which is the shortest there is."""
    script = corked()
    script.sock.send(text(100))
    script.at(0.299999).expect_nothing()
    script.at(0.3).expect(PSH | ACK, data=text(100))


def test_cork_lets_full_segments_go() -> None:
    script = corked()
    script.sock.send(text(2500))
    script.expect_data(text(2000), [1000, 1000])
    script.expect_nothing()
    script.sock.send(text(500))
    script.expect_data(text(2500)[2000:] + text(500), [1000])


def test_uncorking_sends_the_rest() -> None:
    script = corked()
    script.sock.send(b"head")
    script.at(0.1).sock.send(b"body")
    script.expect_nothing()
    script.sock.setsockopt(*TCP_CORK, 0)
    script.expect(PSH | ACK, data=b"headbody")


def test_cork_holds_back_though_all_is_acknowledged() -> None:
    script = corked()
    script.sock.send(text(1100))
    script.expect_data(text(1000), [1000])
    script.at(0.1).sends(ACK).expect_nothing()


def test_cork_time_limit_counts_from_the_first_octet_held() -> None:
    script = corked()
    script.sock.send(b"a")
    script.at(0.15).sock.send(b"b")
    script.at(0.299999).expect_nothing()
    script.at(0.3).expect(PSH | ACK, data=b"ab")


def test_nodelay_flushes_what_is_corked() -> None:
    """tcp(7): "setting this option forces an explicit flush of pending output, even if TCP_CORK is set"."""
    script = corked()
    script.sock.send(b"held")
    script.expect_nothing()
    script.sock.setsockopt(*TCP_NODELAY, 1)
    script.expect(PSH | ACK, data=b"held")


def test_closing_sends_what_is_corked() -> None:
    script = corked()
    script.sock.send(b"held")
    script.sock.close()
    script.expect(FIN | PSH | ACK, data=b"held")


# The send buffer --------------------------------------------------------------------------------------------------


def test_the_send_buffer_is_bounded_and_room_comes_back() -> None:
    script = established(window=0)
    script.sock.setsockopt(1, 7, 8192)  # SO_SNDBUF
    with pytest.raises(BlockingIOError):
        fill(script)
    taken = script.sock.queued()[1]
    assert 8192 <= taken <= 16384
    assert script.sock.events() & 4 == 0
    script.sends(ACK, window=65535)
    script.drain()
    script.sends(ACK)
    assert script.sock.events() & 4 == 4
    assert script.sock.send(b"x") == 1


def fill(script: Script) -> None:
    """Writes until the send buffer takes no more."""
    for _ in range(100):
        script.sock.send(text(3000))


def test_the_ttl_option_is_on_the_wire() -> None:
    script = established()
    script.sock.setsockopt(0, 2, 9)  # IP_TTL
    script.sock.send(b"x")
    assert script.nic.sent[-1][1][8] == 9
    script.drain()
