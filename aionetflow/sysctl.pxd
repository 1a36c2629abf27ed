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
    cdef public int tcp_retries2
    cdef public int tcp_orphan_retries
    cdef public int tcp_syn_linear_timeouts
    cdef public int tcp_keepalive_time
    cdef public int tcp_keepalive_intvl
    cdef public int tcp_keepalive_probes
    cdef public int64_t tcp_notsent_lowat
    cdef public int tcp_stdurg
    cdef public int tcp_fin_timeout
    cdef public int tcp_max_syn_backlog
    cdef public int tcp_abort_on_overflow
    cdef public int tcp_syncookies
    cdef public int tcp_tw_reuse
    cdef public int tcp_tw_reuse_delay
    cdef public int tcp_rfc1337
    cdef public int tcp_max_tw_buckets
    cdef public int tcp_challenge_ack_limit
    cdef public int tcp_invalid_ratelimit
    cdef public tuple tcp_rmem
    cdef public tuple tcp_wmem
    cdef public tuple ip_local_port_range
    cdef public str ip_local_reserved_ports
    cdef public int ip_autobind_reuse
    cdef public int ip_nonlocal_bind
    cdef public int somaxconn
    cdef public int rmem_default
    cdef public int wmem_default
    cdef public int rmem_max
    cdef public int wmem_max
    cdef dict _kept
    cdef dict _watchers
    cdef public str tcp_congestion_control
