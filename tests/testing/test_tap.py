"""What crosses a TAP device is among the frames that are told of a test that failed."""

from __future__ import annotations

import re

import pytest

from support.namespace import Namespace, missing
from support.netflow import run_tests, section

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(missing()), reason=missing() or "can be made here")]

FAILS = """
@pytest.mark.netflow(time="real")
async def test_fails(netflow):
    link = netflow.tap(netflow.lan, "tap0", "10.0.0.254/16", namespace={namespace})
    netflow.settle()
    link.a.send([bytes.fromhex("ffffffffffff0200000000ff0806" + "0001080006040001" + "0200000000ff0a000009"
                               + "000000000000" + "0a0000fe")])  # who has 10.0.0.254? tell 10.0.0.9
    while not link.device.frames_in:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.001)
    assert False
"""


def test_frames_of_a_device_are_told(pytester: pytest.Pytester) -> None:
    with Namespace() as namespace:
        told = section(run_tests(pytester, "alone", FAILS.format(namespace=namespace.descriptor)))
    assert re.search(r"\d  lan → tap0 +ARP who has 10\.0\.0\.254\? tell 10\.0\.0\.9", told), told
    assert re.search(r"\d  tap0 → lan +ARP 10\.0\.0\.254 is at", told), told
