"""asyncpg: queries, many rows, errors, a pool, and a query that is cancelled through another connection.

The server speaks version 3 of the protocol of PostgreSQL and knows four statements, from an int4 to int4s.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

SSL_REQUEST, CANCEL_REQUEST = 80877103, 80877102
INT4 = 23  # the type's number
STATEMENTS: dict[bytes, Callable[[int], list[int]]] = {
    b"SELECT $1::int4 + 1": lambda n: [n + 1],
    b"SELECT 100 / $1::int4": lambda n: [100 // n],
    b"SELECT generate_series(1, $1::int4)": lambda n: list(range(1, n + 1)),
    b"SELECT pg_sleep($1::int4)": lambda n: [],
}


class Session:
    """One connection, by the messages of the protocol (PostgreSQL's documentation, 55.7)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.statements: dict[bytes, bytes] = {}
        self.portal, self.argument = b"", 0
        self.cancelled = asyncio.Event()

    def send(self, kind: bytes, body: bytes = b"") -> None:
        self.writer.write(kind + struct.pack("!I", len(body) + 4) + body)

    def fail(self, code: bytes, text: bytes) -> None:
        self.send(b"E", b"SERROR\0C" + code + b"\0M" + text + b"\0\0")

    async def receive(self) -> tuple[bytes, bytes]:
        kind, length = struct.unpack("!cI", await self.reader.readexactly(5))
        return kind, await self.reader.readexactly(length - 4)

    async def start(self, sessions: dict[int, Session], number: int, tls: Any) -> bool:
        """Up to ReadyForQuery; False if this connection came to cancel another's query."""
        code = SSL_REQUEST
        while code == SSL_REQUEST:
            length, code = struct.unpack("!II", await self.reader.readexactly(8))
            body = await self.reader.readexactly(length - 8)
            if code == SSL_REQUEST:
                self.writer.write(b"S" if tls else b"N")
                if tls:
                    await self.writer.start_tls(tls)
        if code == CANCEL_REQUEST:
            sessions[struct.unpack("!II", body)[0]].cancelled.set()
            return False
        sessions[number] = self
        self.send(b"R", struct.pack("!I", 0))
        for setting in (b"server_version\x0016.0\0", b"client_encoding\0UTF8\0"):
            self.send(b"S", setting)
        self.send(b"K", struct.pack("!II", number, 4711))
        self.send(b"Z", b"I")
        return True

    async def talk(self) -> None:
        failed = False
        while (message := await self.receive())[0] != b"X":
            kind, body = message
            if kind in b"SQ":
                failed = False
            if failed:
                continue  # what follows an error is ignored up to Sync
            try:
                await self.answer(kind, body)
            except ZeroDivisionError:
                self.fail(b"22012", b"division by zero")
                failed = True
            except TimeoutError:
                self.fail(b"57014", b"canceling statement due to user request")
                failed = True

    async def answer(self, kind: bytes, body: bytes) -> None:
        match kind:
            case b"P":
                name, self.statements[name], _ = body.split(b"\0", 2)
                self.send(b"1")
            case b"D":
                self.send(b"t", struct.pack("!HI", 1, INT4))
                self.send(b"T", struct.pack("!H", 1) + b"n\0" + struct.pack("!IHIHiH", 0, 0, INT4, 4, -1, 1))
            case b"B":
                _, self.portal, rest = body.split(b"\0", 2)
                formats = struct.unpack_from("!H", rest)[0]
                self.argument = struct.unpack_from("!i", rest, 2 + 2 * formats + 2 + 4)[0]
                self.send(b"2")
            case b"E":
                await self.execute(self.statements[self.portal], self.argument)
            case b"C":
                self.send(b"3")
            case b"Q":
                self.send(b"C", b"OK\0")
        if kind in b"SQ":
            self.send(b"Z", b"I")

    async def execute(self, statement: bytes, argument: int) -> None:
        if b"pg_sleep" in statement:
            await self.cancelled.wait()
            raise TimeoutError
        rows = STATEMENTS[statement](argument)
        for row in rows:
            self.send(b"D", struct.pack("!Hii", 1, 4, row))
        self.send(b"C", b"SELECT %d\0" % len(rows))


def serve(tls: Any) -> Callable[[str], Any]:
    @contextlib.asynccontextmanager
    async def listen(name: str) -> AsyncIterator[int]:
        sessions: dict[int, Session] = {}
        numbers = itertools.count(1)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            session = Session(reader, writer)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                if await session.start(sessions, next(numbers), tls):
                    await session.talk()
            writer.close()

        server = await asyncio.start_server(connected, name, 0)
        yield server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()

    return listen


async def query(connection: Any) -> None:
    assert await connection.fetchval("SELECT $1::int4 + 1", 41) == 42
    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.fetchval("SELECT 100 / $1::int4", 0)
    rows = await connection.fetch("SELECT generate_series(1, $1::int4)", 5000)
    assert [row[0] for row in rows] == list(range(1, 5001))


async def cancel(connection: Any) -> None:
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT pg_sleep($1::int4)", 60, timeout=0.3)
    assert await connection.fetchval("SELECT $1::int4 + 1", 1) == 2


@pytest.mark.parametrize("use", [query, cancel], ids=lambda use: use.__name__)
def test_a_database_is_asked(run: Callable[..., None], use: Callable[[Any], Any]) -> None:
    async def connected(name: str, port: int) -> None:
        connection = await asyncpg.connect(host=name, port=port, user="guest", database="test")
        await use(connection)
        await connection.close()

    run(serve(None), connected)


def test_it_is_asked_by_a_pool_over_tls(run: Callable[..., None], certificates: Any) -> None:
    async def pooled(name: str, port: int) -> None:
        options = {"host": name, "port": port, "user": "guest", "database": "test", "ssl": certificates.client}
        async with asyncpg.create_pool(min_size=2, max_size=4, **options) as pool:
            answers = await asyncio.gather(*(pool.fetchval("SELECT $1::int4 + 1", n) for n in range(20)))
        assert answers == list(range(1, 21))

    run(serve(certificates.server), pooled)
