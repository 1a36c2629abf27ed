"""Counters of one host, under the names of Linux's SNMP and TcpExt tables (/proc/net/snmp, netstat and snmp6).

All of Linux's names are there, also of what cannot happen here; docs/counters.md says who counts which.
"""

from aionetflow.widths import u64


class Counters:
    """A group of counters: attributes that only grow."""

    def as_dict(self) -> dict[str, int]:
        """All counters of the group, by name."""
        return {name: getattr(self, name) for name in dir(self) if name[0].isupper()}

    def part(self, names: tuple[str, ...]) -> dict[str, int]:
        """Those of the names."""
        return {name: getattr(self, name) for name in names}


class IpStats(Counters):
    """Ip and IpExt: what the IPv4 layer saw and did."""

    def __init__(self) -> None:
        self.InReceives: u64 = 0
        self.InHdrErrors: u64 = 0
        self.InAddrErrors: u64 = 0
        self.ForwDatagrams: u64 = 0
        self.InUnknownProtos: u64 = 0
        self.InDiscards: u64 = 0
        self.InDelivers: u64 = 0
        self.OutRequests: u64 = 0
        self.OutDiscards: u64 = 0
        self.OutNoRoutes: u64 = 0
        self.ReasmTimeout: u64 = 0
        self.ReasmReqds: u64 = 0
        self.ReasmOKs: u64 = 0
        self.ReasmFails: u64 = 0
        self.FragOKs: u64 = 0
        self.FragFails: u64 = 0
        self.FragCreates: u64 = 0
        self.OutTransmits: u64 = 0
        self.InNoRoutes: u64 = 0
        self.InTruncatedPkts: u64 = 0
        self.InMcastPkts: u64 = 0
        self.OutMcastPkts: u64 = 0
        self.InBcastPkts: u64 = 0
        self.OutBcastPkts: u64 = 0
        self.InOctets: u64 = 0
        self.OutOctets: u64 = 0
        self.InMcastOctets: u64 = 0
        self.OutMcastOctets: u64 = 0
        self.InBcastOctets: u64 = 0
        self.OutBcastOctets: u64 = 0
        self.InCsumErrors: u64 = 0
        self.InNoECTPkts: u64 = 0
        self.InECT1Pkts: u64 = 0
        self.InECT0Pkts: u64 = 0
        self.InCEPkts: u64 = 0
        self.ReasmOverlaps: u64 = 0


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
        self.InAddrMasks: u64 = 0
        self.InAddrMaskReps: u64 = 0
        self.OutMsgs: u64 = 0
        self.OutErrors: u64 = 0
        self.OutRateLimitGlobal: u64 = 0
        self.OutRateLimitHost: u64 = 0
        self.OutDestUnreachs: u64 = 0
        self.OutTimeExcds: u64 = 0
        self.OutParmProbs: u64 = 0
        self.OutSrcQuenchs: u64 = 0
        self.OutRedirects: u64 = 0
        self.OutEchos: u64 = 0
        self.OutEchoReps: u64 = 0
        self.OutTimestamps: u64 = 0
        self.OutTimestampReps: u64 = 0
        self.OutAddrMasks: u64 = 0
        self.OutAddrMaskReps: u64 = 0


class UdpStats(Counters):
    """Udp and Udp6: datagrams in and out."""

    def __init__(self) -> None:
        self.InDatagrams: u64 = 0
        self.NoPorts: u64 = 0
        self.InErrors: u64 = 0
        self.OutDatagrams: u64 = 0
        self.RcvbufErrors: u64 = 0
        self.SndbufErrors: u64 = 0
        self.InCsumErrors: u64 = 0
        self.IgnoredMulti: u64 = 0
        self.MemErrors: u64 = 0


