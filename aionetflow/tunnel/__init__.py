"""Links whose far end is another process: frames in UDP datagrams, sealed if there is a key."""
