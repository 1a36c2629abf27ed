"""Hostile frames on a live host, a transfer beside them: `make fuzz`.

    --frames 10000000   how many (default 1,000,000)
    --seed 1            which
    --batch 64          so many at once

Prints how far it is. The status is 1, and the seed and the number of the frame are told, if the stack has raised
anything, the transfer is not octet for octet what was sent, or memory has grown.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback

from fuzz.battle import Battle, resident

STEPS = 40  # reports
GROWTH = 16 << 20  # octets: more than allocators keep for themselves


def main() -> int:
    """All of it; returns the status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    asked = parser.parse_args()
    battle = Battle(asked.seed)
    begun = time.perf_counter()
    most: list[int] = []
    try:
        for step in range(1, STEPS + 1):
            while battle.frames < asked.frames * step // STEPS:
                battle.round(asked.batch)
            gc.collect()
            most.append(resident())
            report(battle, most[-1], time.perf_counter() - begun)
        battle.end()
    except Exception:
        traceback.print_exc()
        print(f"seed {asked.seed}, by frame {battle.frames}", file=sys.stderr)
        return 1
    quarter = len(most) // 4
    grown = max(most[-quarter:]) - max(most[quarter : 2 * quarter])
    print(f"memory: {grown / 1e6:+.1f} MB between the second quarter and the last")
    return 1 if grown > GROWTH else 0


def report(battle: Battle, memory: int, seconds: float) -> None:
    """One line of how far it is."""
    tcp = battle.host.stats.tcp
    passed = battle.clock.now() / 1e9
    print(
        f"{battle.frames:>11,} frames  {battle.frames / seconds:>8,.0f}/s  {passed:>8,.0f} s on their clock"
        f"  {battle.octets / 1e6:>7,.1f} MB exact in {battle.streams} connections"
        f"  {tcp.PassiveOpens + tcp.ActiveOpens} others  {memory / 1e6:.0f} MB resident",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
