"""How does a client behave when the network is bad? A chat line over a link that gets worse, on virtual time.

    python examples/bad_network.py
"""

import asyncio

import aionetflow as anf

LINES = [f"line {number}\n".encode() for number in range(20)]


async def echo(listener: anf.Socket) -> None:
    conn, _ = await anf.accept(listener)
    async with conn:
        while data := await anf.read(conn, 4096):
            await anf.write(conn, data)


async def chat(sock: anf.Socket) -> float:
    """Sends each line, waits for it to come back; returns the longest wait in seconds."""
    loop = asyncio.get_running_loop()
    worst = 0.0
    for line in LINES:
        start = loop.time()
        await anf.write(sock, line)
        answer = b""
        while not answer.endswith(line):
            answer += await anf.read(sock, 4096)
        worst = max(worst, loop.time() - start)
    return worst


async def main() -> None:
    async with anf.Network(seed=11) as net:
        server, client = net.host("server"), net.host("client")
        link = net.link(client, server, delay=0.050)
        async with server:
            listener = await anf.socket()
            await anf.bind(listener, ("", 7))
            await anf.listen(listener)
        server.spawn(echo(listener))
        async with client, await anf.socket() as sock:
            await anf.connect(sock, ("server", 7))
            for loss in (0.0, 0.05, 0.20):
                link.loss = loss
                print(f"{loss:4.0%} lost: no line took longer than {await chat(sock):.3f} s")
        await anf.close(listener)


anf.run(main(), time="virtual")
