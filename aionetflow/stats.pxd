# widths of the counters, for the compiled build
from libc.stdint cimport uint64_t

cdef class Counters:
    pass

cdef class IpStats(Counters):
    cdef public uint64_t InReceives
    cdef public uint64_t InHdrErrors
    cdef public uint64_t InAddrErrors
    cdef public uint64_t ForwDatagrams
    cdef public uint64_t InUnknownProtos
    cdef public uint64_t InDiscards
    cdef public uint64_t InDelivers
    cdef public uint64_t OutRequests
    cdef public uint64_t OutNoRoutes
    cdef public uint64_t InMcastPkts
    cdef public uint64_t ReasmTimeout
    cdef public uint64_t ReasmReqds
    cdef public uint64_t ReasmOKs
    cdef public uint64_t ReasmFails
    cdef public uint64_t ReasmOverlaps
    cdef public uint64_t FragOKs
    cdef public uint64_t FragFails
    cdef public uint64_t FragCreates

cdef class Ip6Stats(Counters):
    cdef public uint64_t InReceives
    cdef public uint64_t InHdrErrors
    cdef public uint64_t InTooBigErrors
    cdef public uint64_t InNoRoutes
    cdef public uint64_t InAddrErrors
    cdef public uint64_t InUnknownProtos
    cdef public uint64_t InTruncatedPkts
    cdef public uint64_t InDiscards
    cdef public uint64_t InDelivers
    cdef public uint64_t OutForwDatagrams
    cdef public uint64_t OutRequests
    cdef public uint64_t InMcastPkts
    cdef public uint64_t ReasmTimeout
    cdef public uint64_t ReasmReqds
    cdef public uint64_t ReasmOKs
    cdef public uint64_t ReasmFails
    cdef public uint64_t ReasmOverlaps
    cdef public uint64_t FragOKs
    cdef public uint64_t FragFails
    cdef public uint64_t FragCreates

cdef class IcmpStats(Counters):
    cdef public uint64_t InMsgs
    cdef public uint64_t InErrors
    cdef public uint64_t InCsumErrors
    cdef public uint64_t InDestUnreachs
    cdef public uint64_t InTimeExcds
    cdef public uint64_t InParmProbs
    cdef public uint64_t InSrcQuenchs
    cdef public uint64_t InRedirects
    cdef public uint64_t InEchos
    cdef public uint64_t InEchoReps
    cdef public uint64_t InTimestamps
    cdef public uint64_t InTimestampReps
    cdef public uint64_t OutMsgs
    cdef public uint64_t OutErrors
    cdef public uint64_t OutRateLimitGlobal
    cdef public uint64_t OutRateLimitHost
    cdef public uint64_t OutDestUnreachs
    cdef public uint64_t OutTimeExcds
    cdef public uint64_t OutParmProbs
    cdef public uint64_t OutRedirects
    cdef public uint64_t OutEchos
    cdef public uint64_t OutEchoReps
    cdef public uint64_t OutTimestampReps

cdef class Icmp6Stats(Counters):
    cdef public uint64_t InMsgs
    cdef public uint64_t InErrors
    cdef public uint64_t InCsumErrors
    cdef public uint64_t OutMsgs
    cdef public uint64_t OutErrors
    cdef public uint64_t OutRateLimitHost
    cdef public uint64_t InDestUnreachs
    cdef public uint64_t InPktTooBigs
    cdef public uint64_t InTimeExcds
    cdef public uint64_t InParmProblems
    cdef public uint64_t InEchos
    cdef public uint64_t InEchoReplies
    cdef public uint64_t InRouterSolicits
    cdef public uint64_t InRouterAdvertisements
    cdef public uint64_t InNeighborSolicits
    cdef public uint64_t InNeighborAdvertisements
    cdef public uint64_t InRedirects
    cdef public uint64_t OutDestUnreachs
    cdef public uint64_t OutPktTooBigs
    cdef public uint64_t OutTimeExcds
    cdef public uint64_t OutParmProblems
    cdef public uint64_t OutEchos
    cdef public uint64_t OutEchoReplies
    cdef public uint64_t OutRouterSolicits
    cdef public uint64_t OutRouterAdvertisements
    cdef public uint64_t OutNeighborSolicits
    cdef public uint64_t OutNeighborAdvertisements
    cdef public uint64_t OutRedirects

cdef class UdpStats(Counters):
    cdef public uint64_t InDatagrams
    cdef public uint64_t NoPorts
    cdef public uint64_t InErrors
    cdef public uint64_t OutDatagrams
    cdef public uint64_t RcvbufErrors
    cdef public uint64_t InCsumErrors

cdef class TcpStats(Counters):
    cdef public uint64_t ActiveOpens
    cdef public uint64_t PassiveOpens
    cdef public uint64_t AttemptFails
    cdef public uint64_t EstabResets
    cdef public uint64_t InSegs
    cdef public uint64_t OutSegs
    cdef public uint64_t RetransSegs
    cdef public uint64_t InErrs
    cdef public uint64_t OutRsts
    cdef public uint64_t InCsumErrors
    cdef public uint64_t ListenOverflows
    cdef public uint64_t ListenDrops
    cdef public uint64_t TCPTimeouts
    cdef public uint64_t TCPFastRetrans
    cdef public uint64_t TCPSlowStartRetrans
    cdef public uint64_t TCPLostRetransmit
    cdef public uint64_t TCPSackRecovery
    cdef public uint64_t TCPRenoRecovery
    cdef public uint64_t TCPSackRecoveryFail
    cdef public uint64_t TCPRenoRecoveryFail
    cdef public uint64_t TCPSackFailures
    cdef public uint64_t TCPRenoFailures
    cdef public uint64_t TCPLossFailures
    cdef public uint64_t TCPLossProbes
    cdef public uint64_t TCPLossProbeRecovery
    cdef public uint64_t TCPSpuriousRTOs
    cdef public uint64_t TCPFullUndo
    cdef public uint64_t TCPPartialUndo
    cdef public uint64_t TCPDSACKUndo
    cdef public uint64_t TCPLossUndo
    cdef public uint64_t TCPSACKReneging
    cdef public uint64_t TCPSACKReorder
    cdef public uint64_t TCPRenoReorder
    cdef public uint64_t TCPTSReorder
    cdef public uint64_t TCPSACKDiscard
    cdef public uint64_t TCPDSACKRecv
    cdef public uint64_t TCPDSACKOfoRecv
    cdef public uint64_t TCPDSACKOldSent
    cdef public uint64_t TCPDSACKOfoSent
    cdef public uint64_t PAWSEstab
    cdef public uint64_t PAWSActive
    cdef public uint64_t TCPOFOQueue
    cdef public uint64_t TCPRcvQDrop
    cdef public uint64_t TCPAbortOnData
    cdef public uint64_t TCPAbortOnClose
    cdef public uint64_t TCPAbortOnTimeout
    cdef public uint64_t TCPChallengeACK
    cdef public uint64_t TCPReqQFullDrop
    cdef public uint64_t DelayedACKs
    cdef public uint64_t TCPACKSkippedSeq
    cdef public uint64_t TCPTimeWaitOverflow

cdef class Stats:
    cdef readonly IpStats ip
    cdef readonly IcmpStats icmp
    cdef readonly UdpStats udp
    cdef readonly Ip6Stats ip6
    cdef readonly Icmp6Stats icmp6
    cdef readonly UdpStats udp6
    cdef readonly TcpStats tcp