class TcpStats(Counters):
    """Tcp and TcpExt: segments, connections, and what went wrong with them. CurrEstab goes down as well."""

    def __init__(self) -> None:
        """All at 0; one line for each, which is better whole."""
        self.ActiveOpens: u64 = 0
        self.PassiveOpens: u64 = 0
        self.AttemptFails: u64 = 0
        self.EstabResets: u64 = 0
        self.CurrEstab: u64 = 0
        self.InSegs: u64 = 0
        self.OutSegs: u64 = 0
        self.RetransSegs: u64 = 0
        self.InErrs: u64 = 0
        self.OutRsts: u64 = 0
        self.InCsumErrors: u64 = 0
        self.SyncookiesSent: u64 = 0
        self.SyncookiesRecv: u64 = 0
        self.SyncookiesFailed: u64 = 0
        self.EmbryonicRsts: u64 = 0
        self.PruneCalled: u64 = 0
        self.RcvPruned: u64 = 0
        self.OfoPruned: u64 = 0
        self.OutOfWindowIcmps: u64 = 0
        self.LockDroppedIcmps: u64 = 0
        self.ArpFilter: u64 = 0
        self.TW: u64 = 0
        self.TWRecycled: u64 = 0
        self.TWKilled: u64 = 0
        self.PAWSActive: u64 = 0
        self.PAWSEstab: u64 = 0
        self.BeyondWindow: u64 = 0
        self.TSEcrRejected: u64 = 0
        self.PAWSOldAck: u64 = 0
        self.PAWSTimewait: u64 = 0
        self.DelayedACKs: u64 = 0
        self.DelayedACKLocked: u64 = 0
        self.DelayedACKLost: u64 = 0
        self.ListenOverflows: u64 = 0
        self.ListenDrops: u64 = 0
        self.TCPHPHits: u64 = 0
        self.TCPPureAcks: u64 = 0
        self.TCPHPAcks: u64 = 0
        self.TCPRenoRecovery: u64 = 0
        self.TCPSackRecovery: u64 = 0
        self.TCPSACKReneging: u64 = 0
        self.TCPSACKReorder: u64 = 0
        self.TCPRenoReorder: u64 = 0
        self.TCPTSReorder: u64 = 0
        self.TCPFullUndo: u64 = 0
        self.TCPPartialUndo: u64 = 0
        self.TCPDSACKUndo: u64 = 0
        self.TCPLossUndo: u64 = 0
        self.TCPLostRetransmit: u64 = 0
        self.TCPRenoFailures: u64 = 0
        self.TCPSackFailures: u64 = 0
        self.TCPLossFailures: u64 = 0
        self.TCPFastRetrans: u64 = 0
        self.TCPSlowStartRetrans: u64 = 0
        self.TCPTimeouts: u64 = 0
        self.TCPLossProbes: u64 = 0
        self.TCPLossProbeRecovery: u64 = 0
        self.TCPRenoRecoveryFail: u64 = 0
        self.TCPSackRecoveryFail: u64 = 0
        self.TCPRcvCollapsed: u64 = 0
        self.TCPBacklogCoalesce: u64 = 0
        self.TCPDSACKOldSent: u64 = 0
        self.TCPDSACKOfoSent: u64 = 0
        self.TCPDSACKRecv: u64 = 0
        self.TCPDSACKOfoRecv: u64 = 0
        self.TCPAbortOnData: u64 = 0
        self.TCPAbortOnClose: u64 = 0
        self.TCPAbortOnMemory: u64 = 0
        self.TCPAbortOnTimeout: u64 = 0
        self.TCPAbortOnLinger: u64 = 0
        self.TCPAbortFailed: u64 = 0
        self.TCPMemoryPressures: u64 = 0
        self.TCPMemoryPressuresChrono: u64 = 0
        self.TCPSACKDiscard: u64 = 0
        self.TCPDSACKIgnoredOld: u64 = 0
        self.TCPDSACKIgnoredNoUndo: u64 = 0
        self.TCPSpuriousRTOs: u64 = 0
        self.TCPMD5NotFound: u64 = 0
        self.TCPMD5Unexpected: u64 = 0
        self.TCPMD5Failure: u64 = 0
        self.TCPSackShifted: u64 = 0
        self.TCPSackMerged: u64 = 0
        self.TCPSackShiftFallback: u64 = 0
        self.TCPBacklogDrop: u64 = 0
        self.PFMemallocDrop: u64 = 0
        self.TCPMinTTLDrop: u64 = 0
        self.TCPDeferAcceptDrop: u64 = 0
        self.IPReversePathFilter: u64 = 0
        self.TCPTimeWaitOverflow: u64 = 0
        self.TCPReqQFullDoCookies: u64 = 0
        self.TCPReqQFullDrop: u64 = 0
        self.TCPRetransFail: u64 = 0
        self.TCPRcvCoalesce: u64 = 0
        self.TCPOFOQueue: u64 = 0
        self.TCPOFODrop: u64 = 0
        self.TCPOFOMerge: u64 = 0
        self.TCPChallengeACK: u64 = 0
        self.TCPSYNChallenge: u64 = 0
        self.TCPFastOpenActive: u64 = 0
        self.TCPFastOpenActiveFail: u64 = 0
        self.TCPFastOpenPassive: u64 = 0
        self.TCPFastOpenPassiveFail: u64 = 0
        self.TCPFastOpenListenOverflow: u64 = 0
        self.TCPFastOpenCookieReqd: u64 = 0
        self.TCPFastOpenBlackhole: u64 = 0
        self.TCPSpuriousRtxHostQueues: u64 = 0
        self.BusyPollRxPackets: u64 = 0
        self.TCPAutoCorking: u64 = 0
        self.TCPFromZeroWindowAdv: u64 = 0
        self.TCPToZeroWindowAdv: u64 = 0
        self.TCPWantZeroWindowAdv: u64 = 0
        self.TCPSynRetrans: u64 = 0
        self.TCPOrigDataSent: u64 = 0
        self.TCPHystartTrainDetect: u64 = 0
        self.TCPHystartTrainCwnd: u64 = 0
        self.TCPHystartDelayDetect: u64 = 0
        self.TCPHystartDelayCwnd: u64 = 0
        self.TCPACKSkippedSynRecv: u64 = 0
        self.TCPACKSkippedPAWS: u64 = 0
        self.TCPACKSkippedSeq: u64 = 0
        self.TCPACKSkippedFinWait2: u64 = 0
        self.TCPACKSkippedTimeWait: u64 = 0
        self.TCPACKSkippedChallenge: u64 = 0
        self.TCPWinProbe: u64 = 0
        self.TCPKeepAlive: u64 = 0
        self.TCPMTUPFail: u64 = 0
        self.TCPMTUPSuccess: u64 = 0
        self.TCPDelivered: u64 = 0
        self.TCPDeliveredCE: u64 = 0
        self.TCPAckCompressed: u64 = 0
        self.TCPZeroWindowDrop: u64 = 0
        self.TCPRcvQDrop: u64 = 0
        self.TCPWqueueTooBig: u64 = 0
        self.TCPFastOpenPassiveAltKey: u64 = 0
        self.TcpTimeoutRehash: u64 = 0
        self.TcpDuplicateDataRehash: u64 = 0
        self.TCPDSACKRecvSegs: u64 = 0
        self.TCPDSACKIgnoredDubious: u64 = 0
        self.TCPMigrateReqSuccess: u64 = 0
        self.TCPMigrateReqFailure: u64 = 0
        self.TCPPLBRehash: u64 = 0
        self.TCPAORequired: u64 = 0
        self.TCPAOBad: u64 = 0
        self.TCPAOKeyNotFound: u64 = 0
        self.TCPAOGood: u64 = 0
        self.TCPAODroppedIcmps: u64 = 0


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
        self.OutDiscards: u64 = 0
        self.OutNoRoutes: u64 = 0
        self.ReasmTimeout: u64 = 0
        self.ReasmReqds: u64 = 0
        self.ReasmOKs: u64 = 0
        self.ReasmFails: u64 = 0
        self.FragOKs: u64 = 0
        self.FragFails: u64 = 0
        self.FragCreates: u64 = 0
        self.InMcastPkts: u64 = 0
        self.OutMcastPkts: u64 = 0
        self.InOctets: u64 = 0
        self.OutOctets: u64 = 0
        self.InMcastOctets: u64 = 0
        self.OutMcastOctets: u64 = 0
        self.InBcastOctets: u64 = 0
        self.OutBcastOctets: u64 = 0
        self.InNoECTPkts: u64 = 0
        self.InECT1Pkts: u64 = 0
        self.InECT0Pkts: u64 = 0
        self.InCEPkts: u64 = 0
        self.OutTransmits: u64 = 0


