"""The door to the byte loops: compiled (`_fast`) where they are built, plain Python (`_slow`) where not."""

__all__ = [
    "COMPILED",
    "checksum",
    "equal",
    "forward",
    "gather",
    "get16",
    "get32",
    "part",
    "pseudo_sum",
    "put",
    "put16",
    "put32",
    "put_ipv4_header",
    "put_ipv6_header",
    "put_tcp_header",
    "segment",
    "store",
    "sum16",
    "tcp_run",
    "update_checksum",
    "verify",
]

COMPILED: bool
"""Whether the functions below are the compiled ones."""

try:
    from aionetflow._fast import (
        checksum,
        equal,
        forward,
        gather,
        get16,
        get32,
        part,
        pseudo_sum,
        put,
        put16,
        put32,
        put_ipv4_header,
        put_ipv6_header,
        put_tcp_header,
        segment,
        store,
        sum16,
        tcp_run,
        update_checksum,
        verify,
    )

    COMPILED = True
except ModuleNotFoundError:
    # Not ImportError: an extension that is there but does not load must not go unseen.
    from aionetflow._slow import (
        checksum,
        equal,
        forward,
        gather,
        get16,
        get32,
        part,
        pseudo_sum,
        put,
        put16,
        put32,
        put_ipv4_header,
        put_ipv6_header,
        put_tcp_header,
        segment,
        store,
        sum16,
        tcp_run,
        update_checksum,
        verify,
    )

    COMPILED = False
