"""TLS by SSLContext.wrap_socket() on virtual sockets: blocking programs, on threads."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme

import aionetflow
from aionetflow.dropin.tls import VirtualTlsSocket

DATA = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server named "server", and of a client that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("server").configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def patched() -> Iterator[None]:
    with aionetflow.patch():
        yield


def on_two_threads(serve: Callable[[], object], ask: Callable[[], object]) -> list[object]:
    """Runs both at once as hosts "server" and "client" of a network; returns what they return."""

    async def as_host(host: aionetflow.Host, action: Callable[[], object]) -> object:
        async with host:
            return await asyncio.to_thread(action)

    async def main() -> list[object]:
        async with aionetflow.Network(seed=1) as net:
            server, client = net.host("server"), net.host("client")
            both = as_host(server, serve), as_host(client, ask)
            return list(await asyncio.gather(*both, return_exceptions=True))

    return aionetflow.run(main())


def echo(context: ssl.SSLContext, asked: threading.Event | None = None) -> None:
    """One connection; with an event, the server says nothing before that."""
    with socket.create_server(("", 443)) as listener, context.wrap_socket(listener, server_side=True) as secure:
        if asked is not None:
            asked.wait(30)
        sock, _ = secure.accept()
        with sock:
            while data := sock.recv(50_000):
                sock.sendall(data)
            sock.unwrap().close()


def connect() -> socket.socket:
    """To the server, as soon as it is there."""
    while True:
        try:
            return socket.create_connection(("server", 443), 30)
        except ConnectionRefusedError:
            continue


@pytest.mark.usefixtures("patched")
def test_a_blocking_client_and_server_talk(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    def ask() -> bytes:
        with contexts[1].wrap_socket(connect(), server_hostname="server") as sock:
            assert isinstance(sock, VirtualTlsSocket)
            assert isinstance(sock, ssl.SSLSocket)
            assert sock.version() == "TLSv1.3"
            sock.sendall(DATA)
            received = b""
            while len(received) < len(DATA):
                received += sock.recv(70_000)
            sock.unwrap()
            return received

    assert on_two_threads(lambda: echo(contexts[0]), ask) == [None, DATA]


@pytest.mark.usefixtures("patched")
def test_a_certificate_of_another_is_refused(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    def ask() -> None:
        contexts[1].wrap_socket(connect(), server_hostname="another")

    served, asked = on_two_threads(lambda: echo(contexts[0]), ask)
    assert isinstance(asked, ssl.SSLCertVerificationError)
    assert isinstance(served, ssl.SSLError)  # it was told


@pytest.mark.usefixtures("patched")
def test_a_socket_that_does_not_block_says_what_it_wants(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    asked = threading.Event()

    def ask() -> None:
        plain = connect()
        plain.setblocking(False)
        with contexts[1].wrap_socket(plain, server_hostname="server", do_handshake_on_connect=False) as sock:
            assert plain.fileno() == -1
            with pytest.raises(ssl.SSLWantReadError):
                sock.do_handshake()
            asked.set()
            sock.settimeout(30)
            sock.do_handshake()
            assert sock.getpeercert()
            sock.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                sock.recv(1)
            sock.settimeout(30)
            sock.unwrap()

    assert on_two_threads(lambda: echo(contexts[0], asked), ask) == [None, None]


@pytest.mark.kernel
@pytest.mark.usefixtures("patched")
def test_sockets_of_the_kernel_are_wrapped_as_ever() -> None:
    near, far = socket.socketpair()
    with near, far:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        with context.wrap_socket(near, do_handshake_on_connect=False) as sock:
            assert type(sock) is ssl.SSLSocket
