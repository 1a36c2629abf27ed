"""Counters of one host, under the names of Linux's SNMP and TcpExt tables (/proc/net/snmp, /proc/net/netstat)."""

from aionetflow.widths import u64


class Counters:
    """A group of counters: attributes that only grow."""

    def as_dict(self) -> dict[str, int]:
        """All counters of the group, by name."""
        return {name: getattr(self, name) for name in dir(self) if name[0].isupper()}


class IpStats(Counters):
    """Ip: what the IP layer saw and did."""

    def __init__(self) -> None:
        self.InReceives: u64 = 0
        self.InHdrErrors: u64 = 0
        self.InAddrErrors: u64 = 0
        self.ForwDatagrams: u64 = 0
        self.InUnknownProtos: u64 = 0
        self.InDiscards: u64 = 0
        self.InDelivers: u64 = 0
        self.OutRequests: u64 = 0
        self.OutNoRoutes: u64 = 0
        self.InMcastPkts: u64 = 0
        self.ReasmTimeout: u64 = 0
        self.ReasmReqds: u64 = 0
        self.ReasmOKs: u64 = 0
        self.ReasmFails: u64 = 0
        self.ReasmOverlaps: u64 = 0
        self.FragOKs: u64 = 0
        self.FragFails: u64 = 0
        self.FragCreates: u64 = 0


class Ip6Stats(Counters):
    """Ip6: what the IPv6 layer saw and did."""

    def __init__(self) -> None:
        self.InReceives: u64 = 0
        self.InHdrErrors: u64 = 0
        self.InTooBigErrors: u64 = 0
        self.InNoRoutes: u64 = 0
        self.InAddrErrors: u64 = 0
        self.InUnknownProtos: u64 = 0
        self.InTruncatedPkts: u64 = 0
        self.InDiscards: u64 = 0
        self.InDelivers: u64 = 0
        self.OutForwDatagrams: u64 = 0
        self.OutRequests: u64 = 0
        self.InMcastPkts: u64 = 0
        self.ReasmTimeout: u64 = 0
        self.ReasmReqds: u64 = 0
        self.ReasmOKs: u64 = 0
        self.ReasmFails: u64 = 0
        self.ReasmOverlaps: u64 = 0
        self.FragOKs: u64 = 0
        self.FragFails: u64 = 0
        self.FragCreates: u64 = 0


class IcmpStats(Counters):
    """Icmp: messages in and out."""

    def __init__(self) -> None:
        self.InMsgs: u64 = 0
        self.InErrors: u64 = 0
        self.InCsumErrors: u64 = 0
        self.InDestUnreachs: u64 = 0
        self.InTimeExcds: u64 = 0
        self.InParmProbs: u64 = 0
        self.InSrcQuenchs: u64 = 0
        self.InRedirects: u64 = 0
        self.InEchos: u64 = 0
        self.InEchoReps: u64 = 0
        self.InTimestamps: u64 = 0
        self.InTimestampReps: u64 = 0
        self.OutMsgs: u64 = 0
        self.OutErrors: u64 = 0
        self.OutRateLimitGlobal: u64 = 0
        self.OutRateLimitHost: u64 = 0
        self.OutDestUnreachs: u64 = 0
        self.OutTimeExcds: u64 = 0
        self.OutParmProbs: u64 = 0
        self.OutRedirects: u64 = 0
        self.OutEchos: u64 = 0
        self.OutEchoReps: u64 = 0
        self.OutTimestampReps: u64 = 0


class Icmp6Stats(Counters):
    """Icmp6: messages in and out."""

    def __init__(self) -> None:
        self.InMsgs: u64 = 0
        self.InErrors: u64 = 0
        self.InCsumErrors: u64 = 0
        self.OutMsgs: u64 = 0
        self.OutErrors: u64 = 0
        self.OutRateLimitHost: u64 = 0
        self.InDestUnreachs: u64 = 0
        self.InPktTooBigs: u64 = 0
        self.InTimeExcds: u64 = 0
        self.InParmProblems: u64 = 0
        self.InEchos: u64 = 0
        self.InEchoReplies: u64 = 0
        self.InRouterSolicits: u64 = 0
        self.InRouterAdvertisements: u64 = 0
        self.InNeighborSolicits: u64 = 0
        self.InNeighborAdvertisements: u64 = 0
        self.InRedirects: u64 = 0
        self.OutDestUnreachs: u64 = 0
        self.OutPktTooBigs: u64 = 0
        self.OutTimeExcds: u64 = 0
        self.OutParmProblems: u64 = 0
        self.OutEchos: u64 = 0
        self.OutEchoReplies: u64 = 0
        self.OutRouterSolicits: u64 = 0
        self.OutRouterAdvertisements: u64 = 0
        self.OutNeighborSolicits: u64 = 0
        self.OutNeighborAdvertisements: u64 = 0
        self.OutRedirects: u64 = 0


