"""Where frames leave a host.

base     what a link is to its two ends: batches of frames go down, batches of frames come up
memory   a link between two ends in one process
channel  one direction of it: delay, rate, queue, and what is on its way
faults   what happens to a frame on its way, drawn from a seed
capture  frames into a pcapng file, with their fate
"""
