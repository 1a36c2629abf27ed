"""What is left out, or done otherwise than the RFC says, on purpose."""

from support.rules import differs

differs(
    "RFC 6298 2.4",
    "The retransmission time-out is at least one second",
    "Linux's minimum is 200 ms above the smoothed round-trip time",
)

differs(
    "RFC 9293 3.10.7.4",
    "A SYN in the window returns a connection in SYN-RECEIVED that was opened passively to LISTEN",
    "RFC 5961 4.2 is applied in this state too: a challenge ACK, as otherwise a guessed SYN would end a handshake",
)
differs(
    "RFC 4861 6.3.2",
    "How long a neighbour counts as reachable is drawn anew every few hours, from 15 s to 45 s",
    "It is 30 s, so that a test knows when a neighbour is stale",
)
differs(
    "RFC 4861 7.3.1",
    "Progress of a connection confirms that its neighbour is reachable",
    "A neighbour in use is probed after 35 s, at its MAC; packets go on meanwhile",
)
differs(
    "RFC 4862 5.4",
    "Duplicate address detection is done on all unicast addresses",
    "Addresses that a network hands out are nobody else's, as after Linux's nodad; it is done where it is asked for",
)
differs(
    "RFC 4861 6.3.4",
    "The MTU that a router advertises is that of IPv6 packets",
    "It becomes the interface's, for both families",
)
differs(
    "RFC 4291 2.5.6",
    "Link-local addresses have 54 zero bits behind their prefix",
    "One that has not is dropped, as these bits say inside a host which link it is on",
)
differs("RFC 8981 3", "A host makes temporary addresses for its privacy", "On a network of one's own nobody looks")
differs(
    "RFC 791 3.1",
    "Hosts and routers on the way write themselves into record route and timestamp options",
    "The options are checked and carried along, nothing is recorded in them",
)
differs(
    "RFC 1122 3.2.2.6",
    "Options of an echo request are in the reply, a source route turned round",
    "The reply has none; source-routed packets are dropped, as where Linux's accept_source_route is 0",
)
differs(
    "RFC 1122 3.3.2",
    "The reassembly time-out is between 60 and 120 seconds",
    "It is 30 s for IPv4, Linux's ipfrag_time",
)
differs(
    "RFC 3376 4.2.16",
    "A report that does not fit the MTU is split, EXCLUDE records being cut short",
    "So is every record: one that alone exceeds the MTU loses the sources that do not fit",
)
differs(
    "RFC 3376 7.2.1",
    "A host that hears a version 1 query speaks version 1",
    "It speaks version 2: a query of version 1 is taken as one of version 2 that gives ten seconds",
)
differs(
    "RFC 3810 6.1",
    "A node reports the solicited-node groups of its addresses when it joins them",
    "It names them in answer to queries only: nothing is sent on a link until something has to be",
)
differs(
    "RFC 7413 4.1.3.1",
    "A client remembers which servers do not take the data of its SYNs",
    "As on Linux it tries each time; what pauses Fast Open, to all servers, are time-outs in a row, and only where "
    "net.ipv4.tcp_fastopen_blackhole_timeout_sec is set",
)
differs(
    "RFC 4821 7",
    "Larger segments are tried to find the MTU of a path whose routers tell none",
    "Only with net.ipv4.tcp_mtu_probing, which is 0 by default as on Linux: without it such a path is a black hole",
)
differs(
    "RFC 4821 7.2",
    "search_low is 1024 octets to begin with, and segments are no longer until a probe has arrived",
    "As Linux: of a connection that was accepted they are as long as the peer takes until then",
)
differs(
    "RFC 6762 8.1",
    "A host asks whether its name is taken before it uses it",
    "Its MAC and addresses are made of the name, it could not take another; a name that is there twice is logged",
)
