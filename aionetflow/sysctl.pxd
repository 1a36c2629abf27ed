from libc.stdint cimport int64_t

cdef class Sysctl:
    cdef public int tcp_timestamps
    cdef public int tcp_sack
    cdef public int tcp_dsack
    cdef public int tcp_window_scaling
    cdef public int tcp_ecn
    cdef public int tcp_recovery
    cdef public int tcp_early_retrans
    cdef public int tcp_frto
    cdef public int tcp_reordering
    cdef public int tcp_max_reordering
    cdef public int tcp_slow_start_after_idle
    cdef public int tcp_syn_retries
    cdef public int tcp_synack_retries
    cdef public int tcp_retries1
    cdef public int tcp_retries2
    cdef public int tcp_orphan_retries
    cdef public int tcp_syn_linear_timeouts
    cdef public int tcp_fin_timeout
    cdef public int tcp_keepalive_time
    cdef public int tcp_keepalive_intvl
    cdef public int tcp_keepalive_probes
    cdef public int64_t tcp_notsent_lowat
    cdef public int tcp_stdurg
    cdef public str tcp_congestion_control
