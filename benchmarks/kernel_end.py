"""One end of the kernel's flows, in a network namespace of its own: python -m benchmarks.kernel_end send|receive.

It says "ready" when it has its namespace, and goes on when it reads a line: its device is there by then.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import selectors
import socket
import sys
import time

CLONE_NEWNET = 0x40000000
PORT = 5001
CHUNK = bytes(65536)


def main() -> None:
    """The command line: the role, the receiver's address, the flows, and the seconds at which to count."""
    role, address, flows, *marks = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit("no network namespace: run as root")
    print("ready", flush=True)
    sys.stdin.readline()
    if role == "send":
        _send(address, int(flows), float(marks[-1]))
    else:
        _receive(address, int(flows), [float(mark) for mark in marks])


def _send(address: str, flows: int, seconds: float) -> None:
    selector = selectors.DefaultSelector()
    for _ in range(flows):
        sock = socket.socket()
        # by name: the system's default may be another
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect((address, PORT))
        selector.register(sock, selectors.EVENT_WRITE)
    end = time.monotonic() + seconds + 2
    while time.monotonic() < end:
        for key, _ in selector.select(0.5):
            try:
                key.fileobj.send(CHUNK)  # type: ignore[union-attr]
            except BlockingIOError:
                pass
            except OSError:
                return


def _receive(address: str, flows: int, marks: list[float]) -> None:
    selector = selectors.DefaultSelector()
    listener = socket.create_server((address, PORT))
    counts: dict[socket.socket, int] = {}
    print("listening", flush=True)
    for _ in range(flows):
        sock, _ = listener.accept()
        counts[sock] = 0
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    start = time.monotonic()
    told: list[list[int]] = []
    while marks:
        for key, _ in selector.select(max(0.0, start + marks[0] - time.monotonic())):
            counts[key.fileobj] += len(key.fileobj.recv(1 << 20))  # type: ignore[index, union-attr]
        if time.monotonic() >= start + marks[0]:
            marks.pop(0)
            told.append(list(counts.values()))
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
