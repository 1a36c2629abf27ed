"""Programs unchanged: the network calls of any event loop, and the socket module, on a virtual network.

attach.py gives a loop the calls of calls.py and sock.py, and takes them back. They make transports (stream.py and
datagram.py on transport.py) and servers (server.py, serving.py) over sockets (socket.py, with data.py and
arguments.py), which are objects before a description (description.py), who waits for it, and the core socket below.
Beside them: resolve.py (names), adopt.py (sockets of the kernel that become ours), threads.py (calls from other
threads), mirror.py (a descriptor for poll), bridge.py (the kernel's loopback), patch.py (the socket module).
"""
