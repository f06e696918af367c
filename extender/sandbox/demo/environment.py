"""Everything the demo needs, started in order and stopped in order."""

import contextlib
import time
from collections.abc import AsyncIterator

from extender.core.model.errors import SandboxError
from extender.kube.client import ApiClient
from extender.kube.resources import NAMESPACES
from extender.sandbox.controlplane import ControlPlane
from extender.sandbox.demo import samples
from extender.sandbox.demo.show import Show
from extender.sandbox.demo.words import count_words
from extender.sandbox.kubelet import SimKubelet
from extender.sandbox.nodes import create_nodes
from extender.sandbox.spotmix import SpotmixServe, scheduler_config
from extender.sandbox.versions import KUBERNETES

START_SECONDS = 0.8
"""From binding to Ready at speed 1: slow enough to see a rollout."""


class Environment:
    """What has been started.

    Attributes:
        plane: the control plane, its scheduler attached to Spotmix.
        spotmix: `spotmix serve`.
        api: a client with all rights.
        kubelet: runs the pods.
    """

    def __init__(self, plane: ControlPlane, spotmix: SpotmixServe, api: ApiClient, kubelet: SimKubelet) -> None:
        """Take what has been started."""
        self.plane = plane
        self.spotmix = spotmix
        self.api = api
        self.kubelet = kubelet

    def check(self) -> None:
        """Raise SandboxError if something that should run has ended, or pods could not be run."""
        self.plane.check()
        self.spotmix.check()
        if self.kubelet.problems:
            raise SandboxError(f"the simulated kubelet failed: {self.kubelet.problems[-1]}")


@contextlib.asynccontextmanager
async def open_environment(show: Show, speed: float) -> AsyncIterator[Environment]:
    """Start the control plane, nodes and their kubelet, Spotmix, and the scheduler attached to it.

    Raises:
        SandboxError: no control plane can be had, or a component did not get ready.
    """
    async with contextlib.AsyncExitStack() as stack:
        show.step(f"starting etcd, kube-apiserver and kube-controller-manager {KUBERNETES} on loopback")
        began = time.monotonic()
        plane = await stack.enter_async_context(ControlPlane(with_scheduler=False))
        stack.callback(show.step, "stopping")
        api = await stack.enter_async_context(await plane.connect())
        kubelet = await stack.enter_async_context(SimKubelet(api, start_delay=START_SECONDS / speed))
        nodes = samples.nodes()
        await create_nodes(api, nodes)
        namespace = {"metadata": {"name": samples.NAMESPACE}}
        await api.request("POST", NAMESPACES.path, body=namespace)
        show.step(
            f"{count_words(len(nodes), 'simulated node')} in two classes and {len(samples.ZONES)} zones;"
            " starting spotmix serve and kube-scheduler with it as its extender"
        )
        spotmix = SpotmixServe(plane, "--log-level", "debug")
        stack.push_async_callback(spotmix.stop)
        await spotmix.start()
        plane.scheduler.configure(scheduler_config(spotmix.url))
        await plane.scheduler.start()
        show.step(f"ready after {time.monotonic() - began:.1f} s")
        yield Environment(plane, spotmix, api, kubelet)
