"""The handshake against the published vectors of Noise_NNpsk0_25519_AESGCM_SHA256, and what it refuses."""

from __future__ import annotations

from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aionetflow.tunnel.sealing import noise
from aionetflow.tunnel.sealing.keypair import Keypair
from aionetflow.tunnel.sealing.messages import HEADER_SIZE, with_room

# Of cacophony (vectors/cacophony.txt), which snow tests against too.
PROLOGUE = b"John Galt"
PSK = b"This is my Austrian perspective!"
INITIATOR = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"
RESPONDER = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"
MESSAGES = [
    (
        "4c756477696720766f6e204d69736573",
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944\
7c37a89fc17813788d30df2d59501d6066f5f8aecc3406bbd9829f2d24a531b1",
    ),
    (
        "4d757272617920526f746862617264",
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843\
2f29d79368ef9de4e1ae7a362fb05bf0ad668e026bf5714554497b3a720461",
    ),
    ("462e20412e20486179656b", "7c01e898a6201f36aecee532e29cd0b7f8ffa29d3366ad0dce39a6"),
    ("4361726c204d656e676572", "a9ff535aace3db6a1da1a7fb00fe2de2622bb373abad9fb42c00e0"),
    ("4a65616e2d426170746973746520536179", "6cfc49a3e65472edc2d0152abe5ce950170a8a47c959f30bd48b5f0aacf29adbfd"),
    (
        "457567656e2042f6686d20766f6e2042617765726b",
        "9bc86e6d974ed21ba04604a94aa68de21677eb409ead070c0cd569b069ee19ba142aa4c1a9",
    ),
]
FIRST, SECOND = ((bytes.fromhex(payload), bytes.fromhex(message)) for payload, message in MESSAGES[:2])


def private(text: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes.fromhex(text))


def shake_hands() -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """The keys of both ends after the vector's handshake, each message of which was as it should be."""
    begin = noise.begin(PSK, PROLOGUE)
    initiator, message = noise.write_first(begin, private(INITIATOR), FIRST[0])
    assert message == FIRST[1]
    first = noise.read_first(begin, message)
    assert first is not None
    assert first.payload == FIRST[0]
    written = noise.write_second(first.state, private(RESPONDER), first.ephemeral, SECOND[0])
    assert written is not None
    responder, message = written
    assert message == SECOND[1]
    second = noise.read_second(initiator, private(INITIATOR), message)
    assert second is not None
    assert second.payload == SECOND[0]
    assert second.state == responder
    return noise.split(second.state), noise.split(responder)


def test_every_octet_of_the_handshake_is_that_of_the_published_vector() -> None:
    ours, theirs = shake_hands()
    assert ours == theirs
    assert ours[0] != ours[1]


def test_sealed_messages_are_those_of_the_published_vector() -> None:
    (forth, back), _ = shake_hands()
    # In the vector the initiator speaks, then the responder, twice.
    ends = [
        Keypair(b"here", b"away", forth, back, initiated=True, now=0),
        Keypair(b"away", b"here", back, forth, initiated=False, now=0),
    ]
    for number, (payload, ciphertext) in enumerate(MESSAGES[2:]):
        sender, receiver = ends[number % 2], ends[1 - number % 2]
        datagram = with_room(bytes.fromhex(payload))
        sender.seal(datagram, len(datagram))
        assert datagram[HEADER_SIZE:].hex() == ciphertext
        assert receiver.open(bytes(datagram), number // 2) == bytes.fromhex(payload)


def test_the_nonce_is_a_counter_of_64_bits_after_32_zeros() -> None:
    keypair = Keypair(b"here", b"away", PSK, PSK, initiated=True, now=0)
    keypair.sent = 0x0102030405060708
    datagram = with_room(b"payload")
    keypair.seal(datagram, len(datagram))
    sealed = AESGCM(PSK).encrypt(bytes.fromhex("000000000102030405060708"), b"payload", None)
    assert datagram == bytes.fromhex("13") + b"away" + bytes.fromhex("0102030405060708") + sealed


@pytest.mark.parametrize(
    ("psk", "prologue"), [(PSK[::-1], PROLOGUE), (PSK, b"John Galt 2"), (PSK, b"")], ids=["psk", "prologue", "none"]
)
def test_who_has_another_key_or_prologue_cannot_read_the_first_message(psk: bytes, prologue: bytes) -> None:
    assert noise.read_first(noise.begin(psk, prologue), FIRST[1]) is None


def test_the_answer_to_another_initiation_is_refused() -> None:
    other, _ = noise.write_first(noise.begin(PSK, PROLOGUE), private(RESPONDER), b"")
    assert noise.read_second(other, private(RESPONDER), SECOND[1]) is None


def test_a_refused_answer_leaves_the_handshake_as_it_was() -> None:
    initiator, _ = noise.write_first(noise.begin(PSK, PROLOGUE), private(INITIATOR), FIRST[0])
    assert noise.read_second(initiator, private(INITIATOR), SECOND[1][:-1] + b"!") is None
    assert noise.read_second(initiator, private(INITIATOR), SECOND[1]) is not None


@pytest.mark.parametrize("theirs", [bytes(32), b"\x01" + bytes(31)], ids=["zero", "one"])
def test_points_of_low_order_are_no_keys(theirs: bytes) -> None:
    begin = noise.begin(PSK, PROLOGUE)
    assert noise.write_second(begin, private(RESPONDER), theirs, b"") is None
    assert noise.read_second(begin, private(INITIATOR), theirs + bytes(16)) is None


def test_two_handshakes_with_the_same_key_agree_on_different_keys() -> None:
    random = Random(1)
    begin = noise.begin(PSK, PROLOGUE)
    agreed = set[bytes]()
    for _ in range(2):
        ours, theirs = (X25519PrivateKey.from_private_bytes(random.randbytes(32)) for _ in range(2))
        state, _ = noise.write_first(begin, ours, b"")
        written = noise.write_second(state, theirs, noise.public(ours), b"")
        assert written is not None
        agreed.update(noise.split(written[0]))
    assert len(agreed) == 4
