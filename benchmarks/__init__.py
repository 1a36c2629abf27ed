"""What a program pays for its network: ours beside the kernel's loopback, with stock asyncio and with uvloop.

    python -m benchmarks            a table, build/bench/latest.json and build/bench/latest.svg
    python -m benchmarks --list     the workloads and the contenders

workloads/     what is done: each workload once per style (coroutines, streams, protocols)
places.py      over what: the kernel's loopback, our loopback, a link between two hosts
contenders.py  who: a place, a style and an event loop
run.py         one run of one contender, in a process of its own
measure.py     the rounds: contenders interleaved, ratios within a round
report.py      the table and the JSON; plot.py the picture; machine.py what it was measured on

A new workload is an entry in workloads/, a new contender a line in contenders.py.
"""
