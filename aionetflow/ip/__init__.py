"""The internet layer: IP headers, routing with a source address per route, ICMP (RFC 791, 792, 1122, 1812).

Of IPv6 what a host needs to reach itself (RFC 8200, 4443).
"""
