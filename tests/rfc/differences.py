"""What is left out, or done otherwise than the RFC says, on purpose."""

from support.rules import differs

differs(
    "RFC 6298 2.4",
    "The retransmission time-out is at least one second",
    "Linux's minimum is 200 ms above the smoothed round-trip time",
)
