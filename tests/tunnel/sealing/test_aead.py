"""Sealing many messages a call: by the package cryptography and by Python's own OpenSSL alike, octet for octet."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from aionetflow.tunnel.sealing import aead
from aionetflow.tunnel.sealing.aead import Aead, PlainCipher, cipher
from aionetflow.tunnel.sealing.messages import OVERHEAD, TRANSPORT, with_room
from support.build import PURE

KEY = bytes(range(32))
PREFIX = bytes([TRANSPORT]) + b"abcd"
CIPHERS = [pytest.param(PlainCipher, id="cryptography"), pytest.param(cipher, id="the fastest")]
counters = st.one_of(st.integers(0, 300), st.integers(2**63, 2**64 - 100))


def sealed(made: Aead, counter: int, payloads: list[bytes]) -> list[bytes]:
    """A datagram for each payload, one by one."""
    blocks = [with_room(payload) for payload in payloads]
    for number, block in enumerate(blocks, counter):
        made.seal(PREFIX, number, block, len(block))
    return [bytes(block) for block in blocks]


def opened(made: Aead, prefix: bytes, counter: int, datagrams: list[bytes], before: bytes = b"") -> list[bytes]:
    """What `run` gives of datagrams of one length."""
    buffer = bytearray(before + b"".join(datagrams) + b"behind")
    into = bytearray(len(buffer))
    size = len(datagrams[0])
    count = made.run(prefix, counter, buffer, len(before), len(buffer) - 6, size, into, 5)
    ends = [5 + sum(len(datagram) - OVERHEAD for datagram in datagrams[:number]) for number in range(count + 1)]
    return [bytes(into[start:end]) for start, end in pairwise(ends)]


@pytest.mark.parametrize("made", CIPHERS)
@given(payload=st.binary(max_size=100), last=st.binary(max_size=100), count=st.integers(1, 20), counter=counters)
def test_what_is_sealed_is_what_the_package_says(
    made: type[PlainCipher], payload: bytes, last: bytes, count: int, counter: int
) -> None:
    gcm = AESGCM(KEY)
    payloads = [payload] * count + [last[: len(payload)]]
    block = bytearray().join(map(with_room, payloads))
    made(KEY).seal(PREFIX, counter, block, len(payload) + OVERHEAD)
    assert bytes(block) == b"".join(
        PREFIX + at.to_bytes(8, "big") + gcm.encrypt(at.to_bytes(12, "big"), each, None)
        for at, each in enumerate(payloads, counter)
    )


@pytest.mark.parametrize("made", CIPHERS)
@pytest.mark.parametrize(("length", "size"), [(1, 1), (OVERHEAD - 1, OVERHEAD), (2 * OVERHEAD - 1, OVERHEAD)])
def test_a_block_without_room_is_not_sealed(made: type[PlainCipher], length: int, size: int) -> None:
    with pytest.raises(ValueError, match="no room for what sealing adds"):
        made(KEY).seal(PREFIX, 0, bytearray(length), size)


@pytest.mark.parametrize("made", CIPHERS)
@given(
    size=st.integers(0, 100), last=st.integers(0, 100), count=st.integers(1, 20), counter=counters,
    before=st.binary(max_size=9),
)
def test_a_run_is_opened(
    made: type[PlainCipher], size: int, last: int, count: int, counter: int, before: bytes
) -> None:
    one: Aead = made(KEY)
    payloads = [bytes([number]) * size for number in range(count - 1)] + [b"z" * min(size, last)]
    if len(payloads) == 1:
        size = len(payloads[0])
    datagrams = sealed(one, counter, payloads)
    assert opened(one, PREFIX, counter, datagrams, before) == payloads
    assert opened(one, PREFIX, counter + 1, datagrams, before) == []
    assert opened(one, b"\0" + PREFIX[1:], counter, datagrams, before) == []
    assert opened(one, PREFIX, counter, datagrams[:1] + datagrams, before) == payloads[:1]  # where it goes on no more


@pytest.mark.parametrize("made", CIPHERS)
@given(data=st.data())
def test_nothing_that_was_changed_is_opened(made: type[PlainCipher], data: st.DataObject) -> None:
    one: Aead = made(KEY)
    messages = [b"one--", b"two--", b"three", b"four"]
    datagrams = sealed(one, 7, messages)
    number = data.draw(st.integers(0, 3))
    place = data.draw(st.integers(0, 8 * len(datagrams[number]) - 1))
    changed = bytearray(datagrams[number])
    changed[place >> 3] ^= 1 << (place & 7)
    datagrams[number] = bytes(changed)
    assert opened(one, PREFIX, 7, datagrams) == messages[:number]
    if number < 3:
        assert opened(one, PREFIX, 8 + number, datagrams[number + 1 :]) == messages[number + 1 :]  # and it goes on
    assert one.open(7 + number, datagrams[number][13:]) is None or place < 13 * 8


@pytest.mark.parametrize("made", CIPHERS)
@pytest.mark.parametrize("length", [0, 1, 15])
def test_what_is_shorter_than_a_tag_is_not_opened(made: type[PlainCipher], length: int) -> None:
    one: Aead = made(KEY)
    (datagram,) = sealed(one, 0, [b""])
    assert one.open(0, datagram[13:]) == b""
    assert one.open(0, datagram[13 : 13 + length]) is None
    assert opened(one, PREFIX, 0, [datagram[: 13 + length]]) == []


@pytest.mark.skipif(PURE or find_spec("aionetflow.tunnel.sealing._aead") is None, reason="for what is compiled")
@pytest.mark.parametrize(
    ("start", "stop", "size", "at"),
    [(-1, 5, 5, 0), (6, 5, 5, 0), (0, 101, 5, 0), (0, 50, 0, 0), (0, 50, 5, 51), (0, 50, 5, -1)],
)
def test_nothing_is_opened_beside_the_buffers(start: int, stop: int, size: int, at: int) -> None:
    with pytest.raises(ValueError, match="out of the buffer"):
        cipher(KEY).run(PREFIX, 0, bytearray(100), start, stop, size, bytearray(100), at)


@pytest.mark.skipif(PURE or find_spec("aionetflow.tunnel.sealing._aead") is None, reason="for what is compiled")
def test_the_compiled_tunnel_uses_the_openssl_that_python_has_loaded() -> None:
    loaded = any(name in Path("/proc/self/maps").read_text() for name in ("libcrypto.so.3", "libcrypto.so.1.1"))
    assert (aead._Cipher is not None) == loaded
