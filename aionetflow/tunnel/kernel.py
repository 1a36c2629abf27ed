"""What the tunnel asks of the kernel, many datagrams a call: compiled (`_kernel`), or by the socket module's calls.

Datagrams are handed over as a block: they stand one behind another, all but the last of one size, which may be shorter.
What a call returns is an errno if it is negative. Addresses are the kernel's octets (`address.py`).
"""

import errno
import socket
import struct

from aionetflow.gso import cut as cut_super_segments
from aionetflow.gso import merge
from aionetflow.tunnel.address import packed, plain, unpacked
from aionetflow.tunnel.vxlan import ETHERNET_HEADER, HEADER_SIZE

__all__ = ["LINUX", "cut", "lay_out", "receive", "send_many", "send_segments", "split"]

Block = tuple[bytearray, int]  # datagrams, and the size of each
Arrival = tuple[bytes, int, int, int, int]  # from whom; where in the buffer, how long, of what size each; drops so far

SOL_UDP = socket.IPPROTO_UDP
UDP_SEGMENT, UDP_GRO = 103, 104  # linux/udp.h
SO_RXQ_OVFL = 40  # asm-generic/socket.h
_CONTROL = 64  # octets: for UDP_GRO and SO_RXQ_OVFL
_LEAST = HEADER_SIZE + ETHERNET_HEADER

try:
    from aionetflow.tunnel._kernel import LINUX, cut, lay_out, receive, send_many, send_segments, split
except ModuleNotFoundError:
    LINUX = hasattr(socket, "CMSG_LEN") and hasattr(socket, "SO_BINDTODEVICE")

    def lay_out(
        frames: list[bytes], merged_by: int, header: bytes, before: int, behind: int, room: int, most: int
    ) -> list[Block]:
        r"""Datagrams for frames, one behind another in as few blocks as can be sent in one call each.

        In each are `before` octets, the header, a frame and `behind` octets. In a block are at most `most` of them and,
        unless it is a single one, `room` octets. The frames are cut by the MTU `merged_by` (gso.py) if it is not 0.

        >>> [(bytes(block), size) for block, size in lay_out([b"aa", b"bb", b"c", b"dd"], 0, b"-", 1, 0, 1000, 64)]
        [(b'\x00-aa\x00-bb\x00-c', 4), (b'\x00-dd', 4)]
        """
        blocks: list[Block] = []
        block, unit, count, ended = bytearray(), 0, 0, False
        for frame in cut_super_segments(frames, merged_by):
            size = before + len(header) + len(frame) + behind
            if not count or ended or size > unit or count == most or len(block) + size > room:
                if count:
                    blocks.append((block, unit))
                block, unit, count = bytearray(), size, 0
            block += bytes(before) + header + frame + bytes(behind)
            count += 1
            ended = size < unit
        return [*blocks, (block, unit)] if count else []

    def send_segments(sock: socket.socket, to: bytes, block: bytearray, size: int) -> int:
        """Sends a block's datagrams in one call: all but the last are of `size` octets. Returns 0 when that is done."""
        control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))] if len(block) > size else []
        try:
            sock.sendmsg([block], control, 0, unpacked(to))
        except OSError as error:
            return -(error.errno or errno.EIO)
        return 0

    def send_many(sock: socket.socket, to: bytes, block: bytearray, size: int, first: int, most: int) -> int:
        """Sends datagrams of a block, from that number on: as many as there is room for, at most `most`."""
        datagrams = cut(block, first * size, len(block) - first * size, size)[:most] or [b""]
        for sent, datagram in enumerate(datagrams):
            try:
                sock.sendto(datagram, unpacked(to))
            except OSError as error:
                return sent or -(error.errno or errno.EIO)
        return len(datagrams)

    def receive(sock: socket.socket, buffer: bytearray, slot: int, count: int) -> list[Arrival] | int:
        """Reads what is there into `count` slots of `slot` octets each, and tells what came."""
        arrivals: list[Arrival] = []
        view = memoryview(buffer)
        for number in range(count):
            start = number * slot
            try:
                length, control, _, sender = sock.recvmsg_into([view[start : start + slot]], _CONTROL)
            except OSError as error:
                return arrivals or -(error.errno or errno.EIO)
            size, dropped = length, 0
            for level, kind, value in control:
                if (level, kind) == (SOL_UDP, UDP_GRO):
                    (size,) = struct.unpack("=i", value)
                elif (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                    (dropped,) = struct.unpack("=I", value)
            arrivals.append((packed(plain(sender)), start, length, size, dropped))
        return arrivals

    def cut(buffer: bytearray, start: int, length: int, size: int) -> list[bytes]:
        """The datagrams that stand in a buffer: of `size` octets each, the last may be shorter.

        >>> cut(bytearray(b"..aabbc..."), 2, 5, 2)
        [b'aa', b'bb', b'c']
        """
        stop = start + length
        if not (0 <= start <= stop <= len(buffer) and size >= 0) or (size == 0 and length):
            raise ValueError("out of the buffer")
        return [bytes(buffer[at : min(at + size, stop)]) for at in range(start, stop, max(size, 1))]

    def split(
        buffer: bytearray, start: int, length: int, size: int, header: bytes, frames: list[bytes], macs: set[bytes],
        merged_by: int = 0,
    ) -> list[bytes] | None:  # fmt: skip
        """Takes the frames out of datagrams that stand in a buffer, as `cut` says.

        Those that are VXLAN of the header's network are appended to `frames`, merged by that MTU (gso.py) if it is not
        0, and their senders' MACs are added to `macs`; the other datagrams are returned, None if there are none.
        """
        taken: list[bytes] = []
        others: list[bytes] = []
        vni = header[4:7]
        for datagram in cut(buffer, start, length, size):
            if len(datagram) >= _LEAST and datagram[0] & header[0] and datagram[4:7] == vni:
                taken.append(datagram[HEADER_SIZE:])
                macs.add(datagram[HEADER_SIZE + 6 : HEADER_SIZE + 12])
            else:
                others.append(datagram)
        frames += merge(taken, merged_by) if merged_by else taken
        return others or None
