"""pytest tests on a network of their own: what pytest_aionetflow.py loads when a test asks for one.

plugin     the hooks of pytest
settings   what the marker says
run        one test: its loop, its network, and when it is on it
recording  a network that remembers its last frames
guard      attempts to reach the real network
ports      free ports, of the virtual host
report     what is said of a test that failed
"""

from aionetflow.testing.guard import RealNetworkError

__all__ = ["RealNetworkError"]
