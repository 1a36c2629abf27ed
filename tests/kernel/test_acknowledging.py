"""When data are acknowledged: at once, late, in the order of holes, and what the acknowledgment says."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, SACK_OK, mss, timestamps, wscale
from support.beside.states import accepted
from support.beside.talk import Flow, Sock, Talk

MEMORY = "Linux counts the memory that a segment takes of a receive buffer, we count its octets"
BY_MEMORY = ("win",)  # for that reason its window does not move on when full segments wait to be read
TCP = socket.IPPROTO_TCP
SACK = mss(1000) + SACK_OK
EVERYTHING = mss(1000) + SACK_OK + timestamps(100_000, 0) + NOP + wscale(7)


def used(t: Talk, opts: bytes | None = None) -> tuple[Sock, Flow]:
    """A connection that has had its first data acknowledged quickly, and has answered: a conversation."""
    sock, flow = accepted(t, opts=opts)
    for _ in range(4):
        flow.sends("PA", b"question")
        t.wait(0.06)
        sock.recv(100)
        sock.send(b"answer")
        t.wait(0.06)
        flow.acks()
    return sock, flow


@both(ignored=BY_MEMORY)
def test_the_first_data_are_acknowledged_at_once(t: Talk) -> None:
    sock, flow = accepted(t)
    for _ in range(5):
        flow.sends("PA", bytes(1000))
        t.wait(0.06)
    sock.recv(10_000)


@both()
def test_in_a_conversation_an_acknowledgment_waits_for_the_answer(t: Talk) -> None:
    sock, flow = used(t)
    flow.sends("PA", b"question")
    t.wait(0.06)
    sock.recv(10)


@both(ignored=BY_MEMORY)
def test_the_second_full_segment_is_acknowledged_at_once(t: Talk) -> None:
    sock, flow = used(t)
    flow.sends("A", bytes(1000))
    t.wait(0.01)
    flow.sends("A", bytes(1000))
    t.wait(0.06)
    sock.recv(10_000)


@both(ignored=BY_MEMORY)
def test_reading_sends_the_acknowledgment_that_waits(t: Talk) -> None:
    sock, flow = used(t)
    flow.sends("PA", bytes(1000))
    sock.recv(10_000)
    t.wait(0.06)


@both()
def test_tcp_quickack_acknowledges_at_once(t: Talk) -> None:
    sock, flow = used(t)
    sock.set(TCP, socket.TCP_QUICKACK, 1)
    flow.sends("PA", b"question")
    t.wait(0.06)
    sock.getsockopt(TCP, socket.TCP_QUICKACK)


@both()
def test_tcp_quickack_off_begins_to_wait(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(TCP, socket.TCP_QUICKACK, 0)
    flow.sends("PA", b"question")
    t.wait(0.06)
    sock.getsockopt(TCP, socket.TCP_QUICKACK)


@both()
def test_setting_quickack_sends_what_waits(t: Talk) -> None:
    sock, flow = used(t)
    flow.sends("PA", b"question")
    t.wait(0.01)
    sock.set(TCP, socket.TCP_QUICKACK, 1)
    t.wait(0.06)


@both()
def test_a_hole_is_told_at_once(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PA", b"world", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"again", seq=11)
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(100)


@both()
def test_a_hole_is_told_by_sack(t: Talk) -> None:
    sock, flow = accepted(t, opts=SACK)
    flow.sends("PA", b"world", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"again", seq=11)
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(100)


@both()
def test_sack_tells_of_a_fin_behind_a_hole_too(t: Talk) -> None:
    sock, flow = accepted(t, opts=SACK)
    flow.sends("FPA", b"world", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(100)


@both()
def test_sack_tells_of_a_fin_alone_behind_a_hole(t: Talk) -> None:
    sock, flow = accepted(t, opts=SACK)
    flow.sends("PA", b"again", seq=11)
    t.wait(0.06)
    flow.sends("FA", seq=16)
    t.wait(0.06)
    flow.sends("PA", b"world", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(100)


@both()
def test_sack_tells_of_a_fin_whose_data_are_missing(t: Talk) -> None:
    sock, flow = accepted(t, opts=SACK)
    flow.sends("FA", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(100)


@both()
def test_the_latest_block_comes_first(t: Talk) -> None:
    sock, flow = accepted(t, opts=SACK)
    for seq in (101, 301, 501, 701, 201):
        flow.sends("A", bytes(10), seq=seq)
        t.wait(0.06)
    flow.sends("A", bytes(100), seq=1)
    t.wait(0.06)
    sock.recv(1000)


@both()
def test_three_blocks_beside_timestamps(t: Talk) -> None:
    _, flow = accepted(t, opts=EVERYTHING)
    for seq in (101, 301, 501, 701):
        flow.sends("A", bytes(10), seq=seq)
        t.wait(0.06)


@both()
def test_a_duplicate_is_told_by_d_sack(t: Talk) -> None:
    sock, flow = accepted(t, opts=SACK)
    flow.sends("PA", bytes(100))
    t.wait(0.06)
    flow.sends("PA", bytes(100), seq=1)
    t.wait(0.06)
    sock.recv(1000)


@both()
def test_a_duplicate_above_a_hole_is_told_by_d_sack(t: Talk) -> None:
    _, flow = accepted(t, opts=SACK)
    flow.sends("A", bytes(100), seq=201)
    t.wait(0.06)
    flow.sends("A", bytes(100), seq=201)
    t.wait(0.06)


@both()
def test_a_partial_duplicate_is_told_by_d_sack(t: Talk) -> None:
    _, flow = accepted(t, opts=SACK)
    flow.sends("PA", bytes(100))
    t.wait(0.06)
    flow.sends("PA", bytes(100), seq=51)
    t.wait(0.06)


@both(sysctls={"net.ipv4.tcp_dsack": 0})
def test_d_sack_is_switched_off(t: Talk) -> None:
    _, flow = accepted(t, opts=SACK)
    flow.sends("PA", bytes(100))
    t.wait(0.06)
    flow.sends("PA", bytes(100), seq=1)
    t.wait(0.06)


@both()
def test_a_fin_is_acknowledged_at_once(t: Talk) -> None:
    sock, flow = used(t)
    flow.sends("FA")
    t.wait(0.06)
    sock.recv(1)


@both()
def test_the_acknowledgment_rides_on_the_answer(t: Talk) -> None:
    sock, flow = used(t)
    flow.sends("PA", b"question")
    sock.send(b"answer")
    t.wait(0.06)


@both()
def test_a_keepalive_of_the_peer_is_answered(t: Talk) -> None:
    _, flow = accepted(t)
    flow.sends("A", seq=0)
    t.wait(0.05)
    flow.sends("A", b"\0", seq=0)
    t.wait(0.05)


@both(differs=MEMORY)
def test_a_small_buffer_closes_the_window_and_reading_opens_it(t: Talk) -> None:
    sock, flow = accepted(t, before=lambda sock: sock.set(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096))
    for _ in range(5):
        flow.sends("PA", bytes(1000))
        t.wait(0.06)
    sock.recv(10_000)
    t.wait(0.06)
    flow.sends("PA", bytes(1000))
    t.wait(0.06)


@both(differs=MEMORY)
def test_reading_a_little_does_not_open_a_closed_window(t: Talk) -> None:
    sock, flow = accepted(t, before=lambda sock: sock.set(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096))
    for _ in range(5):
        flow.sends("PA", bytes(1000))
        t.wait(0.06)
    for _ in range(4):
        sock.recv(500)
        t.wait(0.06)


@both(differs=MEMORY)
def test_a_probe_of_a_closed_window_is_answered(t: Talk) -> None:
    _, flow = accepted(t, before=lambda sock: sock.set(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304))
    for _ in range(4):
        flow.sends("PA", bytes(1000))
        t.wait(0.06)
    flow.sends("A", b"x", seq=flow.nxt)
    t.wait(0.6)
    flow.sends("A", b"x", seq=flow.nxt)
    t.wait(0.1)


@both()
def test_so_rcvlowat_keeps_quiet_until_there_is_enough(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)
    flow.sends("PA", b"hello")
    sock.events()
    flow.sends("PA", b"world")
    sock.events()
    t.wait(0.06)
