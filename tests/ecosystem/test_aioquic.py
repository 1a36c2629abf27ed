"""aioquic: HTTP/3 over QUIC over UDP; its client makes its own socket, for both families."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.asyncio import serve as listen
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated

PAGE = bytes(range(256)) * 200


class Http3(QuicConnectionProtocol):
    """HTTP/3 as far as a page needs it: the server's side answers, the client's collects."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.http: Any = None
        self.got: dict[int, bytes] = {}
        self.done: dict[int, asyncio.Future[bytes]] = {}

    def quic_event_received(self, event: Any) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
        for part in self.http.handle_event(event) if self.http is not None else ():
            stream = part.stream_id
            if isinstance(part, DataReceived):
                self.got[stream] = self.got.get(stream, b"") + part.data
            if isinstance(part, HeadersReceived | DataReceived) and part.stream_ended:
                self.ended(stream)

    def ended(self, stream: int) -> None:
        if stream in self.done:
            self.done[stream].set_result(self.got[stream])
            return
        self.http.send_headers(stream, [(b":status", b"200")])
        self.http.send_data(stream, PAGE, end_stream=True)
        self.transmit()

    async def get(self, authority: str, path: str) -> bytes:
        stream = self._quic.get_next_available_stream_id()
        self.done[stream] = asyncio.get_running_loop().create_future()
        names = {":method": "GET", ":scheme": "https", ":authority": authority, ":path": path}
        headers = [(name.encode(), value.encode()) for name, value in names.items()]
        self.http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        return await self.done[stream]


def test_pages_are_fetched_at_once(run: Callable[..., None], certificates: Any) -> None:
    @contextlib.asynccontextmanager
    async def serve(name: str) -> AsyncIterator[int]:
        configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
        configuration.load_cert_chain(certificates.chain, certificates.chain)
        server = await listen(name, 0, configuration=configuration, create_protocol=Http3)
        yield server._transport.get_extra_info("sockname")[1]
        server.close()

    async def use(name: str, port: int) -> None:
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN)
        configuration.load_verify_locations(certificates.authority)
        async with connect(name, port, configuration=configuration, create_protocol=Http3) as client:
            pages = await asyncio.gather(*(client.get(name, f"/{number}") for number in range(3)))
        assert pages == [PAGE] * 3

    run(serve, use, patched=True)
