"""The internet layer: IP headers, routing with a source address per route, ICMP (RFC 791, 792, 1122, 1812).

IPv6 on loopback (RFC 8200, 4443).
"""
