"""How the expander is put together: what it goes by, and that it costs nothing where it is not served."""

import json
import subprocess
import sys
import time

from support.api import LOOPBACK
from support.doubles import World, make_node
from support.expander import asking, groups, pod, pool_node, request

from extender.core.model.reasons import Reason
from extender.runtime.expander import Expander
from extender.settings import Settings
from extender.settings.sections.ports import ExpanderSettings
from extender.telemetry.metrics import Metrics

SERVED = Settings(expander=ExpanderSettings(enabled=True, addr=f"{LOOPBACK}:0"))
ASKED = request(
    {name: [pod("p", "rs", "spot")] for name in ("a", "b", "on-demand")},
    {"on-demand": pool_node("on-demand"), **{zone: pool_node("spot", zone=zone) for zone in "ab"}},
)


def test_grpc_is_imported_when_it_is_served_and_not_before() -> None:
    code = (
        "import asyncio, json, sys\n"
        "from extender.runtime.expander import Expander\n"
        "from extender.settings import Settings\n"
        "expander = Expander(Settings(), None, None)\n"
        "asyncio.run(expander.start(None, None))\n"
        "assert expander.address == '' and expander.tls is None\n"
        "asyncio.run(expander.stop())\n"
        "print(json.dumps([m for m in ('grpc', 'google.protobuf') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


async def test_groups_are_ranked_by_what_is_known_once_it_is_known() -> None:
    world, metrics, obstacle = World(), Metrics(), [Reason.NOT_SYNCED]
    world.now = time.time()
    world.up(make_node("n", zone="a"))
    world.gone("nodes", "uid-n")
    expander = Expander(SERVED, world.state, lambda *_: None)
    await expander.start(metrics.api, lambda: obstacle[0])
    host, port = expander.address.split(":")
    async with asking((host, int(port))) as client:
        assert groups(await client.BestOptions(ASKED)) == ["a", "b", "on-demand"]
        obstacle[0] = Reason.NOT_WATCHED
        assert groups(await client.BestOptions(ASKED)) == ["a", "b", "on-demand"]
        obstacle[0] = Reason.NOT_LEADER
        assert groups(await client.BestOptions(ASKED)) == ["b"]
    await expander.stop()
    assert 'spotmix_api_requests_total{code="OK",rpc="BestOptions"} 3.0' in metrics.render()[0].decode()
