"""Looking at a network from a host of it: ping and traceroute, as functions."""

from aionetflow.inspect.ping import Ping, Reply, ping
from aionetflow.inspect.traceroute import Hop, Probe, Trace, traceroute

__all__ = ["Hop", "Ping", "Probe", "Reply", "Trace", "ping", "traceroute"]