class UdpStats(Counters):
    """Udp and Udp6: datagrams in and out."""

    def __init__(self) -> None:
        self.InDatagrams: u64 = 0
        self.NoPorts: u64 = 0
        self.InErrors: u64 = 0
        self.OutDatagrams: u64 = 0
        self.RcvbufErrors: u64 = 0
        self.InCsumErrors: u64 = 0


class TcpStats(Counters):
    """Tcp and TcpExt: segments, connections, and what went wrong with them."""

    def __init__(self) -> None:
        """All at zero. The list is better whole."""
        self.ActiveOpens: u64 = 0
        self.PassiveOpens: u64 = 0
        self.AttemptFails: u64 = 0
        self.EstabResets: u64 = 0
        self.InSegs: u64 = 0
        self.OutSegs: u64 = 0
        self.RetransSegs: u64 = 0
        self.InErrs: u64 = 0
        self.OutRsts: u64 = 0
        self.InCsumErrors: u64 = 0
        self.ListenOverflows: u64 = 0
        self.ListenDrops: u64 = 0
        self.TCPTimeouts: u64 = 0
        self.TCPFastRetrans: u64 = 0
        self.TCPSlowStartRetrans: u64 = 0
        self.TCPLostRetransmit: u64 = 0
        self.TCPSackRecovery: u64 = 0
        self.TCPRenoRecovery: u64 = 0
        self.TCPSackRecoveryFail: u64 = 0
        self.TCPRenoRecoveryFail: u64 = 0
        self.TCPSackFailures: u64 = 0
        self.TCPRenoFailures: u64 = 0
        self.TCPLossFailures: u64 = 0
        self.TCPLossProbes: u64 = 0
        self.TCPLossProbeRecovery: u64 = 0
        self.TCPSpuriousRTOs: u64 = 0
        self.TCPFullUndo: u64 = 0
        self.TCPPartialUndo: u64 = 0
        self.TCPDSACKUndo: u64 = 0
        self.TCPLossUndo: u64 = 0
        self.TCPSACKReneging: u64 = 0
        self.TCPSACKReorder: u64 = 0
        self.TCPRenoReorder: u64 = 0
        self.TCPTSReorder: u64 = 0
        self.TCPSACKDiscard: u64 = 0
        self.TCPDSACKRecv: u64 = 0
        self.TCPDSACKOfoRecv: u64 = 0
        self.TCPDSACKOldSent: u64 = 0
        self.TCPDSACKOfoSent: u64 = 0
        self.PAWSEstab: u64 = 0
        self.PAWSActive: u64 = 0
        self.TCPOFOQueue: u64 = 0
        self.TCPRcvQDrop: u64 = 0
        self.TCPAbortOnData: u64 = 0
        self.TCPAbortOnClose: u64 = 0
        self.TCPAbortOnTimeout: u64 = 0
        self.TCPChallengeACK: u64 = 0
        self.TCPReqQFullDrop: u64 = 0
        self.DelayedACKs: u64 = 0
        self.TCPACKSkippedSeq: u64 = 0
        self.TCPTimeWaitOverflow: u64 = 0


class Stats:
    """All counters of one host.

    >>> stats = Stats()
    >>> stats.tcp.RetransSegs, stats.as_dict()["Udp"]["NoPorts"]
    (0, 0)
    """

    def __init__(self) -> None:
        self.ip = IpStats()
        self.icmp = IcmpStats()
        self.udp = UdpStats()
        self.ip6 = Ip6Stats()
        self.icmp6 = Icmp6Stats()
        self.udp6 = UdpStats()
        self.tcp = TcpStats()

    def as_dict(self) -> dict[str, dict[str, int]]:
        """The counters by group and name, as a plain dictionary."""
        groups: dict[str, Counters] = {
            "Ip": self.ip, "Icmp": self.icmp, "Udp": self.udp, "Tcp": self.tcp,
            "Ip6": self.ip6, "Icmp6": self.icmp6, "Udp6": self.udp6,
        }  # fmt: skip
        return {name: group.as_dict() for name, group in groups.items()}
