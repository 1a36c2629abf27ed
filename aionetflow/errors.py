"""The only place that makes OSErrors: Linux's errno, Linux's text, Python's subclass."""

import errno
import os

# RFC 1122 3.2.2.1 names the codes; the errno and whether it ends a connection are Linux's icmp_err_convert.
UNREACHABLE_CODES = (
    (errno.ENETUNREACH, False),  # 0 net unreachable
    (errno.EHOSTUNREACH, False),  # 1 host unreachable
    (errno.ENOPROTOOPT, True),  # 2 protocol unreachable
    (errno.ECONNREFUSED, True),  # 3 port unreachable
    (errno.EMSGSIZE, True),  # 4 fragmentation needed and DF set (Linux __udp4_lib_err; TCP sends smaller)
    (errno.EOPNOTSUPP, False),  # 5 source route failed
    (errno.ENETUNREACH, True),  # 6 destination network unknown
    (errno.EHOSTDOWN, True),  # 7 destination host unknown
    (errno.ENONET, True),  # 8 source host isolated
    (errno.ENETUNREACH, True),  # 9 network administratively prohibited
    (errno.EHOSTUNREACH, True),  # 10 host administratively prohibited
    (errno.ENETUNREACH, False),  # 11 network unreachable for this type of service
    (errno.EHOSTUNREACH, False),  # 12 host unreachable for this type of service
    (errno.EHOSTUNREACH, True),  # 13 communication administratively prohibited
    (errno.EHOSTUNREACH, True),  # 14 host precedence violation
    (errno.EHOSTUNREACH, True),  # 15 precedence cutoff in effect
)

# RFC 4443 3.1 names the codes; errno and whether it ends a connection are Linux's icmpv6_err_convert.
UNREACHABLE6_CODES = (
    (errno.ENETUNREACH, False),  # 0 no route to destination
    (errno.EACCES, True),  # 1 administratively prohibited
    (errno.EHOSTUNREACH, False),  # 2 beyond scope of source address
    (errno.EHOSTUNREACH, False),  # 3 address unreachable
    (errno.ECONNREFUSED, True),  # 4 port unreachable
    (errno.EACCES, True),  # 5 source address failed a policy
    (errno.EACCES, True),  # 6 reject route to destination
)


def os_error(code: int, detail: str = "") -> OSError:
    """The exception for an errno, of the subclass that Python gives it.

    >>> os_error(errno.ECONNREFUSED)
    ConnectionRefusedError(111, 'Connection refused')
    >>> os_error(errno.EADDRINUSE, "10.0.0.1:80")
    OSError(98, 'Address already in use: 10.0.0.1:80')
    """
    text = os.strerror(code)
    return OSError(code, f"{text}: {detail}" if detail else text)
