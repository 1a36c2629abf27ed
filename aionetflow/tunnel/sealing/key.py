"""The key that all ends of a tunnel share: 32 octets drawn at random."""

import base64
import binascii
import re
import secrets

KEY_SIZE = 32
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64 = re.compile(r"[0-9A-Za-z+/]{43}=")

# Fewer different ones among 32 random octets: once in more than 10^12 keys. All of them printable: as rarely.
_FEWEST_DIFFERENT = 16

_HOW = "a key is 32 random octets, such as generate_key() makes: as bytes, as 64 hex digits or in base64"


def generate_key() -> str:
    """A new key, as 64 hex digits.

    >>> parse_key(generate_key()) != parse_key(generate_key())
    True
    """
    return secrets.token_hex(KEY_SIZE)


def parse_key(key: bytes | str) -> bytes:
    """The 32 octets of a key, given as such, as 64 hex digits or in base64 (44 characters, as `wg genkey` prints them).

    ValueError for anything else, and for 32 octets that nobody drew at random: text, or one octet over and over. A
    passphrase is refused, not stretched: who has recorded a handshake could try passphrases at leisure. No error shows
    the key.

    >>> parse_key("00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210").hex()[:8]
    '00112233'
    >>> parse_key("correct horse battery staple")
    Traceback (most recent call last):
    ...
    ValueError: not a key: a key is 32 random octets, ...
    """
    octets = _decoded(key) if isinstance(key, str) else bytes(key)
    if len(octets) != KEY_SIZE:
        raise ValueError(f"not a key: {_HOW}")
    if len(set(octets)) < _FEWEST_DIFFERENT or all(0x20 <= octet < 0x7F for octet in octets):
        raise ValueError(f"a weak key, nobody drew it at random: {_HOW}")
    return octets


def _decoded(text: str) -> bytes:
    text = text.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            return b""
    return b""
