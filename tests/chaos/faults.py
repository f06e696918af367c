"""What goes wrong. Each fault begins, lasts a while, and ends by itself."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial

import aiohttp
from support.patience import eventually, stretched

from chaos.attacks import fuzz, half_open
from chaos.proxy import GONE, INTERNAL
from chaos.scene import Scene
from extender.sandbox.spotmix import SpotmixServe

Fault = Callable[[Scene], Awaitable[None]]
_WHILE = 12.0
"""Seconds that a fault lasts if nothing else is said: longer than a Lease of the pair."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


async def api_server_killed(scene: Scene) -> None:
    """The API server dies; as soon as it is back workloads are made."""
    await scene.plane.apiserver.stop(kill=True)
    await asyncio.sleep(scene.rng.uniform(2.0, 20.0))
    await scene.plane.apiserver.start()
    for _ in range(4):
        await scene.churn.make()


async def etcd_restored(scene: Scene) -> None:
    """The cluster's data go back to what they were some seconds ago; Spotmix is told by nobody."""
    plane = scene.plane
    data, saved = plane.directory / "etcd", plane.directory / "etcd-saved"
    await _stop_data(scene)
    await asyncio.to_thread(shutil.copytree, data, saved)
    wanted = dict(scene.truth.wanted)
    await _start_data(scene)
    for _ in range(6):
        await scene.churn.step()
    await _stop_data(scene)
    await asyncio.to_thread(shutil.rmtree, data)
    await asyncio.to_thread(saved.rename, data)
    scene.truth.wanted.clear()
    scene.truth.wanted.update(wanted)
    await _start_data(scene)
    # Kubernetes' own parts are restarted after a restore, as its documentation says.
    await asyncio.gather(plane.controller_manager.restart(), plane.scheduler.restart(), scene.pair.kubelet.restart())


async def _stop_data(scene: Scene) -> None:
    await scene.plane.apiserver.stop(kill=True)
    await scene.plane.etcd.stop()


async def _start_data(scene: Scene) -> None:
    await scene.plane.etcd.start()
    await scene.plane.apiserver.start()


async def watches_expire(scene: Scene) -> None:
    """Watches end with 410, and new ones are refused with it for a while."""
    scene.proxy.expired = True
    await scene.proxy.end_watches(GONE)
    await asyncio.sleep(_WHILE / 2)
    scene.proxy.expired = False


async def watches_break(scene: Scene) -> None:
    """Every second all watches end with an ERROR event."""
    for _ in range(int(_WHILE)):
        await scene.proxy.end_watches(INTERNAL)
        await asyncio.sleep(1.0)


async def api_server_refuses(scene: Scene) -> None:
    """Most requests are answered by 429, 500 or 504."""
    scene.proxy.codes, scene.proxy.failing = (429, 500, 504), 0.7
    await asyncio.sleep(_WHILE)


async def api_server_is_slow(scene: Scene) -> None:
    """Every answer takes five seconds."""
    scene.proxy.delay = 5.0
    await asyncio.sleep(2 * _WHILE)


async def leader_stands_still(scene: Scene) -> None:
    """The leader is stopped for longer than its Lease, and goes on as if nothing had been."""
    process = (await scene.leader()).pid
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        await asyncio.sleep(stretched(scene.rng.uniform(6.0, _WHILE)))
    finally:
        os.kill(process, signal.SIGCONT)


async def leader_killed(scene: Scene) -> None:
    """The leader is killed, and is back some seconds later."""
    leader = await scene.leader()
    await leader.stop(kill=True)
    await asyncio.sleep(scene.rng.uniform(0.0, 8.0))
    await leader.start()


async def clock_steps(scene: Scene) -> None:
    """The leader's clock goes forward by an hour, then by 40 days, then back before the start, then right again."""
    leader = await scene.leader()
    clock = scene.clocks[leader.name]
    try:
        for seconds in (_HOUR, 40 * _DAY, -_HOUR):
            clock.step(seconds)
            await eventually(partial(_ahead, leader), partial(_is_about, seconds), "the leader lives in another time")
            await asyncio.sleep(_WHILE)
    finally:
        clock.step(0)


def _is_about(wanted: float, seen: float) -> bool:
    return abs(seen - wanted) < _MINUTE


async def _ahead(replica: SpotmixServe) -> float:
    """How far a replica's clock is ahead of ours, in seconds, by what it logs about a broken request."""
    async with aiohttp.ClientSession() as session, session.post(f"{replica.url}/filter", data=b"{") as answer:
        await answer.read()
    logged = datetime.fromisoformat(json.loads(replica.log_tail(1))["timestamp"])
    return (logged - datetime.now(UTC)).total_seconds()


async def connections_half_open(scene: Scene) -> None:
    """A thousand connections to each port of the leader say half of a request and no more."""
    await half_open(scene.ports(await scene.leader()).values(), _WHILE)


async def bodies_fuzzed(scene: Scene) -> None:
    """Each port of the leader gets thousands of broken requests."""
    for name, port in scene.ports(await scene.leader()).items():
        await fuzz(name, port, scene.bodies, scene.rng)


FAULTS: Mapping[str, Fault] = {
    fault.__name__: fault
    for fault in (
        api_server_killed,
        etcd_restored,
        watches_expire,
        watches_break,
        api_server_refuses,
        api_server_is_slow,
        leader_stands_still,
        leader_killed,
        clock_steps,
        connections_half_open,
        bodies_fuzzed,
    )
}
STILL = {etcd_restored.__name__}
"""What changes workloads itself, so that nobody else may meanwhile."""
