"""Segments that arrive in one batch, as a link hands them over, and several connections at once."""

import pytest

from aionetflow.tcp.states import State
from support.fixtures import accepted, established, last_ack, listening
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, Script


def text(length: int) -> bytes:
    """Octets that tell where they belong."""
    return bytes(index * 7 % 251 for index in range(length))


def received(script: Script) -> bytes:
    """All that can be read now."""
    try:
        return script.sock.recv(1 << 20)
    except BlockingIOError:
        return b""


def run_of(script: Script, count: int, last: int = ACK) -> list[bytes]:
    """In-order segments of 1000 octets; the last one with other flags."""
    data = text(1000 * count)
    return [
        script.segment(last if index == count - 1 else ACK, data=data[1000 * index : 1000 * index + 1000])
        for index in range(count)
    ]


def test_a_batch_that_ends_with_a_fin() -> None:
    script = established()
    script.deliver(run_of(script, 5, FIN | PSH | ACK)).expect(ACK)
    assert script.state == State.CLOSE_WAIT
    assert (received(script), received(script)) == (text(5000), b"")


def test_a_batch_with_a_bare_fin_behind_the_data() -> None:
    script = established()
    script.deliver([*run_of(script, 3), script.segment(FIN | ACK)])
    assert script.drain()[-1].ack == script.nxt
    assert script.state == State.CLOSE_WAIT
    assert (received(script), received(script)) == (text(3000), b"")


def test_a_batch_that_ends_with_a_reset() -> None:
    script = established()
    script.deliver([*run_of(script, 3), script.segment(RST | ACK)])
    assert script.state == State.CLOSED
    assert received(script) == text(3000)
    with pytest.raises(ConnectionResetError):
        script.sock.recv(10)


def test_a_batch_larger_than_the_window_is_kept_up_to_the_window() -> None:
    script = accepted(receive_buffer=4000)
    assert script.edge is not None
    room = (script.edge - script.nxt) & M32
    first = script.nxt
    script.deliver(run_of(script, room // 1000 + 3)).after(0.1)
    answers = script.drain()
    assert answers[-1].ack == (first + room) & M32
    assert received(script) == text(1000 * (room // 1000 + 3))[:room]


def test_a_batch_out_of_order_is_put_in_order() -> None:
    script = established()
    script.deliver(run_of(script, 8)[::-1])
    assert script.drain()[-1].ack == script.nxt
    assert received(script) == text(8000)


def test_a_batch_twice_is_delivered_once() -> None:
    script = established()
    batch = run_of(script, 6)
    script.deliver(batch + batch).deliver(batch)
    assert script.drain()[-1].ack == script.nxt
    assert received(script) == text(6000)


def test_a_batch_behind_a_hole_is_kept() -> None:
    script = established()
    batch = run_of(script, 6)
    script.deliver(batch[1:])
    assert {heard.ack for heard in script.drain()} == {(ISS + 1) & M32}
    script.deliver(batch[:1]).expect(ACK)
    assert received(script) == text(6000)


def test_a_batch_of_acks_and_data_for_two_connections() -> None:
    script = listening()
    socks = []
    for port in (5001, 5002):
        script.ports, script.nxt, script.edge = (port, 80), ISS, None
        script.sends(SYN, mss=1000)
        script.heard = IRS
        script.expect(SYN | ACK)
        script.sends(ACK)
        assert script.listener is not None
        socks.append(script.listener.accept()[0])
    batch = []
    for index in range(4):
        for port, letter in ((5001, b"a"), (5002, b"b")):
            script.ports = (port, 80)
            batch.append(script.segment(ACK, seq=ISS + 1 + 1000 * index, data=letter * 1000))
    script.deliver(batch).after(0.04)
    answers = script.drain()
    for sock, port, letter in zip(socks, (5001, 5002), (b"a", b"b"), strict=True):
        assert [heard.ack for heard in answers if heard.ports[1] == port][-1] == (ISS + 4001) & M32
        assert sock.recv(10000) == letter * 4000


def test_segments_with_different_acks_in_one_batch_free_the_send_buffer() -> None:
    script = established()
    script.sock.send(text(5000))
    script.expect_data(text(5000))
    script.deliver([script.segment(ACK, ack=IRS + 1 + 1000 * index) for index in range(6)])
    script.expect_nothing()
    assert script.sock.queued() == (0, 0)


def test_a_batch_of_duplicate_acks_starts_fast_retransmit() -> None:
    script = established()
    script.sock.send(text(10000))
    script.expect_data(text(10000))
    script.deliver([script.segment(ACK, ack=IRS + 1) for _ in range(5)])
    (again,) = script.drain()
    assert (again.seq, again.data) == ((IRS + 1) & M32, text(1000))


def test_a_batch_that_closes_what_the_next_of_it_reaches() -> None:
    """The first ends the connection, the second finds nobody."""
    script = last_ack()
    script.deliver([script.segment(ACK), script.segment(ACK, ack=IRS + 2)])
    script.expect(RST, seq=IRS + 2)


def test_a_whole_short_connection_in_one_batch() -> None:
    script = listening()
    script.sends(SYN, mss=1000)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.deliver([script.segment(ACK), *run_of(script, 3), script.segment(FIN | ACK)])
    assert script.drain()[-1].ack == script.nxt
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    assert script.state == State.CLOSE_WAIT
    assert (received(script), received(script)) == (text(3000), b"")


# What the application is told -------------------------------------------------------------------------------------


def watched(script: Script) -> list[int]:
    """Every events() that on_change announces."""
    told: list[int] = []
    script.sock.on_change = lambda: told.append(script.sock.events())
    return told


def test_data_and_the_end_are_announced() -> None:
    script = established()
    told = watched(script)
    script.sends(PSH | ACK, data=b"x")
    assert told
    assert told[-1] & 1
    script.sends(FIN | ACK)
    script.drain()
    assert told[-1] & 0x2001 == 0x2001


def test_data_that_become_whole_are_announced_then_and_not_before() -> None:
    script = established()
    told = watched(script)
    script.sends(PSH | ACK, seq=ISS + 2, data=b"b")
    script.drain()
    assert not any(mask & 1 for mask in told)
    script.sends(PSH | ACK, seq=ISS + 1, data=b"a")
    script.drain()
    assert told[-1] & 1


def test_room_in_the_send_buffer_is_announced() -> None:
    script = established(window=0)
    script.sock.setsockopt(1, 7, 8192)
    for _ in range(100):
        if not script.sock.events() & 4:
            break
        script.sock.send(text(1000))
    told = watched(script)
    script.sends(ACK, window=65535)
    script.drain()
    script.sends(ACK)
    assert told
    assert told[-1] & 4


@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_a_reset_is_announced(flags: int) -> None:
    script = established()
    told = watched(script)
    script.sends(flags)
    assert told
    assert told[-1] & 0x18 == 0x18


def test_on_change_may_call_the_socket() -> None:
    """Whoever is told may answer at once, and close."""
    script = established()
    sock = script.sock

    def answer() -> None:
        if not sock.closed and sock.events() & 1:
            sock.send(sock.recv(100).upper())
            sock.close()

    sock.on_change = answer
    script.sends(PSH | ACK, data=b"hello")
    assert b"".join(heard.data for heard in script.drain()) == b"HELLO"
    assert script.state == State.FIN_WAIT_1
