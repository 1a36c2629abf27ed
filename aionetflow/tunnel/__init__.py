"""Links whose far end is another process: Ethernet frames in VXLAN (RFC 7348), over UDP sockets of the kernel's."""
