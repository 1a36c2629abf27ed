"""anyio's sockets, native to the hosts of a virtual network: `pip install aionetflow[anyio]`.

An unchanged anyio program needs none of this: it runs on a network as it is, its listeners under `aionetflow.patch()`.
The functions here are anyio's of the same names, and make their sockets on the host that the task is on, without
patching anything and with less between the program and the host's stack.

>>> import aionetflow.anyio, asyncio
>>> async def echo(stream: aionetflow.anyio.SocketStream) -> None:
...     async with stream:
...         async for data in stream:
...             await stream.send(data)
>>> async def main() -> None:
...     async with aionetflow.Network(seed=7) as net:
...         server, client = net.host("server"), net.host("client")
...         async with server:
...             listener = await aionetflow.anyio.create_tcp_listener(local_port=7)
...         server.spawn(listener.serve(echo))
...         async with client, await aionetflow.anyio.connect_tcp("server", 7) as stream:
...             await stream.send(b"hello")
...             print(await stream.receive())
...         await listener.aclose()
>>> asyncio.run(main())
b'hello'
"""

from aionetflow.anyio.sockets import (
    ConnectedUDPSocket,
    SocketAttribute,
    SocketListener,
    SocketStream,
    UDPSocket,
    connect_tcp,
    create_connected_udp_socket,
    create_tcp_listener,
    create_udp_socket,
)

__all__ = [
    "ConnectedUDPSocket", "SocketAttribute", "SocketListener", "SocketStream", "UDPSocket", "connect_tcp",
    "create_connected_udp_socket", "create_tcp_listener", "create_udp_socket",
]  # fmt: skip
