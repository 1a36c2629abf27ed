"""What the application holds: sockets, non-blocking, with BSD's calls and Linux's errors.

table.py finds the socket of an arriving segment or datagram; stream.py (with stream_data.py), listener.py and
datagram.py are the sockets, base.py and data.py what they have in common; options.py has the options' numbers and what
they change.
"""
