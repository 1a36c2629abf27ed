"""The group memberships of both families of one host, with what speaks for them put in its place."""

from aionetflow.alarms import Alarms
from aionetflow.ip.icmpv6 import Icmpv6
from aionetflow.ip.igmp import PROTOCOL_IGMP, Igmp
from aionetflow.ip.mld import DONE_V1, QUERY, REPORT_V1, Mld
from aionetflow.ip.multicast import Memberships, Memberships6
from aionetflow.ip.v4 import IPv4
from aionetflow.ip.v6 import IPv6
from aionetflow.rng import Random


def make_memberships(
    ip: IPv4, ip6: IPv6, icmp6: Icmpv6, alarms: Alarms, random: Random
) -> dict[int, Memberships]:  # fmt: skip
    """Makes IGMP and MLD of a host; its memberships, by the octets of an address."""
    igmp, mld = Igmp(ip), Mld(ip6, ip.sysctl)
    ip.handlers[PROTOCOL_IGMP] = igmp
    for kind in (QUERY, REPORT_V1, DONE_V1):
        icmp6.handlers[kind] = mld
    igmp.memberships = four = Memberships(igmp, alarms, random, ip.sysctl.igmp_qrv)
    mld.memberships = six = Memberships6(mld, alarms, random, ip.sysctl.mld_qrv)
    return {4: four, 16: six}


def take_looped(ip: IPv4, ip6: IPv6, now: int) -> None:
    """Hears what this host has sent to groups that it is in."""
    looped, ip.looped = ip.looped, []
    for interface, frame in looped:
        ip.take_looped(interface, frame, now)
    looped, ip6.looped = ip6.looped, []
    for interface, frame in looped:
        ip6.take_looped(interface, frame, now)
