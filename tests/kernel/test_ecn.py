"""Explicit congestion notification (RFC 3168): negotiated or not, heard and answered."""

from __future__ import annotations

from support.beside.cases import both
from support.beside.packets import NOP, SACK_OK, mss, timestamps
from support.beside.states import accepted, listening, syn_sent
from support.beside.talk import Flow, Sock, Talk

PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}
ON = {**PLAIN, "net.ipv4.tcp_ecn": 1}
ECT1, ECT0, CE = 1, 2, 3


def agreed(t: Talk, opts: bytes | None = None) -> tuple[Sock, Flow]:
    """Both sides have agreed on ECN."""
    return accepted(t, syn="SEC", opts=opts)


@both()
def test_a_listener_agrees_when_asked(t: Talk) -> None:
    listening(t)
    t.flow().sends("SEC", opts=mss(1000))
    t.expect()


@both(sysctls={"net.ipv4.tcp_ecn": 0})
def test_a_listener_does_not_agree_when_ecn_is_off(t: Talk) -> None:
    listening(t)
    t.flow().sends("SEC", opts=mss(1000))
    t.expect()


@both()
def test_one_flag_alone_does_not_ask(t: Talk) -> None:
    listening(t)
    t.flow(4000).sends("SE", opts=mss(1000))
    t.expect()
    t.flow(4001).sends("SC", opts=mss(1000))
    t.expect()


@both()
def test_a_syn_that_is_marked_does_not_agree(t: Talk) -> None:
    listening(t)
    t.flow().sends("SEC", opts=mss(1000), tos=ECT0)
    t.expect()


@both(sysctls=PLAIN)
def test_a_client_does_not_ask_by_default(t: Talk) -> None:
    syn_sent(t)


@both(sysctls=ON)
def test_a_client_asks(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("SAE", opts=mss(1000))
    t.expect("A")
    sock.send(b"hello")
    t.wait(0.02)


@both(sysctls=ON)
def test_a_client_is_refused(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("SA", opts=mss(1000))
    t.expect("A")
    sock.send(b"hello")
    t.wait(0.02)


@both(sysctls=ON)
def test_a_syn_is_sent_again_without_asking(t: Talk) -> None:
    syn_sent(t)
    t.wait(2.4)


@both()
def test_data_are_marked_and_acknowledgments_are_not(t: Talk) -> None:
    sock, flow = agreed(t)
    sock.send(b"hello")
    t.wait(0.02)
    flow.acks()
    flow.sends("PA", b"hello", tos=ECT0)
    t.wait(0.06)


@both()
def test_a_mark_is_echoed_until_the_window_is_reduced(t: Talk) -> None:
    _, flow = agreed(t)
    flow.sends("PA", b"one", tos=CE)
    t.wait(0.06)
    flow.sends("PA", b"two", tos=ECT0)
    t.wait(0.06)
    flow.sends("PAC", b"three", tos=ECT0)
    t.wait(0.06)
    flow.sends("PA", b"four", tos=ECT0)
    t.wait(0.06)


@both()
def test_an_echo_reduces_the_window_once(t: Talk) -> None:
    sock, flow = agreed(t)
    sock.send(bytes(30_000))
    t.wait(0.02)
    flow.sends("AE", ack=1001)
    t.wait(0.01)
    flow.sends("AE", ack=2001)
    t.wait(0.01)
    flow.sends("AE", ack=6001)
    t.wait(0.01)
    flow.sends("A", ack=10_001)
    t.wait(0.01)


@both()
def test_a_retransmission_is_not_marked(t: Talk) -> None:
    sock, _ = agreed(t)
    sock.send(b"hello")
    t.wait(0.5)


@both()
def test_a_fin_is_marked_only_with_data(t: Talk) -> None:
    sock, flow = agreed(t)
    sock.close()
    t.wait(0.02)
    flow.acks()


@both()
def test_ecn_beside_everything_else(t: Talk) -> None:
    sock, flow = agreed(t, mss(1000) + SACK_OK + timestamps(100_000, 0) + NOP)
    sock.send(bytes(5000))
    t.wait(0.02)
    flow.sends("AE", ack=989)
    t.wait(0.02)
    flow.acks()


@both()
def test_a_peer_that_asks_for_accurate_ecn(t: Talk) -> None:
    listening(t)
    t.flow().sends("SECX", opts=mss(1000))
    t.expect()
