"""Ethernet II frames.

     0                   6                   12      14
    +-------------------+-------------------+-------+----------------+
    |  destination MAC  |    source MAC     | type  |  payload ...
    +-------------------+-------------------+-------+----------------+

There is no frame check sequence: links carry what a host's driver sees.
"""

HEADER_LENGTH = 14
BROADCAST = b"\xff\xff\xff\xff\xff\xff"
NO_MAC = bytes(6)

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD


def mac_header(destination: bytes, source: bytes, ethertype: int) -> bytes:
    """The 14 octets that begin a frame.

    >>> mac_header(BROADCAST, bytes.fromhex("020000000001"), ETHERTYPE_ARP).hex(":")
    'ff:ff:ff:ff:ff:ff:02:00:00:00:00:01:08:06'
    """
    return destination + source + ethertype.to_bytes(2, "big")


def ethertype_of(address: bytes) -> int:
    """The type of a frame that carries packets of this address's family."""
    return ETHERTYPE_IPV4 if len(address) == 4 else ETHERTYPE_IPV6


def group_mac(group: bytes) -> bytes:
    """The MAC that packets to a group are sent to (RFC 1112 6.4, RFC 2464 7).

    >>> group_mac(bytes((224, 0, 0, 1))).hex(":"), group_mac(bytes((255, 2)) + bytes(13) + b"\x01").hex(":")
    ('01:00:5e:00:00:01', '33:33:00:00:00:01')
    """
    if len(group) == 4:
        return bytes((1, 0, 0x5E, group[1] & 0x7F)) + group[2:]
    return b"\x33\x33" + group[12:]


def mac_text(mac: bytes) -> str:
    """A MAC address as people read it.

    >>> mac_text(bytes.fromhex("020000000001"))
    '02:00:00:00:00:01'
    """
    return mac.hex(":")
