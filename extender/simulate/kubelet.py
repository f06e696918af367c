"""The kubelets: pods start, become ready, end, and a node that dies takes its pods along."""

from random import Random

from extender.core.state.events import Event, Gone
from extender.simulate.api import Cause, VirtualApi, VirtualPod, Watcher

JITTER = 0.2
"""Share by which the time a pod takes to start and to end varies."""


class Kubelets(Watcher):
    """Starts pods that are bound, lets them run, and ends those that are deleted.

    Args:
        api: the cluster.
        rng: how long things take.
    """

    def __init__(self, api: VirtualApi, rng: Random) -> None:
        self._api = api
        self._rng = rng
        self._bound: set[str] = set()
        self._ending: set[str] = set()
        self._dead: set[str] = set()

    def pod(self, pod: VirtualPod, event: Event) -> None:
        """See `Watcher`."""
        if isinstance(event, Gone):
            self._bound.discard(pod.uid)
            self._ending.discard(pod.uid)
            return
        if not pod.node:
            return
        if pod.uid not in self._bound:
            self._bound.add(pod.uid)
            if not (pod.running or pod.ended or pod.terminating):
                self._api.clock.after(self._about(pod.template.start), lambda: self._started(pod))
        if pod.terminating and pod.uid not in self._ending:
            self._ending.add(pod.uid)
            takes = min(self._about(pod.template.stop), pod.template.grace)
            self._api.clock.after(takes, lambda: self._ended(pod))

    def die(self, node: str) -> None:
        """A node stops; its pods are down, and nobody knows yet."""
        self._dead.add(node)
        for pod in self._api.pods_on(node):
            if pod.serving:
                pod.serving = False
                self._api.changed(pod)

    def lose_contact(self, node: str) -> None:
        """The control plane has noticed: the pods of a dead node are not ready any more."""
        for pod in self._api.pods_on(node):
            if pod.ready:
                pod.ready = False
                self._api.changed(pod)

    def _about(self, seconds: float) -> float:
        return seconds * (1.0 + JITTER * (2.0 * self._rng.random() - 1.0)) if seconds else 0.0

    def _started(self, pod: VirtualPod) -> None:
        if pod.uid not in self._api.pods or pod.terminating or pod.node in self._dead:
            return
        pod.running = pod.ready = pod.serving = True
        pod.ready_since = self._api.clock.now
        self._api.changed(pod)
        if pod.template.run:
            self._api.clock.after(self._about(pod.template.run), lambda: self._succeeded(pod))

    def _succeeded(self, pod: VirtualPod) -> None:
        if pod.uid not in self._api.pods or pod.terminating or pod.node in self._dead:
            return
        pod.running = pod.ready = pod.serving = False
        pod.ended = True
        pod.cause = Cause.OWN
        self._api.changed(pod)
        self._api.remove_pod(pod)

    def _ended(self, pod: VirtualPod) -> None:
        # A dead node confirms nothing: its pods go with the node's object.
        if pod.node not in self._dead:
            self._api.remove_pod(pod)
