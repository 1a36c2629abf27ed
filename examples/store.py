"""A store of keys and values on four hosts, in four processes, that outlives any one of them.

    python examples/store.py            # needs aionetflow[crypto]

Starts four processes of itself, each with one host of one network: store1 to store4. Tunnels with a key join them with
each other and with the client in this process. Meanwhile one of the four is killed, and started again.

A value is written to a majority of the stores before it is acknowledged, and read from a majority, so that among those
who are asked is one who has it: Attiya, Bar-Noy and Dolev, "Sharing Memory Robustly in Message-Passing Systems" (1995).
"""

import asyncio
import contextlib
import json
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aionetflow as anf

NAMES = ["store1", "store2", "store3", "store4"]
MAJORITY = len(NAMES) // 2 + 1
PORT = 7000
KEYS = 16
PATIENCE = 1.0  # s; who has not answered by then is taken to be away
NOTHING: list[Any] = [[0, ""], None]  # the oldest entry: [version, value]


async def ask(name: str, patience: float = PATIENCE, **request: Any) -> Any:
    """What a host answers, on a connection of its own; OSError if it does not, or not in time."""
    async with asyncio.timeout(patience):
        reader, writer = await asyncio.open_connection(name, PORT)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            answer = await reader.read()
        finally:
            writer.close()
    if not answer:
        raise ConnectionError(f"{name} has no answer")
    return json.loads(answer)


# ---- a store


class Entries:
    """What one store keeps, in memory and in a file: the newest value of each key that it has been told.

    A version is [number, tag]. The tag is drawn for each write, so that no two writes have the same version.
    """

    def __init__(self, path: Path) -> None:
        self.entries: dict[str, list[Any]] = {}
        self.found = path.exists()  # this host was there before
        written = path.read_bytes() if self.found else b""
        whole = written.rfind(b"\n") + 1  # who is killed may leave half a line, which was not acknowledged
        self.entries.update(json.loads(line) for line in written[:whole].splitlines())
        self._file = path.open("ab")
        self._file.truncate(whole)

    def look(self, key: str) -> list[Any]:
        return self.entries.get(key, NOTHING)

    def keep(self, key: str, entry: list[Any]) -> bool:
        """Takes a newer entry; whether it was newer."""
        if entry <= self.look(key):
            return False
        self._file.write(json.dumps([key, entry]).encode() + b"\n")
        self._file.flush()  # the kernel has it, if we are killed now; against a power cut there is os.fsync()
        self.entries[key] = entry
        return True


class Store:
    """One of the hosts: it answers for its own entries, and acts for clients on those of all."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self._asked: set[asyncio.Task[Any]] = set()  # the loop alone would not keep them

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A request and its answer; who is left without a majority closes the connection without one."""
        with contextlib.suppress(OSError, ValueError), contextlib.closing(writer):
            answer = await self._answer(json.loads(await reader.readline()))
            writer.write(json.dumps(answer).encode())
            await writer.drain()

    async def _answer(self, request: dict[str, Any]) -> Any:
        match request:
            case {"do": "put", "key": key, "value": value}:
                return await self._put(key, value)
            case {"do": "get", "key": key}:
                return await self._get(key)
            case {"do": "keep", "key": key, "entry": entry}:
                return self.entries.keep(key, entry)
            case {"do": "look", "key": key}:
                return self.entries.look(key)
            case {"do": "look at all"}:
                return self.entries.entries
        raise ValueError(request)

    async def _put(self, key: str, value: str) -> bool:
        """Writes a version after all that were acknowledged before."""
        newest = max(await self._majority(do="look", key=key))
        version = [newest[0][0] + 1, secrets.token_hex(8)]
        await self._majority(do="keep", key=key, entry=[version, value])
        return True

    async def _get(self, key: str) -> list[Any]:
        """The newest value, as a list of one; it is repaired first, or who reads next might be told an older one."""
        seen = await self._majority(do="look", key=key)
        newest = max(seen)
        if any(entry != newest for entry in seen):
            await self._majority(do="keep", key=key, entry=newest)
        return [newest[1]]

    async def _majority(self, **request: Any) -> list[Any]:
        """The first answers, of as many as are needed; ConnectionError if there are not as many."""
        tasks = [asyncio.create_task(self._try(name, **request)) for name in NAMES]
        self._asked = {task for task in self._asked if not task.done()}.union(tasks)
        answers = []
        for answered in asyncio.as_completed(tasks):  # those who are late go on: they get the value, too
            answer = await answered
            answers += [] if answer is None else [answer]
            if len(answers) == MAJORITY:
                return answers
        raise ConnectionError("there is no majority")

    async def _try(self, name: str, **request: Any) -> Any:
        with contextlib.suppress(OSError):
            return await ask(name, **request)
        return None

    async def catch_up(self) -> int:
        """Takes over what the others have that is newer; how many entries that were."""
        told = await asyncio.gather(*(self._try(name, do="look at all") for name in NAMES))
        return sum(self.entries.keep(key, entry) for entries in told if entries for key, entry in entries.items())

    async def finish(self) -> None:
        """Returns when nobody is asked any more."""
        await asyncio.gather(*self._asked)


