"""Where the commands of `aionetflow host` run: the one host of this process, and the tunnel to the others."""

import asyncio
import contextlib
import sys

import aionetflow as anf
from aionetflow.cli.status import FAILED
from aionetflow.inspect.probing import ECHO, IPPROTO_ICMPV6
from aionetflow.ip.address import AF_INET6
from aionetflow.network.control_blocks import control_blocks
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SOCK_DGRAM
from aionetflow.tunnel.address import shown
from aionetflow.tunnel.link import TunnelLink

PATIENCE = 5.0  # s; how long a host of the others is looked for
_LINGER = 2.0  # s; how long what was written has to be delivered at the end
_LOOK = 0.02  # s
_UNDER_WAY = {"FIN-WAIT-1", "CLOSING", "LAST-ACK"}  # closed, and not everything acknowledged


class Problem(Exception):
    """Why a command cannot go on, in one line, and the exit status that it ends with."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


class OutputClosed(BrokenPipeError):
    """Nobody reads standard output any more."""


def put(octets: bytes) -> None:
    """Writes to standard output, at once; OutputClosed if nobody reads it."""
    try:
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise OutputClosed from None


def tell(line: str) -> None:
    """Says something that is not what the command is for, to who sits before the terminal."""
    print(line, file=sys.stderr, flush=True)


class Site:
    """A host, and the tunnel by which it reaches those of other processes."""

    def __init__(self, host: anf.Host, tunnel: TunnelLink) -> None:
        self.host = host
        self.tunnel = tunnel

    @property
    def addresses(self) -> str:
        """Those of the host, as one reads them."""
        return " and ".join([*self.host.addresses, *self.host.addresses6])

    async def find(self, name: str) -> list[str]:
        """The addresses of a name (of a literal, itself); Problem if nobody has it.

        It is looked for some seconds: who has it may have been started just now.
        """
        net, loop = self.host.network, asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            return net.resolve_all(name, self.host)
        self._call_all()
        end = loop.time() + PATIENCE
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await net.look_up(name, self.host)
            try:
                return net.resolve_all(name, self.host)
            except OSError:
                if loop.time() >= end:
                    raise Problem(self.why_silent() or f"no host is named {name!r}") from None

    def _call_all(self) -> None:
        """Sends an echo request to all hosts: those that are there answer, whatever their names are (RFC 4443 4.2)."""
        nic = self.host.interfaces[0]
        with contextlib.suppress(OSError):  # no IPv6 here, by a small MTU
            sock = self.host.socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)
            assert isinstance(sock, DatagramSocket)
            try:
                sock.sendto(bytes((ECHO[AF_INET6], 0, 0, 0, 0, 0, 0, 1)), (f"ff02::1%{nic.name}", 0))
            finally:
                sock.close()

    def why_silent(self) -> str:
        """What is wrong if nothing comes from the others at all; empty if something has come."""
        peers = self.tunnel.peers
        if not peers:
            return "nobody is there: no --peer is named, and none has come"
        if any(peer.frames_in for peer in peers):
            return ""
        return "no answer from " + ", ".join(shown(peer.address) for peer in peers)

    async def finish(self) -> None:
        """Returns when the others have acknowledged all that was written and closed, or do not in time."""
        end = asyncio.get_running_loop().time() + _LINGER
        while asyncio.get_running_loop().time() < end:
            if not any(block.state in _UNDER_WAY for block in control_blocks(self.host)):
                return
            await asyncio.sleep(_LOOK)
