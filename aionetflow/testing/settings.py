"""What @pytest.mark.netflow(...) says."""

import random
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from aionetflow.clock import ManualClock
from aionetflow.link.memory import MemoryLink
from aionetflow.loop.clock import CLOCKS

SEED = "netflow_seed"  # the parameter of a test that runs once with each of several seeds
_LINK = ("delay", "jitter", "rate", "loss", "reorder", "duplicate", "corrupt", "queue", "mtu")
_OTHERS = ("seed", "seeds", "time", "bridge")

Seed = int | str


class Settings(NamedTuple):
    """One test's network: `link` are the settings of the links by which hosts join the LAN."""

    seed: Seed
    time: str
    bridge: str | None
    link: dict[str, Any]


def arguments(item: pytest.Item) -> dict[str, Any]:
    """The arguments of a test's markers, those of its class and module among them; the closest wins.

    Raises pytest.UsageError for one that is not known or makes no sense.
    """
    merged: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("netflow"))):
        if marker.args:
            raise pytest.UsageError(f"{item.nodeid}: netflow takes keyword arguments only, not {marker.args!r}")
        merged |= marker.kwargs
    unknown = sorted(set(merged) - {*_LINK, *_OTHERS})
    if unknown:
        known = ", ".join((*_OTHERS, *_LINK))
        raise pytest.UsageError(f"{item.nodeid}: netflow has no {', '.join(unknown)}; it has {known}")
    time = merged.get("time", "real")
    if time not in CLOCKS:
        raise pytest.UsageError(f"{item.nodeid}: time is one of {', '.join(map(repr, CLOCKS))}, not {time!r}")
    bridge = merged.get("bridge")
    if bridge not in (None, "loopback"):
        raise pytest.UsageError(f'{item.nodeid}: bridge is "loopback" or None, not {bridge!r}')
    try:  # a link says what is wrong with it
        MemoryLink(ManualClock(), random.Random(0), **_link_settings(merged))
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None
    return merged


def seeds(said: dict[str, Any]) -> list[Seed] | None:
    """The seeds that a test is to be run with, once with each; None if there is only one."""
    many = said.get("seeds", said.get("seed"))
    return list(many) if isinstance(many, Iterable) and not isinstance(many, str) else None


def read(item: pytest.Item) -> Settings:
    """The settings of a test. Its seed is the command line's, its parameter's, its marker's, or its name's."""
    said = arguments(item)
    wanted: str | None = item.config.getoption("--netflow-seed")
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if wanted is not None:
        seed: Seed = int(wanted) if wanted.lstrip("-").isdecimal() else wanted
    elif SEED in parameters:
        seed = parameters[SEED]
    else:
        seed = said.get("seed", zlib.crc32(item.nodeid.encode()))
    return Settings(seed, said.get("time", "real"), said.get("bridge"), _link_settings(said))


def _link_settings(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in _LINK if name in said}
