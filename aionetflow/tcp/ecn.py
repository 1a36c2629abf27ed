"""Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them.

    net.ipv4.tcp_ecn     0: never, 1: asks for it and agrees, 2: agrees if it is asked (the default)
"""

from aionetflow.tcp.connection import Connection
from aionetflow.tcp.segment import ACK, CWR, ECE, Segment

ECT_0 = 2  # the IP header's mark of a packet whose ends know ECN (RFC 3168 5)
CE = 3  # ... and that of one which met congestion
_CE = CE


def offer_ecn(connection: Connection) -> int:
    """The flags of our SYN (6.1.1); not of one that is sent again, which a middlebox may have dropped for them."""
    return ECE | CWR if connection.sysctl.tcp_ecn == 1 and not connection.syn_sent else 0


def take_ecn_offer(connection: Connection, syn: Segment) -> None:
    """A SYN that asks for it, or a SYN-ACK that agrees (6.1.1)."""
    flags = syn.flags & (ECE | CWR)
    if syn.flags & ACK:
        connection.ecn = flags == ECE and connection.sysctl.tcp_ecn == 1
    else:
        connection.ecn = flags == ECE | CWR and connection.sysctl.tcp_ecn != 0 and syn.mark == 0


def take_marks(connection: Connection, segment: Segment) -> None:
    """Data arrived, perhaps marked (6.1.3): the peer is told in every ACK, until it says that it has slowed down."""
    if segment.flags & CWR:
        connection.ecn_echo = False
        connection.need_ack = True  # its window may be down to a segment
    if segment.mark == _CE:
        if not connection.ecn_echo:
            connection.need_ack = True
        connection.ecn_echo = True
