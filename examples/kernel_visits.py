"""A virtual web server that the kernel's own programs can visit, through a TAP device and a virtual router.

    sudo ip netns add lab                                  # a place of its own for the kernel's side
    sudo python examples/kernel_visits.py
    sudo ip netns exec lab curl http://10.9.0.2/           # in another terminal; ping and traceroute work, too
    sudo ip netns del lab

The page takes 100 ms to come, since the link behind the router is slow.
"""

import asyncio
import socket

import aionetflow as anf

PAGE = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello from behind a virtual router\n"


async def main(namespace: str = "lab", visits: int = 1_000_000) -> None:
    async with anf.Network(seed=7) as net:
        router, web = net.router("core"), net.host("web", "10.9.0.2/24")
        net.link(router, web, delay=0.025, rate=10e6)
        try:
            net.tap(router, "tap0", "10.8.0.1/24", namespace=namespace)
        except OSError as error:
            # what is missing: root, the namespace, Linux
            print(error.strerror)
            return
        print(f"ip netns exec {namespace} ip route add 10.9.0.0/24 via {router.addresses[1]}")
        done = asyncio.Event()
        served = 0

        async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served
            await reader.readuntil(b"\r\n\r\n")
            print("a visitor from", writer.get_extra_info("peername")[0])
            writer.write(PAGE)
            writer.write_eof()
            await reader.read()  # until the visitor has read all of it and leaves
            writer.close()
            served += 1
            if served == visits:
                done.set()

        async with web:
            server = await asyncio.start_server(page, "0.0.0.0", 80, family=socket.AF_INET)
        await done.wait()
        server.close()


if __name__ == "__main__":
    anf.run(main())
