"""Where a connection's urgent data are: made for those connections only that have any."""

from aionetflow.widths import u32

# What has become of the octet before the mark (Linux tp->urg_data)
NONE = 0  # there is no mark, or it was read past
AWAITED = 1  # it was announced, and has not come
HERE = 2
TAKEN = 3  # by recv(MSG_OOB)


class UrgentMark:
    """The marks of both directions."""

    def __init__(self) -> None:
        self.sending = False  # something urgent is not acknowledged
        self.probed = False  # the peer was told of it beside its closed window
        self.snd_up: u32 = 0  # the end of it (RFC 9293 SND.UP)
        self.state = NONE
        self.urg_seq: u32 = 0  # the number of the urgent octet
        self.octet = 0
        self.inline = False  # SO_OOBINLINE: it stays in the stream
