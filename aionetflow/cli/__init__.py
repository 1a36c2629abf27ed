"""The command line.

main      arguments, exit status; what ends a run from outside
demo      the network of the demo, and an HTTP/1.1 client and server on it
story     what happens there, told line by line
frames    what is read in a frame to be told
output    lines on a terminal, with colour and a progress bar, or into a pipe
reach     ping and traceroute
host      a host in a process of its own: its arguments, its tunnel, what ends it
site      where the host's commands run
web       of these serve and get
netcat    nc
bench     bench
scenario  the network that they run on: the demo's, or what a file builds
"""
