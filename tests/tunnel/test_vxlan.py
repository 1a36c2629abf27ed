"""The VXLAN header, and the addresses of the kernel's sockets; read by decoders that are not ours."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from aionetflow.tunnel import address, vxlan
from support.rules import rule

FRAME = bytes(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x1234) / b"payload")


@rule("RFC 7348 5", "The header has the I flag and a VNI of 24 bits; reserved bits are zero", code="tunnel/vxlan.py")
@given(vni=st.integers(0, vxlan.MAX_VNI))
def test_a_header_says_which_network(vni: int) -> None:
    header = vxlan.header(vni)
    seen = VXLAN(header + FRAME)
    assert (seen.vni, seen.flags, seen.reserved1, seen.reserved2) == (vni, "Instance", 0, 0)
    assert seen[Ether].src == "02:00:00:00:00:02"
    assert vxlan.vni_of(header + FRAME) == vni


@rule("RFC 7348 5", "Reserved bits are not looked at by the receiver", code="tunnel/vxlan.py")
def test_what_is_reserved_is_not_looked_at() -> None:
    assert vxlan.vni_of(b"\xff\xff\xff\xff\x00\x00\x2a\xff" + FRAME) == 42


@pytest.mark.parametrize(
    "datagram", [b"", b"\x08", vxlan.header(42), vxlan.header(42) + FRAME[:13], b"\0" + vxlan.header(42)[1:] + FRAME]
)
def test_what_has_no_number_or_no_frame_is_no_vxlan(datagram: bytes) -> None:
    assert vxlan.vni_of(datagram) == -1


@pytest.mark.parametrize("vni", [-1, 1 << 24])
def test_a_number_has_24_bits(vni: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 16777215"):
        vxlan.header(vni)


@given(host=st.ip_addresses(), port=st.integers(0, 65535))
def test_an_address_is_packed_as_the_kernel_does_it(host: object, port: int) -> None:
    where = (str(host), port)
    octets = address.packed(where)
    assert address.unpacked(octets) == where
    assert len(octets) == (28 if ":" in where[0] else 16)


def test_a_scope_is_part_of_a_link_local_address() -> None:
    index = socket.if_nametoindex("lo")
    assert address.unpacked(address.packed(("fe80::1%lo", 4789))) == (f"fe80::1%{index}", 4789)
    assert address.shown(("fe80::1%lo", 4789)) == "[fe80::1%lo]:4789"


def test_a_name_is_asked_of_the_operating_system() -> None:
    assert address.resolved(("localhost", 4789), socket.AF_INET) == ("127.0.0.1", 4789)
    with pytest.raises(OSError, match=r"^\[Errno -\d+\] name\.invalid: "):
        address.resolved(("name.invalid", 4789))


@pytest.mark.parametrize("bad", [("127.0.0.1",), "127.0.0.1:4789", ("127.0.0.1", 65536), ("", 1), (1, 2), None])
def test_what_is_no_address_is_said_to_be_none(bad: object) -> None:
    with pytest.raises(ValueError, match=r"an address is \(host, port\)"):
        address.resolved(bad)  # type: ignore[arg-type]


def test_the_path_to_loopback_is_as_wide_as_its_device() -> None:
    with open("/sys/class/net/lo/mtu") as file:
        assert address.path_mtu(("127.0.0.1", 4789)) == min(int(file.read()), 65535)
