"""Two networks in one process, joined as a tunnel joins those of two: frames for one LAN go to the other's."""

from __future__ import annotations

from random import Random

from aionetflow import Network
from aionetflow.link.memory import MemoryLink
from aionetflow.network.outside import Outside
from aionetflow.network.switch import Switch
from aionetflow.network.topology import check_may_share


class Half(Outside):
    """The end of a tunnel at one network: what its switch sends out comes in at the other."""

    vni = 42

    def __init__(self, net: Network, switch: Switch, *, mtu: int = 1500) -> None:
        self.link = MemoryLink(net.clock, Random(1), f"{switch.name}-tunnel", mtu=mtu)
        self.link.b.attach(self)
        self.other: Half | None = None
        self.frames: list[bytes] = []  # all that have gone out
        check_may_share(net._wiring.segments(net.lan), switch)
        net._add_outside(switch, self)

    def receive(self, frames: list[bytes]) -> None:
        self.frames += frames
        if self.other is not None:
            self.other.link.b.send(list(frames))

    def close(self) -> None:
        self.other = None


def join(one: Network, other: Network, name: str = "lan", *, mtu: int = 1500) -> tuple[Half, Half]:
    """Joins the switches of that name of two networks."""
    halves = []
    for net in (one, other):
        switch = net.nodes[name]
        assert isinstance(switch, Switch)
        halves.append(Half(net, switch, mtu=mtu))
    halves[0].other, halves[1].other = halves[1], halves[0]
    return halves[0], halves[1]
