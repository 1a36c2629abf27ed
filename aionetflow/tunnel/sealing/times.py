"""How long keys last, and what is waited for: WireGuard's times, in ns.

See Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", 6.1 and 6.2.
"""

from aionetflow.config import MILLISECOND, SECOND

REKEY_AFTER_TIME = 120 * SECOND
REJECT_AFTER_TIME = 180 * SECOND
REKEY_TIMEOUT = 5 * SECOND
REKEY_ATTEMPT_TIME = 90 * SECOND
KEEPALIVE_TIMEOUT = 10 * SECOND
# Linux drivers/net/wireguard/messages.h REKEY_TIMEOUT_JITTER_MAX_JIFFIES: two ends that begin together do not go on so.
JITTER = 333 * MILLISECOND
# 6.2: who only receives begins a handshake so long before its key expires.
REKEY_WHEN_RECEIVING = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT

# AES-GCM's limit for messages of up to 2^16 octets (RFC 9001 B.1.1). WireGuard's is 2^60: its cipher is another.
REJECT_AFTER_MESSAGES = 2**23
REKEY_AFTER_MESSAGES = 2**22