class Icmp6Stats(Counters):
    """Icmp6: messages in and out."""

    def __init__(self) -> None:
        self.InMsgs: u64 = 0
        self.InErrors: u64 = 0
        self.OutMsgs: u64 = 0
        self.OutErrors: u64 = 0
        self.InCsumErrors: u64 = 0
        self.OutRateLimitHost: u64 = 0
        self.InDestUnreachs: u64 = 0
        self.InPktTooBigs: u64 = 0
        self.InTimeExcds: u64 = 0
        self.InParmProblems: u64 = 0
        self.InEchos: u64 = 0
        self.InEchoReplies: u64 = 0
        self.InGroupMembQueries: u64 = 0
        self.InGroupMembResponses: u64 = 0
        self.InGroupMembReductions: u64 = 0
        self.InRouterSolicits: u64 = 0
        self.InRouterAdvertisements: u64 = 0
        self.InNeighborSolicits: u64 = 0
        self.InNeighborAdvertisements: u64 = 0
        self.InRedirects: u64 = 0
        self.InMLDv2Reports: u64 = 0
        self.OutDestUnreachs: u64 = 0
        self.OutPktTooBigs: u64 = 0
        self.OutTimeExcds: u64 = 0
        self.OutParmProblems: u64 = 0
        self.OutEchos: u64 = 0
        self.OutEchoReplies: u64 = 0
        self.OutGroupMembQueries: u64 = 0
        self.OutGroupMembResponses: u64 = 0
        self.OutGroupMembReductions: u64 = 0
        self.OutRouterSolicits: u64 = 0
        self.OutRouterAdvertisements: u64 = 0
        self.OutNeighborSolicits: u64 = 0
        self.OutNeighborAdvertisements: u64 = 0
        self.OutRedirects: u64 = 0
        self.OutMLDv2Reports: u64 = 0


