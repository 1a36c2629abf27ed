"""Congestion control: how much may be in flight. base.py has the hooks, the other files one algorithm each."""

from aionetflow.tcp.congestion import cubic, reno  # known by their names from here on
from aionetflow.tcp.congestion.base import CongestionControl, available, create, register

__all__ = ["CongestionControl", "available", "create", "cubic", "register", "reno"]
