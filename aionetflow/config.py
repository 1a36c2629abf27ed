"""Limits, timers and defaults, each with its source.

Time in the core is an integer count of nanoseconds; sizes are in octets. Where Linux has a sysctl for the value its
name is given, and the value is Linux 6's default; those that can be set are in sysctl.py.
"""

NEVER = (1 << 63) - 1  # a deadline that does not come
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

# Ethernet and neighbours ----------------------------------------------------------------------------------------
DEFAULT_MTU = 1500  # RFC 894
LOOPBACK_MTU = 65536  # Linux: drivers/net/loopback.c
NEIGHBOUR_RETRANS_TIME = 1 * SECOND  # net.ipv4.neigh.default.retrans_time_ms
NEIGHBOUR_MCAST_SOLICIT = 3  # net.ipv4.neigh.default.mcast_solicit: questions to all before giving up
NEIGHBOUR_UCAST_SOLICIT = 3  # net.ipv4.neigh.default.ucast_solicit: questions to a known MAC
NEIGHBOUR_REACHABLE_TIME = 30 * SECOND  # net.ipv4.neigh.default.base_reachable_time_ms
NEIGHBOUR_DELAY_FIRST_PROBE = 5 * SECOND  # net.ipv4.neigh.default.delay_first_probe_time
NEIGHBOUR_GC_STALE_TIME = 60 * SECOND  # net.ipv4.neigh.default.gc_stale_time
NEIGHBOUR_QUEUE_LENGTH = 101  # net.ipv4.neigh.default.unres_qlen: packets that wait for one answer
NEIGHBOUR_TABLE_SIZE = 1024  # net.ipv4.neigh.default.gc_thresh3

# IP --------------------------------------------------------------------------------------------------------------
DEFAULT_TTL = 64  # net.ipv4.ip_default_ttl
ROUTE_CACHE_SIZE = 4096  # destinations remembered by a routing table before it forgets them all
ICMP_ERROR_QUOTE = 548  # RFC 1812 4.3.2.3: as much of the packet as fits 576 octets
ICMPV6_ERROR_SIZE = 1280  # RFC 4443 2.4 (c): as much of the packet as fits the smallest IPv6 MTU
ICMPV6_RATE_TIME = 1 * SECOND  # net.ipv6.icmp.ratelimit: between errors to one destination by a /128
ICMP_RATE_LIMIT = 50  # net.ipv4.icmp_msgs_burst: errors at once; refilled by ICMP_RATE_PER_SECOND
ICMP_RATE_PER_SECOND = 1000  # net.ipv4.icmp_msgs_per_sec
DAD_TRANSMITS = 1  # net.ipv6.conf.default.dad_transmits
RTR_SOLICITATIONS = 3  # RFC 4861 10: then no router is there
RTR_SOLICITATION_INTERVAL = 4 * SECOND
MAX_RTR_SOLICITATION_DELAY = 1 * SECOND
RTR_ADVERT_INTERVAL = (200 * SECOND, 600 * SECOND)  # RFC 4861 6.2.1: MinRtrAdvInterval, MaxRtrAdvInterval
RTR_INITIAL_ADVERTISEMENTS = 3  # RFC 4861 10 ...
RTR_INITIAL_ADVERT_INTERVAL = 16 * SECOND  # ... not farther apart than this
MIN_DELAY_BETWEEN_RAS = 3 * SECOND
MAX_RA_DELAY = 500 * MILLISECOND
RTR_LIFETIME = 1800 * SECOND  # RFC 4861 6.2.1: AdvDefaultLifetime
PREFIX_VALID = 2592000 * SECOND  # RFC 4861 6.2.1: AdvValidLifetime, 30 days
PREFIX_PREFERRED = 604800 * SECOND  # AdvPreferredLifetime, 7 days

# Ports and sockets -----------------------------------------------------------------------------------------------
EPHEMERAL_PORTS = (32768, 60999)  # net.ipv4.ip_local_port_range
SOMAXCONN = 4096  # net.core.somaxconn
UDP_QUEUE_LIMIT = 212992  # net.core.rmem_default
# Linux starts at 131072 and 16384; here both start at a size that carries a few bandwidth-delay products of a local
# network and stays within a processor's second-level cache. Both grow with what is on the way, as on Linux.
TCP_RECEIVE_BUFFER = 524288  # as getsockopt(SO_RCVBUF) tells it: twice what may be queued
TCP_SEND_BUFFER = 524288
TCP_BUFFER_MAX = 6291456  # net.ipv4.tcp_rmem[2]: as far as it grows; the window scale is chosen for it
TCP_SEND_BUFFER_MAX = 4194304  # net.ipv4.tcp_wmem[2]
TCP_TUNED_RTT = 1 * MILLISECOND  # below it no window is too small, and a larger one only falls out of the cache
SOCKET_BUFFER_MAX = 212992  # net.core.rmem_max, wmem_max: what setsockopt may ask for, before doubling
RECEIVE_BUFFER_MIN = 2304  # Linux SOCK_MIN_RCVBUF
SEND_BUFFER_MIN = 4608  # Linux SOCK_MIN_SNDBUF

# TCP -------------------------------------------------------------------------------------------------------------
DEFAULT_MSS = 536  # RFC 9293 3.7.1: when the peer says nothing
DEFAULT_MSS_6 = 1220  # the same over IPv6
MIN_MSS = 88  # Linux TCP_MIN_MSS: the shortest that TCP_MAXSEG asks for
MAX_SEGMENT_RUN = 65536 - 256  # the longest super-segment: what one IP packet can hold, less headers
INITIAL_WINDOW = 10  # RFC 6928: segments
RTO_INITIAL = 1 * SECOND  # RFC 6298 2.1
RTO_FALLBACK = 3 * SECOND  # RFC 6298 5.7, Linux TCP_TIMEOUT_FALLBACK: after a SYN was lost
RTO_MIN = 200 * MILLISECOND  # Linux TCP_RTO_MIN; RFC 6298 2.4 says 1 s
RTO_MAX = 120 * SECOND  # Linux TCP_RTO_MAX
DELAYED_ACK_MIN = 40 * MILLISECOND  # Linux TCP_DELACK_MIN, TCP_ATO_MIN
DELAYED_ACK_MAX = 200 * MILLISECOND  # Linux TCP_DELACK_MAX
MAX_QUICK_ACKS = 16  # Linux TCP_MAX_QUICKACKS
TIME_WAIT_TIME = 60 * SECOND  # Linux TCP_TIMEWAIT_LEN
SYN_RETRIES = 6  # net.ipv4.tcp_syn_retries
ORPHAN_RETRIES = 8  # Linux tcp_orphan_retries(): what 0 means
DUP_ACK_THRESHOLD = 3  # RFC 5681 3.2
