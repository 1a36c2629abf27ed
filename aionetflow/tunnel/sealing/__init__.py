"""What a key does: handshakes, the keys that come of them, and datagrams sealed so that only the peer can read them."""
