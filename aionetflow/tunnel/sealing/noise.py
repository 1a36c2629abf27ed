"""The handshake Noise_NNpsk0_25519_AESGCM_SHA256 (The Noise Protocol Framework, revision 34): functions of its state.

    -> psk, e        the payload is encrypted under the pre-shared key
    <- e, ee         the payload is encrypted under that and the Diffie-Hellman of both ephemeral keys

No state changes when a message turns out to be false: each function gives a new one, or None.
"""

from hashlib import sha256
from hmac import digest
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aionetflow.tunnel.sealing.messages import EPHEMERAL_SIZE

# 32 octets, so that it is the first hash by itself (5.2, InitializeSymmetric).
PROTOCOL = b"Noise_NNpsk0_25519_AESGCM_SHA256"
# Every key of this handshake encrypts one message.
_NONCE = bytes(12)


class State(NamedTuple):
    """What both ends have agreed on so far (5.2, SymmetricState; the cipher's key is made anew for each message)."""

    chaining_key: bytes
    hash: bytes


class Read(NamedTuple):
    """A message that was true."""

    state: State
    payload: bytes
    ephemeral: bytes  # the sender's public key


class Begun(NamedTuple):
    """A handshake that we have begun, and wait for its second message."""

    our_index: bytes  # of the session, where that message goes
    private: X25519PrivateKey
    ephemeral: bytes  # its public key
    state: State


def begin(psk: bytes, prologue: bytes) -> State:
    """The state before the first message, with its token `psk`: a pre-shared key of 32 octets (9.2, MixKeyAndHash)."""
    mixed = sha256(PROTOCOL + prologue).digest()
    secret = digest(PROTOCOL, psk, "sha256")
    chaining_key = digest(secret, b"\x01", "sha256")
    # The third output would be the cipher's key. No message uses it: `e` makes another first.
    return State(chaining_key, sha256(mixed + digest(secret, chaining_key + b"\x02", "sha256")).digest())


def public(private: X25519PrivateKey) -> bytes:
    """The 32 octets that go over the wire for an ephemeral key."""
    return private.public_key().public_bytes_raw()


def write_first(state: State, private: X25519PrivateKey, payload: bytes) -> tuple[State, bytes]:
    """The initiator's message: its ephemeral key and a payload that only holders of the pre-shared key can read."""
    ephemeral = public(private)
    state, cipher_key = _mix_ephemeral(state, ephemeral)
    state, ciphertext = _encrypt(state, cipher_key, payload)
    return state, ephemeral + ciphertext


def read_first(state: State, message: bytes) -> Read | None:
    """The initiator's message, read by the responder; None if its sender does not have the key. It takes no DH."""
    ephemeral = message[:EPHEMERAL_SIZE]
    state, cipher_key = _mix_ephemeral(state, ephemeral)
    return _decrypt(state, cipher_key, message)


def write_second(
    state: State, private: X25519PrivateKey, theirs: bytes, payload: bytes
) -> tuple[State, bytes] | None:
    """The responder's answer to the initiator's key `theirs`; None if that key is none (a point of low order)."""
    ephemeral = public(private)
    state, _ = _mix_ephemeral(state, ephemeral)
    mixed = _mix_secret(state, private, theirs)
    if mixed is None:
        return None
    state, ciphertext = _encrypt(*mixed, payload)
    return state, ephemeral + ciphertext


def read_second(state: State, private: X25519PrivateKey, message: bytes) -> Read | None:
    """The responder's answer, read by the initiator, whose key is `private`; None if it is not true."""
    ephemeral = message[:EPHEMERAL_SIZE]
    state, _ = _mix_ephemeral(state, ephemeral)
    mixed = _mix_secret(state, private, ephemeral)
    return None if mixed is None else _decrypt(*mixed, message)


def split(state: State) -> tuple[bytes, bytes]:
    """The keys for what follows: of the initiator's messages, and of the responder's (5.2, Split)."""
    return _hkdf(state.chaining_key, b"")


def _hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """4.3, HKDF with two outputs."""
    secret = digest(chaining_key, material, "sha256")
    first = digest(secret, b"\x01", "sha256")
    return first, digest(secret, first + b"\x02", "sha256")


def _mix_ephemeral(state: State, ephemeral: bytes) -> tuple[State, bytes]:
    """The token `e`: where there is a pre-shared key, it goes into the keys too (9.2)."""
    chaining_key, cipher_key = _hkdf(state.chaining_key, ephemeral)
    return State(chaining_key, sha256(state.hash + ephemeral).digest()), cipher_key


def _mix_secret(state: State, private: X25519PrivateKey, theirs: bytes) -> tuple[State, bytes] | None:
    """The token `ee`."""
    try:
        secret = private.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError:  # the secret would be all zeros (RFC 7748 6.1), or `theirs` is too short
        return None
    chaining_key, cipher_key = _hkdf(state.chaining_key, secret)
    return State(chaining_key, state.hash), cipher_key


def _encrypt(state: State, cipher_key: bytes, payload: bytes) -> tuple[State, bytes]:
    ciphertext = AESGCM(cipher_key).encrypt(_NONCE, payload, state.hash)
    return State(state.chaining_key, sha256(state.hash + ciphertext).digest()), ciphertext


def _decrypt(state: State, cipher_key: bytes, message: bytes) -> Read | None:
    ciphertext = message[EPHEMERAL_SIZE:]
    try:
        payload = AESGCM(cipher_key).decrypt(_NONCE, ciphertext, state.hash)
    except InvalidTag:
        return None
    after = State(state.chaining_key, sha256(state.hash + ciphertext).digest())
    return Read(after, payload, message[:EPHEMERAL_SIZE])
