"""Sealing many messages a call: by the package cryptography and by Python's own OpenSSL alike, octet for octet."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from aionetflow.tunnel.sealing import aead
from aionetflow.tunnel.sealing.aead import Aead, PlainCipher, cipher
from aionetflow.tunnel.sealing.messages import TRANSPORT
from support.build import PURE

KEY = bytes(range(32))
HEADER = bytes([TRANSPORT]) + b"abcd"
CIPHERS = [pytest.param(PlainCipher, id="cryptography"), pytest.param(cipher, id="the fastest")]
payloads = st.lists(st.binary(max_size=100), max_size=20)
counters = st.one_of(st.integers(0, 300), st.integers(2**63, 2**64 - 100))


@pytest.mark.parametrize("made", CIPHERS)
@given(payloads=payloads, counter=counters)
def test_what_is_sealed_is_what_the_package_says(made: type[PlainCipher], payloads: list[bytes], counter: int) -> None:
    gcm = AESGCM(KEY)
    assert made(KEY).seal(HEADER, counter, payloads) == [
        HEADER + at.to_bytes(8, "big") + gcm.encrypt(at.to_bytes(12, "big"), payload, None)
        for at, payload in enumerate(payloads, counter)
    ]


@pytest.mark.parametrize("made", CIPHERS)
@given(payloads=payloads, counter=counters, start=st.integers(0, 3), longest=st.integers(1, 30))
def test_a_run_is_opened_up_to_its_end(
    made: type[PlainCipher], payloads: list[bytes], counter: int, start: int, longest: int
) -> None:
    one: Aead = made(KEY)
    datagrams = [b"another"] * start + one.seal(HEADER, counter, payloads)
    assert one.run(HEADER, counter, datagrams, start, longest) == payloads[:longest]
    assert one.run(HEADER, counter, [b"", *datagrams], 0, longest) == []
    assert one.run(HEADER, counter + 1, datagrams, start, longest) == []
    assert one.run(b"\0" + HEADER[1:], counter, datagrams, start, longest) == []


@pytest.mark.parametrize("made", CIPHERS)
@given(data=st.data())
def test_nothing_that_was_changed_is_opened(made: type[PlainCipher], data: st.DataObject) -> None:
    one: Aead = made(KEY)
    messages = [b"one", b"", b"three" * 20, b"four"]
    datagrams = one.seal(HEADER, 7, messages)
    number = data.draw(st.integers(0, 3))
    place = data.draw(st.integers(0, 8 * len(datagrams[number]) - 1))
    changed = bytearray(datagrams[number])
    changed[place >> 3] ^= 1 << (place & 7)
    datagrams[number] = bytes(changed)
    assert one.run(HEADER, 7, datagrams, 0, 64) == messages[:number]
    assert one.run(HEADER, 8 + number, datagrams, number + 1, 64) == messages[number + 1 :]  # and it goes on
    assert one.open(7 + number, datagrams[number][13:]) is None or place < 13 * 8


@pytest.mark.parametrize("made", CIPHERS)
@pytest.mark.parametrize("length", [0, 1, 15])
def test_what_is_shorter_than_a_tag_is_not_opened(made: type[PlainCipher], length: int) -> None:
    one: Aead = made(KEY)
    sealed = one.seal(HEADER, 0, [b""])[0]
    assert one.open(0, sealed[13:]) == b""
    assert one.open(0, sealed[13 : 13 + length]) is None
    assert one.run(HEADER, 0, [sealed[: 13 + length]], 0, 64) == []


@pytest.mark.skipif(PURE or find_spec("aionetflow.tunnel.sealing._aead") is None, reason="for what is compiled")
def test_the_compiled_tunnel_uses_the_openssl_that_python_has_loaded() -> None:
    loaded = any(name in Path("/proc/self/maps").read_text() for name in ("libcrypto.so.3", "libcrypto.so.1.1"))
    assert (aead._Cipher is not None) == loaded
