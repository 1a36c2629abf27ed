"""Which keys are taken, and that no weak one is."""

from __future__ import annotations

import base64
from random import Random

import pytest

from aionetflow.tunnel.sealing.key import generate_key, parse_key

OCTETS = Random(3).randbytes(32)


@pytest.mark.parametrize(
    "given",
    [OCTETS, OCTETS.hex(), OCTETS.hex().upper(), base64.b64encode(OCTETS).decode(), f" {OCTETS.hex()}\n"],
    ids=["bytes", "hex", "HEX", "base64", "a line"],
)
def test_a_key_is_bytes_or_hex_or_base64(given: bytes | str) -> None:
    assert parse_key(given) == OCTETS


def test_a_generated_key_is_a_key_and_never_the_same() -> None:
    keys = {generate_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(parse_key(key)) for key in keys} == {32}


@pytest.mark.parametrize(
    "given",
    [
        "",
        b"",
        "correct horse battery staple",
        "x" * 32,
        b"a passphrase of some thirty-two!",
        b"a passphrase of some thirty-two!".hex(),
        base64.b64encode(b"a passphrase of some thirty-two!").decode(),
        OCTETS[:31],
        OCTETS + b"1",
        OCTETS.hex()[:-1],
        OCTETS.hex()[:32].encode(),
        bytes(32),
        bytes(range(8)) * 4,
        "00" * 32,
        "é" * 44,
    ],
)
def test_a_passphrase_is_refused_and_not_shown(given: bytes | str) -> None:
    with pytest.raises(ValueError, match="32 random octets") as caught:
        parse_key(given)
    assert not given or str(given) not in str(caught.value)
