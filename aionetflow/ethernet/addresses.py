"""What an interface's addresses are, and which of them to send from."""

from typing import NamedTuple


class InterfaceAddress(NamedTuple):
    """An address of an interface and the length of its network's prefix."""

    address: bytes
    prefix_length: int

    @property
    def broadcast(self) -> bytes:
        """The last address of the network, which means all its hosts; empty if there is none (RFC 3021, IPv6)."""
        if len(self.address) != 4 or self.prefix_length >= 31:
            return b""
        host_bits = 32 - self.prefix_length
        return (int.from_bytes(self.address, "big") | ((1 << host_bits) - 1)).to_bytes(4, "big")


def source_address(addresses: list[InterfaceAddress], destination: bytes) -> bytes:
    """An interface's address to send to a destination from: one on its network, else the first (RFC 1122 3.3.4.3)."""
    candidates = [entry for entry in addresses if len(entry.address) == len(destination)]
    for entry in candidates:
        bits = 8 * len(destination) - entry.prefix_length
        if int.from_bytes(entry.address, "big") >> bits == int.from_bytes(destination, "big") >> bits:
            return entry.address
    return candidates[0].address if candidates else b""
