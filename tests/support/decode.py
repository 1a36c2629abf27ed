"""Reads a frame as a stranger would, with dpkt, and finds fault with it.

dpkt decodes the headers; what is added here is what dpkt lets pass: lengths that do not agree, checksums,
octets after the end, options that overrun. Thirty to fifty microseconds
a frame of up to 1,500 octets: every frame can be read.
"""

from __future__ import annotations

import struct

import dpkt

ETHERNET = 1
RAW_IP = 101

# RFC 9293 3.2, RFC 7323 2.2 and 3.2, RFC 2018 2 and 3: kind -> the lengths that are legal
TCP_OPTION_LENGTHS = {2: {4}, 3: {3}, 4: {2}, 5: {10, 18, 26, 34}, 8: {10}}
ONLY_ON_SYN = {2, 3, 4}
FIN, SYN, RST, ACK, URG = 0x01, 0x02, 0x04, 0x10, 0x20

ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
CLASSES = {ICMP: dpkt.icmp.ICMP, TCP: dpkt.tcp.TCP, UDP: dpkt.udp.UDP, ICMPV6: dpkt.icmp6.ICMP6}


def check_frame(frame: bytes, linktype: int = ETHERNET, *, forwarded: bool = False) -> None:
    """Raises AssertionError, with the frame in hex, if a receiver could complain about any part of it.

    Link types are libpcap's: 1 Ethernet II (unpadded, without FCS), 101 bare IPv4 or IPv6. `forwarded` is for
    what a router sends on: its IP header must be right, but what a link did to the payload is not its doing.
    """
    try:
        if linktype == ETHERNET:
            check_ethernet(frame, forwarded)
        elif linktype == RAW_IP:
            check_ip(frame, forwarded)
        else:
            raise AssertionError(f"link type {linktype} is neither Ethernet nor bare IP")
    except dpkt.UnpackError as error:
        raise AssertionError(f"dpkt cannot read it: {error!r}\n{frame.hex()}") from error
    except AssertionError as error:
        raise AssertionError(f"{error}\n{frame.hex()}") from None


def check_ethernet(frame: bytes, forwarded: bool) -> None:
    require(len(frame) >= 14, "shorter than an Ethernet header")
    ethernet = dpkt.ethernet.Ethernet(frame[:14])
    require(not ethernet.src[0] & 1, "the source MAC is a group address")
    body = frame[14:]
    if ethernet.type == dpkt.ethernet.ETH_TYPE_ARP:
        check_arp(body, ethernet.src)
        return
    version = {dpkt.ethernet.ETH_TYPE_IP: 4, dpkt.ethernet.ETH_TYPE_IP6: 6}.get(ethernet.type)
    require(version is not None, f"unknown EtherType {ethernet.type:#06x}")
    require(body[:1] != b"" and body[0] >> 4 == version, "the IP version is not the EtherType's")
    check_ip(body, forwarded)


def check_arp(body: bytes, source: bytes) -> None:
    require(len(body) == 28, f"ARP is 28 octets, not {len(body)}")
    arp = dpkt.arp.ARP(body)
    require((arp.hrd, arp.pro, arp.hln, arp.pln) == (1, 0x0800, 6, 4), "ARP not for IPv4 over Ethernet")
    require(arp.op in (1, 2), f"ARP operation {arp.op}")
    require(arp.sha == source, "the ARP sender is not the frame's source")


def check_ip(packet: bytes, forwarded: bool) -> None:
    require(len(packet) >= 20, "shorter than an IP header")
    if packet[0] >> 4 == 4:
        check_ipv4(packet, forwarded)
    elif packet[0] >> 4 == 6:
        check_ipv6(packet, forwarded)
    else:
        raise AssertionError(f"IP version {packet[0] >> 4}")


