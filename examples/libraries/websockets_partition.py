"""What does a websocket notice when the network is cut? A short cut, and one longer than its pings are patient.

    python examples/libraries/websockets_partition.py
"""

import asyncio
import contextlib

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

import aionetflow
from aionetflow.link.memory import MemoryLink


async def echo(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def talk_across(link: MemoryLink, connection: ClientConnection, seconds: float) -> str:
    """Cuts the link for so long, and says how a message that was sent meanwhile fared."""
    begun = asyncio.get_running_loop().time()
    link.loss = 1.0
    await connection.send("are you there?")
    asyncio.get_running_loop().call_later(seconds, setattr, link, "loss", 0.0)
    try:
        await connection.recv()
    except ConnectionClosed as error:
        return f"given up: {error}"
    return f"answered after {asyncio.get_running_loop().time() - begun:.1f} s"


async def main() -> None:
    async with aionetflow.Network(seed=3) as net:
        server, client = net.host("chat.example"), net.host("client.example")
        link = net.link(server, client, delay=0.030)
        async with server:
            listening = await serve(echo, port=8080)
        async with client, connect("ws://chat.example:8080", ping_interval=20, ping_timeout=20) as connection:
            print("10 s:", await talk_across(link, connection, 10))  # answered
            print("90 s:", await talk_across(link, connection, 90))  # keepalive ping timeout
        listening.close()
        await listening.wait_closed()


aionetflow.run(main(), time="virtual")
