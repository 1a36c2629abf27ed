"""Congestion control: how much may be in flight. base.py has the hooks, the other files one algorithm each."""
