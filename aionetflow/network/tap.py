"""Network.tap: a node and the operating system on one Ethernet."""

import asyncio
import os
from typing import Any

from aionetflow.clock import Clock
from aionetflow.ip.address import pack_interface
from aionetflow.link.tap import TapLink, open_device
from aionetflow.network.device import Device, Namespace, within
from aionetflow.network.outside import Outside
from aionetflow.rng import Random


def real_loop(loop: asyncio.AbstractEventLoop, what: str) -> asyncio.AbstractEventLoop:
    """The event loop, which must be able to wait for the kernel in the kernel's own time; RuntimeError otherwise."""
    if getattr(loop, "_virtual", False):
        raise RuntimeError(f"{what} needs real time: the kernel does not wait, and virtual time would not")
    return loop


class Kernel(Outside):
    """The operating system as a station on the network: a TapLink, the device behind it, and the loop that reads it."""

    link: TapLink

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, random: Random, node: str, name: str,
        addresses: tuple[str, ...], namespace: Namespace, settings: dict[str, Any],
    ) -> None:  # fmt: skip
        for address in addresses:
            pack_interface(address)  # before anything is changed
        self.addresses = addresses
        self._loop = real_loop(loop, "a TAP device")
        mtu = settings["mtu"]
        descriptor, device, self._device = within(namespace, lambda: _make(name, mtu, addresses))
        try:
            self.link = TapLink(clock, random, f"{node}-{device}", descriptor, device, **settings)
        except BaseException:
            self._device.close()
            os.close(descriptor)
            raise
        self.link.b.on_mtu = self._device.set_mtu
        loop.add_reader(descriptor, self.link.device.readable)

    def close(self) -> None:
        """Gives the device back."""
        descriptor = self.link.device.fileno()
        if descriptor >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(descriptor)
        self.link.device.close()
        self._device.close()


def _make(name: str, mtu: int, addresses: tuple[str, ...]) -> tuple[int, str, Device]:
    """Makes and sets up the device: the descriptor of its frames, its name, and the device as the kernel has it."""
    descriptor, name = open_device(name)
    try:
        device = Device(name)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        device.set_up(mtu)
        for address in addresses:
            device.add_address(address)
    except BaseException:
        device.close()
        os.close(descriptor)
        raise
    return descriptor, name, device
