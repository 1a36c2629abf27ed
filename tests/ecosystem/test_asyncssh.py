"""asyncssh: commands, SFTP and a forwarded port."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

DATA = bytes(range(256)) * 200


class Guests(asyncssh.SSHServer):
    """Lets everybody in, and on."""

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(self, *ends: object) -> bool:
        return True


async def shout(process: Any) -> None:
    process.stdout.write((await process.stdin.read()).upper())
    process.exit(3)


def serve(folder: Path) -> Callable[[str], Any]:
    @contextlib.asynccontextmanager
    async def listen(name: str) -> AsyncIterator[int]:
        key = asyncssh.generate_private_key("ssh-ed25519")
        async with asyncssh.listen(
            name, 0, family=socket.AF_INET, server_factory=Guests, server_host_keys=[key], process_factory=shout,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=bytes(folder)),
        ) as acceptor:  # fmt: skip
            yield acceptor.get_port()

    return listen


async def command(ssh: Any, folder: Path, name: str, port: int) -> None:
    result = await ssh.run("shout", input="hello" * 5000)
    assert (result.stdout, result.exit_status) == ("HELLO" * 5000, 3)


async def sftp(ssh: Any, folder: Path, name: str, port: int) -> None:
    (folder / "sent").write_bytes(DATA)
    async with ssh.start_sftp_client() as client:
        await client.put(folder / "sent", "stored")
        await client.get("stored", folder / "fetched")
        assert set(await client.listdir()) == {".", "..", "sent", "stored", "fetched"}
    assert (folder / "fetched").read_bytes() == (folder / "stored").read_bytes() == DATA


async def forwarding(ssh: Any, folder: Path, name: str, port: int) -> None:
    # SSH through SSH: the server connects to itself, and our end listens on this host.
    listener = await ssh.forward_local_port("127.0.0.1", 0, name, port)
    async with connect("127.0.0.1", listener.get_port()) as inner:
        await command(inner, folder, name, port)
    listener.close()
    await listener.wait_closed()


def connect(name: str, port: int) -> Any:
    return asyncssh.connect(
        name, port, username="guest", known_hosts=None, client_keys=None, agent_path=None, config=None
    )


@pytest.mark.parametrize("use", [command, sftp, forwarding], ids=lambda use: use.__name__)
def test_a_server_is_used(run: Callable[..., None], use: Callable[..., Any], tmp_path: Path) -> None:
    async def client(name: str, port: int) -> None:
        async with connect(name, port) as ssh:
            await use(ssh, tmp_path, name, port)

    run(serve(tmp_path), client, patched=use is forwarding)  # for which asyncssh makes its own socket
