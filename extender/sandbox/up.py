"""A sandbox that stays up for its user: `spotmix sandbox up`."""

import asyncio
import contextlib
import signal
import string
from collections.abc import Callable
from dataclasses import dataclass

from extender.kube.eventloop import new_event_loop
from extender.sandbox.assets import find_assets
from extender.sandbox.controlplane import ControlPlane
from extender.sandbox.kubelet import SimKubelet
from extender.sandbox.nodes import create_nodes, node_pool
from extender.sandbox.spotmix import SpotmixServe, scheduler_config

_CHECK_INTERVAL = 0.5


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What to start.

    Attributes:
        spot, on_demand: number of nodes of each class.
        zones: how many zones they are spread over, at most 26.
        with_extender: run `spotmix serve` and attach the scheduler to it.
        keep: leave the run directory in place at the end.
    """

    spot: int = 6
    on_demand: int = 4
    zones: int = 3
    with_extender: bool = True
    keep: bool = False
    kubernetes: str = ""


def run_up(options: UpOptions, say: Callable[[str], None]) -> None:
    """Start a sandbox, say how to reach it, and stop it at SIGINT, SIGTERM or SIGHUP.

    Args:
        options: what to start.
        say: is given each line for the user.

    Raises:
        SandboxError: the control plane cannot be had, or a component failed or ended.
        KeyboardInterrupt: it was stopped before it was up.
    """
    # Here and not in the event loop, where Ctrl-C would wait for a build to end.
    assets = find_assets(options.kubernetes)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        was_up = runner.run(_until_signalled(options, ControlPlane(assets=assets, keep=options.keep), say))
    if not was_up:
        raise KeyboardInterrupt


async def _until_signalled(options: UpOptions, plane: ControlPlane, say: Callable[[str], None]) -> bool:
    """Return whether it was up when a signal came."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Cancelling unwinds the blocks below in order, whatever they are doing; a second signal hurries them.
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    up = asyncio.Event()
    with contextlib.suppress(asyncio.CancelledError):
        await _run(options, plane, say, up)
    return up.is_set()


async def _run(options: UpOptions, plane: ControlPlane, say: Callable[[str], None], up: asyncio.Event) -> None:
    async with contextlib.AsyncExitStack() as stack:
        say("starting a control plane")
        await stack.enter_async_context(plane)
        api = await stack.enter_async_context(await plane.connect())
        zones = string.ascii_lowercase[: options.zones]
        await create_nodes(
            api,
            node_pool(options.spot, capacity_class="spot", zones=zones)
            + node_pool(options.on_demand, capacity_class="on-demand", zones=zones),
        )
        await stack.enter_async_context(SimKubelet(api))
        spotmix: SpotmixServe | None = None
        if options.with_extender:
            say("starting Spotmix and attaching the scheduler to it")
            spotmix = SpotmixServe(plane)
            stack.push_async_callback(spotmix.stop)
            await spotmix.start()
            await plane.scheduler.restart(scheduler_config(spotmix.url))
        for line in _how_to_reach(options, plane, spotmix):
            say(line)
        up.set()
        while True:
            plane.check()
            if spotmix is not None:
                spotmix.check()
            await asyncio.sleep(_CHECK_INTERVAL)


def _how_to_reach(options: UpOptions, plane: ControlPlane, spotmix: SpotmixServe | None) -> list[str]:
    attached = "Spotmix places the pods of workloads labelled spotmix.io/enabled=true"
    return [
        f"a cluster with {options.spot} spot and {options.on_demand} on-demand nodes is up",
        attached if spotmix is not None else "its scheduler is the stock one",
        "",
        f"  export KUBECONFIG={plane.kubeconfig}",
        "  kubectl get nodes -L karpenter.sh/capacity-type,topology.kubernetes.io/zone",
        # It is no pod of the cluster, so that commands cannot find it there.
        *((f"  export SPOTMIX_SERVER={spotmix.api_target}", "  spotmix status -A") if spotmix is not None else ()),
        "",
        *((f"console: {spotmix.metrics_url}/console",) if spotmix is not None else ()),
        f"logs: {plane.directory}",
        "Ctrl-C stops it" + (" and leaves the logs" if options.keep else " and removes all of it"),
    ]
