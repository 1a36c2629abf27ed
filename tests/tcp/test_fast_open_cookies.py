"""The cookies of TCP Fast Open (RFC 7413): what they are, who may have them, how long they are kept."""

from __future__ import annotations

import random

import pytest

from aionetflow.tcp.fastopen import ClientCookies, ServerCookies, cookie_in, option, parse_key
from support.rules import rule

CLIENT, OTHER, SERVER = bytes((10, 0, 0, 2)), bytes((10, 0, 0, 3)), bytes((10, 0, 0, 1))
KEY = "00112233-44556677-8899aabb-ccddeeff"


@rule("RFC 7413 4.1.1", "A cookie has 4 to 16 octets, an even number; none asks for one", code="tcp/fastopen.py")
@pytest.mark.parametrize("length", range(20))
def test_a_cookie_has_an_even_number_of_octets_from_4_to_16(length: int) -> None:
    value = bytes(length)
    valid = length == 0 or (4 <= length <= 16 and length % 2 == 0)
    assert cookie_in(value) == (value if valid else None)
    if valid:
        octets = option(value)
        assert len(octets) % 4 == 0
        assert octets[:2] == bytes((34, 2 + length))
        assert octets[2 : 2 + length] == value


@rule("RFC 7413 4.1.2", "A cookie is of the client's address and a secret of the server's", code="tcp/fastopen.py")
def test_a_cookie_is_for_one_address_and_of_one_server() -> None:
    cookies = ServerCookies(random.Random(1))
    cookie = cookies.make(CLIENT, SERVER)
    assert (len(cookie), cookies.make(CLIENT, SERVER)) == (8, cookie)
    assert cookies.make(OTHER, SERVER) != cookie
    assert ServerCookies(random.Random(2)).make(CLIENT, SERVER) != cookie
    assert ServerCookies(random.Random(1), KEY).make(CLIENT, SERVER) != cookie


def test_servers_with_the_same_key_take_each_others_cookies() -> None:
    one, other = (ServerCookies(random.Random(seed), KEY) for seed in (1, 2))
    assert one.make(CLIENT, SERVER) == other.make(CLIENT, SERVER)


@pytest.mark.parametrize("key", ["", "0", "00112233-44556677-8899aabb", "0011223-44556677-8899aabb-ccddeeff",
                                 "0011223x-44556677-8899aabb-ccddeeff"])  # fmt: skip
def test_a_key_is_four_numbers(key: str) -> None:
    with pytest.raises(ValueError, match=r"key is|invalid literal"):
        parse_key(key)


@rule("RFC 7413 4.1.3", "A client keeps a server's cookie together with its MSS", code="tcp/fastopen.py")
def test_a_client_keeps_cookies_until_there_are_too_many() -> None:
    cookies = ClientCookies()
    assert cookies.get(CLIENT, SERVER) == (b"", 0)
    cookies.put(CLIENT, SERVER, b"12345678", 1460)
    for number in range(1023):
        cookies.put(CLIENT, number.to_bytes(4, "big"), b"abcd", 536)
    assert cookies.get(CLIENT, SERVER) == (b"12345678", 1460)
    cookies.put(CLIENT, OTHER, b"abcd", 536)
    assert cookies.get(CLIENT, SERVER) == (b"", 0)
    cookies.drop(CLIENT, OTHER)
    assert cookies.get(CLIENT, OTHER) == (b"", 0)
