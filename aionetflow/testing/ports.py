"""The port factories of pytest-asyncio and anyio, made to give ports of the virtual host to tests that run on one."""

from typing import Any

from aionetflow.socket.options import SOCK_DGRAM, SOCK_STREAM
from aionetflow.testing.run import current

KINDS = {
    "unused_tcp_port_factory": SOCK_STREAM, "unused_udp_port_factory": SOCK_DGRAM,
    "free_tcp_port_factory": SOCK_STREAM, "free_udp_port_factory": SOCK_DGRAM,
}  # fmt: skip


class PortFactory:
    """A factory for free ports: the original, but for tests on a network.

    The original lives as long as the session and remembers what it has given, so on a network its ports would depend
    on the tests before.
    """

    def __init__(self, original: Any, kind: int) -> None:
        self._original = original
        self._kind = kind

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        run = current()
        port: int = self._original(*args, **kwargs) if run is None else run.free_port(self._kind)
        return port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)
