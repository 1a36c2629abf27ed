"""aiosmtplib to aiosmtpd: messages, and STARTTLS in the midst of a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from aiosmtplib import SMTP as connect

LINES = "".join(f"line {number}\r\n" for number in range(5000))


class Box:
    """Answers with how much it was given."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        safe = "TLS" if session.ssl else "plain"
        return f"250 {safe} {envelope.mail_from} {envelope.rcpt_tos[0]} {envelope.content.count(b'line')}"


def serve(tls: Any) -> Callable[[str], Any]:
    @contextlib.asynccontextmanager
    async def listen(name: str) -> AsyncIterator[int]:
        def protocol() -> SMTP:
            return SMTP(Box(), hostname=name, tls_context=tls, require_starttls=tls is not None)

        server = await asyncio.get_running_loop().create_server(protocol, name, 0)
        yield server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()

    return listen


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "starttls"])
def test_messages_are_carried(run: Callable[..., None], tls: bool, certificates: Any) -> None:
    async def use(name: str, port: int) -> None:
        context = certificates.client if tls else None
        async with connect(hostname=name, port=port, start_tls=tls, tls_context=context) as client:
            for sender in ("one@example.org", "two@example.org"):
                message = EmailMessage()
                message["From"], message["To"], message["Subject"] = sender, "box@example.org", "lines"
                message.set_content(LINES)
                refused, answer = await client.send_message(message)
                assert not refused
                assert answer == f"{'TLS' if tls else 'plain'} {sender} box@example.org 5001"

    run(serve(certificates.server if tls else None), use)
