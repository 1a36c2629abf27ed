"""Gives a running event loop the network calls of a virtual network, and takes them back.

It works on any loop whose instances take attributes: stock asyncio's, uvloop's, ours. The loop's class is not touched,
nor is any other loop.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aionetflow.dropin.bridge import Bridge
from aionetflow.dropin.calls import NAMES, NetworkCalls
from aionetflow.dropin.threads import gate_of
from aionetflow.network.network import Network

_MISSING = object()
_KEY = "_aionetflow_layers"


class _Layer:
    """What one network has put on a loop, and what was there before: nothing, or what a program had put there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._own = vars(loop)
        self._before = {name: self._own.get(name, _MISSING) for name in NAMES}
        calls = NetworkCalls(loop, {name: _kernels(name, getattr(loop, name)) for name in NAMES})
        for name in NAMES:
            self._own[name] = getattr(calls, name)

    def take_off(self, above: "_Layer | None") -> None:
        """Gives back what was before; it is the layer above, if there is one, that has to do so in the end."""
        if above is not None:
            above._before = self._before
            return
        for name, value in self._before.items():
            if value is _MISSING:
                self._own.pop(name, None)  # or the program has deleted it
            else:
                self._own[name] = value


def attach(network: Network, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Has the network calls of an event loop go to a network.

    Returns what ends that, in whatever order several networks end. Of several at once, each task's calls go to that of
    the host it is on, and the calls of tasks that are on none to the one that was attached last.
    """
    gate_of(loop)
    own = vars(loop)
    networks: list[Network] = own.setdefault("networks", [])
    layers: list[_Layer] = own.setdefault(_KEY, [])
    layer = _Layer(loop)
    layers.append(layer)
    networks.append(network)
    bridge = Bridge(network, loop) if network.bridge == "loopback" else None

    def detach() -> None:
        if bridge is not None:
            bridge.close()
        networks.remove(network)
        place = layers.index(layer)
        layers.remove(layer)
        layer.take_off(layers[place] if place < len(layers) else None)

    return detach


def _kernels(name: str, call: Any) -> Any:
    """The call that is for sockets of the kernel: what a network was put in the place of."""
    owner = getattr(call, "__self__", None)
    return owner.kernel[name] if isinstance(owner, NetworkCalls) else call
