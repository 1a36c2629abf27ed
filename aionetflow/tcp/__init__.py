"""TCP (RFC 9293). One connection is a Connection; what it does is told by role:

    handshake.py   opening: SYN, SYN-ACK, what the options agreed on
    arrival.py     a segment comes in, step by step as the RFC has it; receive.py: the window, the order
                   (reassembly.py), what waits to be read (buffer.py)
    departure.py   what is sent next, and what the timers do; send.py: how much, when (Nagle, cork, windows)
    recovery.py    what was lost: duplicate ACKs, fast retransmit, time-outs; how fast to send: congestion/
    timers.py      when to look again; rtt.py says how long to wait
    states.py      the state machine as a table; sequence.py the arithmetic; segment.py, options.py the header
"""
