"""The link layer of a host: frames, interfaces, and who has which MAC address (RFC 894, RFC 826)."""
