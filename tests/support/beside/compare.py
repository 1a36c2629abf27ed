"""Where two logs of one script differ: field by field, and time by time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from support.beside.talk import Entry

# s, and of the time. A kernel's timers are in ticks of up to 4 ms (HZ=250), coarser when they are long, and the short
# ones of TCP are two ticks longer than what they are made of (TCP_TIMEOUT_MIN).
SLACK, SHARE = 0.020, 0.10


def differences(kernel: list[Entry], ours: list[Entry], ignored: frozenset[str] = frozenset()) -> list[str]:
    """One line for each entry that differs; none if the logs agree."""
    return [
        f"{number}: {found}"
        for number, (theirs, mine) in enumerate(zip_longest(kernel, ours), 1)
        for found in _differ(theirs, mine, ignored)
    ]


def _differ(kernel: Entry | None, ours: Entry | None, ignored: frozenset[str]) -> Iterator[str]:
    if kernel is None:
        yield f"only ours: {ours}"
    elif ours is None:
        yield f"only the kernel: {kernel}"
    elif (kernel.what, kernel.name) != (ours.what, ours.name):
        yield f"kernel: {kernel.what} {kernel.name}, ours: {ours.what} {ours.name}"
    else:
        for key in [*kernel.fields, *(key for key in ours.fields if key not in kernel.fields)]:
            theirs, mine = kernel.fields.get(key), ours.fields.get(key)
            if key not in ignored and theirs != mine:
                yield f"{key} is {theirs!r} of the kernel's, {mine!r} of ours"
        if "time" not in ignored and abs(kernel.after - ours.after) > SLACK + SHARE * max(kernel.after, ours.after):
            yield f"after {kernel.after * 1000:.1f} ms of the kernel's, {ours.after * 1000:.1f} ms of ours"


def side_by_side(kernel: list[Entry], ours: list[Entry], ignored: frozenset[str] = frozenset()) -> str:
    """Both logs, for whoever has to find out why."""
    lines = []
    for number, (theirs, mine) in enumerate(zip_longest(kernel, ours), 1):
        same = not list(_differ(theirs, mine, ignored))
        if same:
            lines.append(f"  {number:3} {theirs}")
        else:
            lines += [f"K {number:3} {theirs or '-'}", f"O {number:3} {mine or '-'}"]
    return "\n".join(lines)
