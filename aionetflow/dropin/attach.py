"""Gives a running event loop the network calls of a virtual network, and takes them back.

It works on any loop whose instances take attributes: stock asyncio's, uvloop's, ours. The loop's class is not touched,
nor is any other loop.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aionetflow.dropin.bridge import Bridge
from aionetflow.dropin.calls import NAMES, NetworkCalls
from aionetflow.network.network import Network

_MISSING = object()


def attach(network: Network, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Has the network calls of an event loop go to a network.

    Returns what ends that. Of several networks at once, each task's calls go to that of the host it is on, and the
    calls of tasks that are on none to the one that was attached last.
    """
    networks: list[Network] | None = vars(loop).get("networks")
    if networks is None:
        networks = vars(loop)["networks"] = []
    if not networks:
        _replace(loop)
    networks.append(network)
    bridge = Bridge(network, loop) if network.bridge == "loopback" else None

    def detach() -> None:
        if bridge is not None:
            bridge.close()
        networks.remove(network)
        if not networks:
            _restore(loop)

    return detach


def _replace(loop: asyncio.AbstractEventLoop) -> None:
    own = vars(loop)
    before = {name: own.get(name, _MISSING) for name in NAMES}
    calls = NetworkCalls(loop, {name: getattr(loop, name) for name in NAMES})
    own["_aionetflow_before"] = before
    for name in NAMES:
        own[name] = getattr(calls, name)


def _restore(loop: asyncio.AbstractEventLoop) -> None:
    own: dict[str, Any] = vars(loop)
    for name, value in own.pop("_aionetflow_before").items():
        if value is _MISSING:
            own.pop(name, None)  # or the program has deleted it
        else:
            own[name] = value

