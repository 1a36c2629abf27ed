"""Handshakes of a listener: what it answers, what it does not, and what is sent again."""

from __future__ import annotations

from support.beside.cases import both
from support.beside.packets import NOP, OURS, SACK_OK, mss, timestamps, wscale
from support.beside.states import accepted, listening
from support.beside.talk import Talk

GUESSED = "a SYN that somebody guessed ends no handshake: it is challenged, as RFC 5961 4.2 has it elsewhere"
ALL = mss(1460) + SACK_OK + timestamps(100_000, 0) + NOP + wscale(7)


@both()
def test_a_plain_syn_is_answered_with_the_mss_alone(t: Talk) -> None:
    listening(t)
    t.flow().sends("S")
    t.expect("SA", ack=1)


@both()
def test_all_options_of_a_syn_are_answered(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=ALL)
    t.expect("SA")


@both()
def test_only_timestamps_are_offered(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=mss(1460) + NOP * 2 + timestamps(5, 0))
    t.expect("SA")


@both()
def test_only_sack_is_offered(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=mss(1460) + SACK_OK)
    t.expect("SA")


@both()
def test_only_a_window_scale_is_offered(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=mss(1460) + NOP + wscale(2))
    t.expect("SA")


@both()
def test_a_window_scale_of_15_counts_as_14(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + NOP + wscale(15), win=1)
    sock.send(bytes(20_000))
    t.wait(0.05)
    flow.acks()
    t.wait(0.05)


@both(sysctls={"net.ipv4.tcp_timestamps": 0})
def test_timestamps_are_switched_off(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=ALL)
    t.expect("SA")


@both(sysctls={"net.ipv4.tcp_sack": 0})
def test_sack_is_switched_off(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=ALL)
    t.expect("SA")


@both(sysctls={"net.ipv4.tcp_window_scaling": 0})
def test_window_scaling_is_switched_off(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=ALL)
    t.expect("SA")


@both()
def test_segments_are_no_longer_than_the_peer_says(t: Talk) -> None:
    sock, _ = accepted(t, opts=mss(600))
    sock.send(bytes(2000))
    t.wait(0.05)


@both()
def test_without_an_mss_segments_have_536_octets(t: Talk) -> None:
    sock, _ = accepted(t, opts=b"")
    sock.send(bytes(2000))
    t.wait(0.05)


@both()
def test_a_tiny_mss_is_not_believed_entirely(t: Talk) -> None:
    sock, _ = accepted(t, opts=mss(10))
    sock.send(bytes(200))
    t.wait(0.05)


