"""UDP (RFC 768)."""