async def be_a_store(name: str) -> None:
    """Is one of the four until standard input ends, where the settings come from."""
    settings = json.loads(sys.stdin.readline())
    store = Store(Entries(Path(settings["folder"], name)))
    async with anf.Network() as net:
        join(net, name, settings["ports"], settings["key"])
        async with net.host(name), await asyncio.start_server(store.serve, "", PORT):
            print(await store.catch_up() if store.entries.found else "new", flush=True)
            await asyncio.to_thread(sys.stdin.read)
            await store.finish()


# ---- the one who starts them, and is their client


def join(net: anf.Network, name: str, ports: dict[str, int], key: str) -> None:
    """Joins a network with those of the others, who are all peers of each other."""
    peers = [("127.0.0.1", port) for other, port in ports.items() if other != name]
    net.tunnel(("127.0.0.1", ports[name]), peers=peers, key=key)


def free_ports(names: list[str]) -> dict[str, int]:
    """A free UDP port of this machine's for each."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in names]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return {name: sock.getsockname()[1] for name, sock in zip(names, sockets, strict=True)}


class Process:
    """A store in a process of its own."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name, self.settings = name, settings
        self.process: asyncio.subprocess.Process

    async def start(self) -> str:
        """Starts it, and returns what it says when it serves; the key goes where no list of processes shows it."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, self.name, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us; it ends with its input
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(self.settings).encode() + b"\n")
        said = await self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"{self.name} has ended")
        return said.decode().strip()

    async def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


@contextlib.asynccontextmanager
async def running_stores(folder: str) -> AsyncIterator[list[Process]]:
    """The four processes; whoever is in the context is `client`, on a host in this process."""
    ports, key = free_ports([*NAMES, "client"]), secrets.token_hex(32)
    stores = [Process(name, {"ports": ports, "key": key, "folder": folder}) for name in NAMES]
    async with contextlib.AsyncExitStack() as stack:
        for starting in [asyncio.create_task(store.start()) for store in stores]:
            await starting
        for store in stores:
            stack.push_async_callback(store.end)
        net = await stack.enter_async_context(anf.Network())
        join(net, "client", ports, key)
        async with net.host("client"):
            yield stores


class Client:
    """Writes and reads through any of the stores, and knows what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, str] = {}
        self.unanswered = 0  # requests that were repeated, mostly to another store
        self._silent: set[str] = set()  # who did not answer; the others are asked first
        self._few = asyncio.Semaphore(4)  # at once

    async def put(self, number: int, value: str) -> None:
        """Writes through one of the stores, or another if that one does not answer; perhaps more than once."""
        first = number % len(NAMES)
        await self._ask_one_of((NAMES[first:] + NAMES[:first]) * 3, do="put", key=f"key{number}", value=value)
        self.acknowledged[f"key{number}"] = value

    async def has(self, name: str, key: str) -> bool:
        """Whether that store says what was acknowledged."""
        return bool(await self._ask_one_of([name] * 3, do="get", key=key) == [self.acknowledged[key]])

    async def lost(self, names: list[str]) -> int:
        """How many of all reads, of each key through each of these stores, do not say what was acknowledged."""
        reads = [self.has(name, key) for name in names for key in self.acknowledged]
        return (await asyncio.gather(*reads)).count(False)

    async def _ask_one_of(self, names: list[str], **request: Any) -> Any:
        async with self._few:
            for name in sorted(names, key=self._silent.__contains__):
                try:
                    answer = await ask(name, 2.5 * PATIENCE, **request)  # it asks others twice
                except OSError:
                    self.unanswered += 1
                    self._silent.add(name)
                else:
                    self._silent.discard(name)
                    return answer
        raise TimeoutError(f"nobody answers {request}")


async def write(client: Client, value: str) -> AsyncIterator[int]:
    """Writes to each key, through all stores in turn; yields how many are acknowledged, after each."""
    writes = [asyncio.create_task(client.put(number, f"{value} {number}")) for number in range(KEYS)]
    for count, one in enumerate(asyncio.as_completed(writes), 1):
        await one
        yield count


async def tell_the_story(client: Client, stores: list[Process]) -> int:
    """All that is to be seen; how many reads went wrong."""
    store3 = stores[2]
    async for _ in write(client, "first"):
        pass
    lost = await client.lost(NAMES)
    print(f"four stores: {KEYS} writes acknowledged; {4 * KEYS} reads, {lost} wrong")

    async for count in write(client, "second"):
        if count == KEYS // 2:
            store3.process.kill()
    print(f"store3 was killed among {KEYS} writes: all acknowledged, {client.unanswered} of them not at once")
    async for _ in write(client, "third"):
        pass
    lost += (now := await client.lost(["store1", "store2", "store4"]))
    print(f"three stores: {KEYS} writes acknowledged; {3 * KEYS} reads, {now} wrong")

    print(f"store3 is back, and has caught up with {await store3.start()} newer values")
    kept = await ask("store3", do="look at all")
    behind: int = sum(kept[key][1] != value for key, value in client.acknowledged.items())
    lost += (now := await client.lost(NAMES))
    print(f"four stores: {4 * KEYS} reads, {now} wrong; store3 itself has old values of {behind} keys")
    return lost + behind


async def main() -> int:
    """The exit status: 0 if every write that was acknowledged was read back."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_stores(folder) as stores:
            return 1 if await tell_the_story(Client(), stores) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(be_a_store(sys.argv[1]) if len(sys.argv) > 1 else main()))
