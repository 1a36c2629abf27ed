"""What an application has asked for that bounds how long a connection goes on: made for those connections only."""

from aionetflow.widths import i64


class Patience:
    """The options of one connection; 0 is what the host's settings say."""

    def __init__(self) -> None:
        self.user_timeout: i64 = 0  # TCP_USER_TIMEOUT (RFC 5482), in ns; 0: none
        self.syn_retries = 0  # TCP_SYNCNT
        self.orphan_seconds = 0  # TCP_LINGER2; less than 0: not at all
        self.keep_alive = False  # SO_KEEPALIVE
        self.idle: i64 = 0  # TCP_KEEPIDLE, in ns
        self.interval: i64 = 0  # TCP_KEEPINTVL, in ns
        self.count = 0  # TCP_KEEPCNT
        self.probes = 0  # of keepalive, since the peer was heard
        self.probed_at: i64 = 0  # when the last of them was sent
