"""The forwarding database: what is learned, how long, and what is set by hand."""

from __future__ import annotations

import pytest

from aionetflow.config import SECOND
from aionetflow.tunnel import forwarding
from aionetflow.tunnel.forwarding import AGEING_TIME, ForwardingTable
from aionetflow.tunnel.peers import Peer

WEB = bytes.fromhex("020000000001")
GROUP = bytes.fromhex("01005e000001")


@pytest.fixture
def peers() -> tuple[Peer, Peer]:
    return Peer(("192.0.2.1", 4789)), Peer(("192.0.2.2", 4789))


def test_a_mac_is_behind_the_peer_that_was_heard_with_it_last(peers: tuple[Peer, Peer]) -> None:
    here, there = peers
    table = ForwardingTable()
    assert table.find(WEB, 0) is None
    table.learn(WEB, here, 0)
    assert table.find(WEB, 1) is here
    table.learn(WEB, there, 2)
    assert table.listed(3) == {"02:00:00:00:00:01": there}


def test_what_is_not_heard_for_five_minutes_is_forgotten(peers: tuple[Peer, Peer]) -> None:
    table = ForwardingTable()
    table.learn(WEB, peers[0], 7)
    assert table.find(WEB, 7 + AGEING_TIME - 1) is peers[0]
    assert table.find(WEB, 7 + AGEING_TIME) is None
    assert AGEING_TIME == 300 * SECOND


def test_what_is_set_by_hand_stays(peers: tuple[Peer, Peer]) -> None:
    table = ForwardingTable()
    table.set(WEB, peers[0])
    table.learn(WEB, peers[1], 5)
    assert table.find(WEB, 10 * AGEING_TIME) is peers[0]


def test_a_group_is_behind_nobody(peers: tuple[Peer, Peer]) -> None:
    table = ForwardingTable()
    table.learn(GROUP, peers[0], 0)
    assert table.find(GROUP, 0) is None
    with pytest.raises(ValueError, match="the first of them even"):
        table.set(GROUP, peers[0])


def test_with_a_peer_goes_what_was_behind_it(peers: tuple[Peer, Peer]) -> None:
    table = ForwardingTable()
    table.learn(WEB, peers[0], 0)
    table.set(bytes(6), peers[1])
    table.forget(peers[0])
    assert table.listed(0) == {"00:00:00:00:00:00": peers[1]}


def test_a_full_table_makes_room_only_of_what_is_old(peers: tuple[Peer, Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "TABLE_SIZE", 2)
    table = ForwardingTable()
    table.learn(WEB, peers[0], 0)
    table.learn(bytes(6), peers[0], SECOND)
    table.learn(b"\2" * 6, peers[1], SECOND)
    assert len(table.listed(SECOND)) == 2
    table.learn(b"\2" * 6, peers[1], AGEING_TIME)
    assert table.find(b"\2" * 6, AGEING_TIME) is peers[1]
    assert table.find(bytes(6), AGEING_TIME) is peers[0]
