"""iperf3 between two namespaces, with a lossy virtual router and a switch of ours on the way; no TCP of ours."""

from __future__ import annotations

import json

import pytest

import aionetflow as anf
from support.interop import listening, output, program, run, tool
from support.namespace import Namespace, missing

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing() or "can be made here")]


@pytest.mark.parametrize("backwards", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("loss", [0.0, 0.001])
def test_iperf3_goes_through_a_lossy_virtual_router(backwards: bool, loss: float) -> None:
    iperf3 = tool("iperf3")

    async def main() -> None:
        with Namespace() as left, Namespace() as right:
            async with anf.Network(seed=3) as net:
                router = net.router("core", "10.1.0.2/24", "10.2.0.2/24")
                near = net.tap(router, "tap0", "10.1.0.1/24", namespace=left.descriptor, loss=loss, delay=0.002)
                net.tap(router, "tap0", "10.2.0.1/24", namespace=right.descriptor)
                net.settle()
                left.run("ip", "route", "add", "default", "via", "10.1.0.2")
                right.run("ip", "route", "add", "default", "via", "10.2.0.2")
                async with program(right, iperf3, "-s", "-1"):
                    await listening(right, 5201)
                    way = ["-R"] if backwards else []
                    printed = await output(left, iperf3, "-c", "10.2.0.1", "-t", "3", "-C", "cubic", "-J", *way)
                report = json.loads(printed)
                assert report["end"]["sum_received"]["bytes"] > 1_000_000
                assert router.stats.ip.ForwDatagrams > 1000
                lost = near.a_to_b.lost + near.b_to_a.lost
                assert (lost > 0) == (loss > 0)
                if not loss:
                    assert near.a_to_b.queue_dropped == near.b_to_a.queue_dropped == 0

    run(main())
