"""docs/performance.md, made of what was measured: python -m benchmarks.page

It reads docs/performance.json, which `make bench` writes, and docs/costs.json, which `make bench-costs` does.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks import costs, report
from benchmarks.measure import ROOT

DOCS = ROOT / "docs"
PAGE, PERFORMANCE, COSTS = DOCS / "performance.md", DOCS / "performance.json", DOCS / "costs.json"

TEXT = """# Performance

Made by `make bench-page` of what these commands have measured, on the machines that the last lines of the tables name:

    make bench ARGS="--rounds {rounds} --json docs/performance.json --plot docs/performance.svg"
    make bench-costs ARGS="--json docs/costs.json"

## Beside the kernel's loopback

Each run in a process of its own, in the order {order}. Run `make bench` to see what yours says.

![CPU time per operation, beside the kernel's loopback](performance.svg)

```
{performance}
```

"aionetflow, link" are two hosts joined by a link in memory: every frame is a true Ethernet frame, every checksum
computed and verified. "aionetflow, 127.0.0.1" is one host's own lo, with an MTU of 65536.

## What an operation costs, and how that grows

{costs}

## Programs with very many connections

A turn of the loop runs what is ready, as asyncio's does: when all of 10,000 connections speak at the same instant, that
turn takes as long as 10,000 messages do. Spread over time, as real traffic is, no turn takes 10 ms of CPU: `make soak`
has 10,000 connections talk for a virtual hour and holds it to that.

Python's collector of cycles is another matter. A connection with both of its ends is about 60 objects that it looks at;
once it looks at all of them, with 10,000 connections that is a pause of 150 to 300 ms, whatever the network does. The
network itself leaves no cycles behind for a message, so a program of that size can do without most of it:

```python
import gc

gc.collect()
gc.freeze()  # after setting up: what is there now is looked at no more
gc.disable()  # or, for a program with cycles of its own: gc.set_threshold(100_000, 50, 1000)
gc.enable()
gc.unfreeze()
```
"""


def text(performance: dict[str, Any], measured: dict[str, Any]) -> str:
    """The page."""
    return TEXT.format(
        performance=report.text(report.from_json(performance), performance["machine"]),
        costs=costs.markdown(measured),
        **performance["settings"],
    )


def main() -> None:
    """Writes the page."""
    PAGE.write_text(text(json.loads(PERFORMANCE.read_text()), json.loads(COSTS.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