@both()
def test_a_syn_with_data_is_answered_without_them(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow()
    flow.sends("S", b"early", opts=mss(1000))
    t.expect("SA")
    flow.sends("PA", b"early", seq=1)
    t.wait(0.01)
    listener.events()


@both()
def test_a_syn_with_fin_is_dropped(t: Talk) -> None:
    listening(t)
    t.flow().sends("SF", opts=mss(1000))
    t.wait(0.05)


@both()
def test_a_syn_with_rst_is_dropped(t: Talk) -> None:
    listening(t)
    t.flow().sends("SR", opts=mss(1000))
    t.wait(0.05)


@both()
def test_a_listener_resets_what_acknowledges_nothing(t: Talk) -> None:
    listening(t)
    t.flow().sends("A", seq=5, ack=12345)
    t.wait(0.01)
    t.flow(4001).sends("SA", seq=5, ack=12345)
    t.wait(0.01)
    t.flow(4002).sends("FA", seq=5, ack=12345)
    t.wait(0.01)


@both()
def test_a_listener_ignores_what_has_neither_syn_nor_ack(t: Talk) -> None:
    listening(t)
    t.flow().sends("F", seq=5)
    t.flow(4001).sends("P", b"data", seq=5)
    t.flow(4002).sends("R", seq=5)
    t.flow(4003).sends("", seq=5)
    t.wait(0.05)


@both()
def test_a_closed_port_resets(t: Talk) -> None:
    t.flow(4000).sends("S", seq=100)
    t.flow(4001).sends("A", seq=100, ack=12345)
    t.flow(4002).sends("PA", b"data", seq=100, ack=12345)
    t.flow(4003).sends("P", b"data", seq=100)
    t.flow(4004).sends("F", seq=100)
    t.flow(4005).sends("SA", seq=100, ack=777)
    t.flow(4006).sends("", seq=100)
    t.wait(0.05)


@both()
def test_a_closed_port_does_not_reset_a_reset(t: Talk) -> None:
    t.flow().sends("R", seq=100)
    t.flow().sends("RA", seq=100, ack=12345)
    t.wait(0.05)


@both()
def test_a_closed_port_says_nothing_to_a_bad_checksum(t: Talk) -> None:
    t.flow().sends("S", bad_sum=True)
    t.wait(0.05)


@both()
def test_a_syn_ack_is_sent_again_after_1_and_2_seconds(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=mss(1000))
    t.wait(3.5)


@both(sysctls={"net.ipv4.tcp_synack_retries": 1})
def test_a_syn_ack_is_given_up(t: Talk) -> None:
    listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.wait(3.5)
    flow.sends("A", seq=1, ack=1)
    t.wait(0.05)


@both()
def test_a_repeated_syn_is_answered_again(t: Talk) -> None:
    listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.wait(0.3)
    flow.sends("S", seq=0, opts=mss(1000))
    t.wait(0.05)


@both(differs=GUESSED)
def test_a_syn_with_another_number_in_syn_received(t: Talk) -> None:
    listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.wait(0.01)
    flow.sends("S", seq=5000, opts=mss(1000))
    t.wait(0.05)


@both()
def test_data_outside_of_the_window_in_syn_received_are_always_answered(t: Talk) -> None:
    listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    for _ in range(3):
        flow.sends("PA", b"x", seq=100_000)
        t.wait(0.1)
    for _ in range(3):
        flow.sends("A", seq=100_000)
        t.wait(0.1)


@both()
def test_a_wrong_acknowledgment_in_syn_received_is_reset(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("A", ack=77)
    t.wait(0.02)
    flow.sends("A", ack=1)
    t.wait(0.02)
    listener.events()


@both()
def test_a_reset_in_syn_received_forgets_the_connection(t: Talk) -> None:
    listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("R", seq=1)
    t.wait(0.02)
    flow.sends("A", seq=1, ack=1)
    t.wait(0.02)


@both()
def test_a_reset_with_another_number_in_syn_received(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("R", seq=500)
    t.wait(0.02)
    flow.sends("A", seq=1, ack=1)
    t.wait(0.02)
    listener.events()


@both()
def test_the_last_acknowledgment_of_the_handshake_may_carry_data(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("PA", b"hello", ack=1)
    t.wait(0.02)
    sock, _ = listener.accept()
    sock.recv(100)


@both()
def test_the_last_acknowledgment_may_carry_a_fin(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("FPA", b"hello", ack=1)
    t.wait(0.02)
    sock, _ = listener.accept()
    sock.recv(100)
    sock.recv(100)
    sock.state()


@both()
def test_data_before_the_acknowledgment_of_the_handshake(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("PA", b"world", seq=6, ack=1)
    t.wait(0.02)
    flow.sends("PA", b"hello", seq=1, ack=1)
    t.wait(0.02)
    sock, _ = listener.accept()
    sock.recv(100)


@both()
def test_a_full_accept_queue_takes_no_more(t: Talk) -> None:
    listener = listening(t, backlog=0)
    first = t.flow(4000).sends("S", opts=mss(1000))
    t.expect("SA")
    first.sends("A")
    t.wait(0.01)
    t.flow(4001).sends("S", opts=mss(1000))
    t.wait(0.05)
    listener.accept()
    third = t.flow(4002).sends("S", opts=mss(1000))
    t.expect("SA")
    third.sends("A")
    t.wait(0.05)


@both()
def test_a_listener_that_closes_resets_what_waits_to_be_accepted(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow(4000).sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("A")
    t.wait(0.01)
    t.flow(4001).sends("S", opts=mss(1000))
    t.expect("SA")
    listener.close()
    t.wait(0.05)


@both()
def test_two_listeners_on_one_port_are_one_too_many(t: Talk) -> None:
    listening(t)
    second = t.tcp()
    second.bind((OURS[4], 80))


@both()
def test_the_mss_option_follows_the_mtu(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=mss(9000))
    t.expect("SA")


@both(mtu=576)
def test_the_mss_of_a_small_mtu(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(2000))
    t.wait(0.03)
    flow.acks()


@both(mtu=9000)
def test_the_mss_of_a_large_mtu(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(8960))
    sock.send(bytes(20000))
    t.wait(0.03)
    flow.acks()
