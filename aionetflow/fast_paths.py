"""The short ways of the common case, and a switch for each.

What goes a short way comes out as it would have the long way: the same octets, and the same frames where a test says
so. They are on; a test turns them off one by one to compare, and so may whoever looks for the cause of something odd.
"""


class FastPaths:
    """One switch for each short way; `FAST` is the only one of its kind.

    >>> FAST.merging
    True
    """

    def __init__(self) -> None:
        self.header_prediction = True  # tcp/arrival.py: the next data, or the next acknowledgment, and nothing else
        self.last_addresses = True  # ip/v4.py: a packet with the addresses of the last one goes where that went
        self.merging = True  # ip/: TCP frames that continue one another rise as one segment (Linux's GRO)
        self.clean_link = True  # link/: batches cross a link without faults, rate and taps as they are
        self.burst = True  # stack.py: what a call has sent is delivered before it returns, if the loop's clock says so
        self.direct_connect = True  # dropin/: create_connection() with plain arguments goes straight to the core
        self.direct_accept = True  # dropin/: a server's connections come without a task and a socket object each


FAST = FastPaths()