def check_ipv4(packet: bytes, forwarded: bool) -> None:
    ip = dpkt.ip.IP(packet)
    length = ip.hl * 4
    require(ip.len == len(packet), f"IPv4 total length {ip.len}, in fact {len(packet)}")
    require(20 <= length <= ip.len, f"IPv4 header length {length}")
    require(dpkt.dpkt.in_cksum(packet[:length]) == 0, f"IPv4 header checksum {ip.sum:#06x}")
    require(not ip.rf, "the reserved IPv4 flag is set")
    require(not (ip.df and (ip.mf or ip.offset)), "an IPv4 fragment that must not be one")
    require(not ip.mf or (ip.len - length) % 8 == 0, "an IPv4 fragment not of whole 8-octet units")
    require(ip.ttl > 0, "TTL 0")
    options(packet[20:length], "IPv4")
    if not ip.mf and not ip.offset:
        check_transport(ip, ip.p, packet[length:], forwarded)


def check_ipv6(packet: bytes, forwarded: bool) -> None:
    ip = dpkt.ip6.IP6(packet)
    require(ip.plen == len(packet) - 40, f"IPv6 payload length {ip.plen}, in fact {len(packet) - 40}")
    require(ip.hlim > 0, "hop limit 0")
    headers = ip.all_extension_headers
    if ip.nxt != FRAGMENT and all(header.nxt != FRAGMENT for header in headers):
        payload = packet[40 + sum(header.length for header in headers) :]
        check_transport(ip, ip.p, payload, forwarded)


def check_transport(ip: dpkt.Packet, protocol: int, payload: bytes, forwarded: bool) -> None:
    if protocol not in CLASSES or forwarded:
        return
    # dpkt leaves bare bytes where it could not decode.
    require(isinstance(ip.data, CLASSES[protocol]), f"no header of protocol {protocol}")
    if protocol == TCP:
        check_tcp(ip.data, payload)
    elif protocol == UDP:
        require(ip.data.ulen == len(payload), f"UDP length {ip.data.ulen}, in fact {len(payload)}")
    ipv4 = ip.v == 4
    require(protocol != (ICMPV6 if ipv4 else ICMP), "ICMP of the other IP version")
    # RFC 768: zero means none was made; RFC 8200 8.1 forbids that over IPv6.
    if protocol == UDP and ipv4 and ip.data.sum == 0:
        return
    # RFC 792: the checksum of ICMPv4 covers no pseudo-header.
    pseudo = b"" if protocol == ICMP else ip.src + ip.dst + struct.pack(">II", len(payload), protocol)
    require(dpkt.dpkt.in_cksum(pseudo + payload) == 0, f"protocol {protocol}: checksum {ip.data.sum:#06x}")


def check_tcp(tcp: dpkt.tcp.TCP, payload: bytes) -> None:
    length = tcp.off * 4
    require(20 <= length <= len(payload), f"TCP header length {length} in {len(payload)} octets")
    require(payload[12] & 0x0F == 0, "reserved TCP bits are set")
    require(not (tcp.flags & SYN and tcp.flags & (FIN | RST)), f"TCP flags {tcp.flags:#04x}")
    require(bool(tcp.flags & (SYN | RST | ACK)), f"TCP flags {tcp.flags:#04x}: no ACK")
    require(bool(tcp.flags & URG) or tcp.urp == 0, "urgent pointer without URG")
    require(bool(tcp.flags & ACK) or tcp.ack == 0, "acknowledgment number without ACK")
    seen = set()
    for kind, size in options(payload[20:length], "TCP"):
        require(size in TCP_OPTION_LENGTHS.get(kind, {size}), f"TCP option {kind} of {size} octets")
        require(bool(tcp.flags & SYN) or kind not in ONLY_ON_SYN, f"TCP option {kind} without SYN")
        require(kind not in seen, f"TCP option {kind} twice")
        seen.add(kind)


def options(area: bytes, name: str) -> list[tuple[int, int]]:
    """Kind and length of each option but the padding; IPv4 and TCP lay them out alike (RFC 791, RFC 9293)."""
    found = []
    offset = 0
    while offset < len(area):
        kind = area[offset]
        if kind == 0:
            require(not any(area[offset:]), f"{name} options go on after their end")
            break
        size = 1
        if kind != 1:
            size = area[offset + 1] if offset + 1 < len(area) else 0
            require(2 <= size <= len(area) - offset, f"{name} option {kind} has a bad length")
            found.append((kind, size))
        offset += size
    return found


def require(condition: bool, complaint: str) -> None:
    """An assert that stays under -O and that pytest does not dress up."""
    if not condition:
        raise AssertionError(complaint)
