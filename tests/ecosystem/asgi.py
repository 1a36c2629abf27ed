"""An ASGI application, and what a client of httpx asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

BODY = bytes(range(256)) * 200


async def app(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """/echo gives the body back, /never does not answer; the header says from which port the client came."""
    message = {"more_body": True}
    body = b""
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    if scope["path"] == "/never":
        await receive()  # until the client has gone
        return
    headers = [(b"port", str(scope["client"][1]).encode()), (b"length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(body), 30_000):
        await send({"type": "http.response.body", "body": body[start : start + 30_000], "more_body": True})
    await send({"type": "http.response.body"})


async def keep_alive(session: httpx.AsyncClient) -> None:
    # The pool asks poll() whether a connection is still good: with a wrong answer each request makes another.
    answers = [await session.post("/echo", content=BODY) for _ in range(3)]
    assert {answer.content for answer in answers} == {BODY}
    assert len({answer.headers["port"] for answer in answers}) == 1


async def at_once(session: httpx.AsyncClient) -> None:
    bodies = [f"request {number}".encode() * 100 for number in range(10)]
    answers = await asyncio.gather(*(session.post("/echo", content=body) for body in bodies))
    assert [answer.content for answer in answers] == bodies
