"""TCP (RFC 9293). One connection is a Connection; what it does is told by role:

    handshake.py   opening: SYN, SYN-ACK, what the options agreed on
    arrival.py     a segment comes in, step by step as the RFC has it; receive.py: the window, the order
                   (reassembly.py), what waits to be read (buffer.py); acknowledgment.py: what it acknowledges
    departure.py   what is sent next, and what the timers do; send.py: how much, when (Nagle, cork, windows)
    scoreboard.py  what is in flight; sack.py: what the peer reports of it; rack.py: what of it is lost
    loss.py        what losses and time-outs mean; recovery.py: what they do to the window; congestion/: its growth
    timers.py      when to look again; rtt.py says how long to wait
    states.py      the state machine as a table; sequence.py the arithmetic; segment.py, options.py the header
"""
