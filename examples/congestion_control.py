"""A congestion control of one's own, beside the built-in ones, over a link that loses one frame in a hundred.

Loss makes Reno and CUBIC slow down, whatever its cause. This one, in the manner of BBR, believes what it measures: the
rate at which data arrive and the shortest round trip, whose product is what the way holds.

    python examples/congestion_control.py
"""

import asyncio

import aionetflow as anf
from aionetflow.tcp.congestion import CongestionControl, register

SIZE = 3_000_000  # octets
SECOND = 1_000_000_000  # the core counts in nanoseconds


class Measured(CongestionControl):
    """Twice the bandwidth-delay product of the last ten round trips, in flight."""

    name = "measured"

    def start(self, mss: int) -> None:
        super().start(mss)
        self.keeps_window = True  # a loss changes nothing
        self.rates: list[float] = [0.0]  # octets per nanosecond, of the last round trips
        self.shortest = SECOND
        self.round, self.since, self.arrived = 0, 0, 0

    def on_ack(self, acked: int, rtt: int, now: int) -> None:
        self.arrived += acked
        self.shortest = min(self.shortest, rtt or SECOND)
        if self.rounds != self.round and now > self.since:
            self.rates = [*self.rates[-9:], self.arrived / (now - self.since)]
            self.round, self.since, self.arrived = self.rounds, now, 0
        self.cwnd = max(int(2 * max(self.rates) * self.shortest), self.initial_window())


async def receive(listener: anf.Socket) -> None:
    conn, _ = await anf.accept(listener)
    async with conn:
        while await anf.read(conn, 1 << 16):
            pass


async def transfer(algorithm: str) -> float:
    """Megabits per second of one stream under an algorithm."""
    async with anf.Network(seed=3) as net:
        server, client = net.host("server"), net.host("client")
        net.link(client, server, delay=0.020, rate=20e6, loss=0.01)
        async with server:
            listener = await anf.socket()
            await anf.bind(listener, ("", 9))
            await anf.listen(listener)
            receiving = server.spawn(receive(listener))
        async with client:
            client.sysctl["net.ipv4.tcp_congestion_control"] = algorithm
            start = asyncio.get_running_loop().time()
            sock = await anf.socket()
            await anf.connect(sock, ("server", 9))
            await anf.write(sock, bytes(SIZE))
            await anf.close(sock)
        await receiving
        return SIZE * 8 / 1e6 / (asyncio.get_running_loop().time() - start)


def main() -> None:
    register(Measured)
    for algorithm in ("reno", "cubic", "measured"):
        print(f"{algorithm:9} {anf.run(transfer(algorithm), time='virtual'):5.1f} Mbit/s of 20")


if __name__ == "__main__":
    main()
