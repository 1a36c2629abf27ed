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