# Which of TcpStats and IpStats stand in Linux's tables Tcp and IpExt; the rest is in TcpExt and Ip.
TCP = (
    "ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "CurrEstab", "InSegs", "OutSegs", "RetransSegs",
    "InErrs", "OutRsts", "InCsumErrors",
)  # fmt: skip
IP_EXT = (
    "InNoRoutes", "InTruncatedPkts", "InMcastPkts", "OutMcastPkts", "InBcastPkts", "OutBcastPkts", "InOctets",
    "OutOctets", "InMcastOctets", "OutMcastOctets", "InBcastOctets", "OutBcastOctets", "InCsumErrors",
    "InNoECTPkts", "InECT1Pkts", "InECT0Pkts", "InCEPkts", "ReasmOverlaps",
)  # fmt: skip


class Stats:
    """All counters of one host.

    >>> stats = Stats()
    >>> stats.tcp.RetransSegs, stats.as_dict()["Udp"]["NoPorts"], stats.nstat()["TcpExtListenDrops"]
    (0, 0, 0)
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
        ip, tcp = self.ip.as_dict(), self.tcp.as_dict()
        return {
            "Ip": {name: value for name, value in ip.items() if name not in IP_EXT},
            "Icmp": self.icmp.as_dict(),
            "Tcp": self.tcp.part(TCP),
            "Udp": self.udp.as_dict(),
            "Ip6": self.ip6.as_dict(),
            "Icmp6": self.icmp6.as_dict(),
            "Udp6": self.udp6.as_dict(),
            "TcpExt": {name: value for name, value in tcp.items() if name not in TCP},
            "IpExt": self.ip.part(IP_EXT),
        }

    def nstat(self, *, zeros: bool = True) -> dict[str, int]:
        """The counters in one dictionary, named as nstat(8) names them; zeros=False leaves out those that are 0.

        >>> stats = Stats()
        >>> stats.tcp.ListenDrops += 2
        >>> stats.nstat(zeros=False)
        {'TcpExtListenDrops': 2}
        """
        groups = self.as_dict().items()
        return {group + name: value for group, names in groups for name, value in names.items() if zeros or value}
