"""A world whose workloads one policy object counts together: Deployments that are scaled, rolled out and placed."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from extender.core.model.objects import Owner, OwnerRef
from extender.core.policy.floored import own_seats
from extender.core.policy.managed import Managed
from extender.core.scalein.costs import costs_to_write
from extender.core.scalein.removal_order import removal_order
from extender.core.state.events import Continued
from extender.core.state.fleets import Fleet
from support.doubles import ON_DEMAND, SPOT, keys, make_owner, make_policy, shares
from support.drifting import DRIFT_RULES, DriftWorld

WEB = {"tier": "web"}
FREE = replace(DRIFT_RULES, singletons=True, max_unavailable=100, max_in_flight=100, workload_in_flight=100)
"""No guard keeps a pod where it is."""


class FleetWorld(DriftWorld):
    """Deployments of the label `tier: web`, all counted together; each has one ReplicaSet, more while it rolls out."""

    def __init__(self, spot: int = 70, base: int = 0, **spec: Any) -> None:
        super().__init__(FREE)
        self.offered = self.nodes(spot=2, on_demand=2)
        self.tops: dict[str, Owner] = {}
        self.sets: dict[str, list[Owner]] = {}
        self.made = 0
        self.up(make_policy("web", **{"count": "Policy", "moves_per_hour": 10_000, **shares(spot, base), **spec}))
        self.settle()

    def settle(self) -> None:
        """Owners are judged anew after a policy object changed."""
        while self.state.workloads.is_behind:
            self.state.apply(Continued(), self.now)

    # Deployments

    def deploy(self, name: str, replicas: int = 1, *, wait: bool = False, **policy: Any) -> None:
        """Make a Deployment, and its pods unless they are to `wait`."""
        self.tops[name] = make_owner("Deployment", name, replicas, all_labels=WEB, annotations=keys(**policy))
        self.up(self.tops[name])
        self._next_set(name, replicas)
        if not wait:
            self.fill(name)

    def scale(self, name: str, replicas: int) -> None:
        """Scale it; pods leave in the order of its controller."""
        self.tops[name] = replace(self.tops[name], replicas=replicas)
        newest = self.sets[name][-1] = replace(self.sets[name][-1], replicas=replicas)
        self.up(self.tops[name], newest)
        self.shrink(newest, replicas)
        self.fill(name)

    def roll_out(self, name: str) -> None:
        """Have a new revision whose pods are not made yet."""
        self._next_set(name, 0)

    def surge(self, name: str) -> None:
        """Make one more pod of the newest revision, as with maxSurge 1; take one of the old ones away after it."""
        *older, newest = self.sets[name]
        count = (newest.replicas or 0) + 1
        if count > (self.tops[name].replicas or 0):
            return
        self.sets[name][-1] = newest = replace(newest, replicas=count)
        self.up(newest)
        self.fill(name)
        left = max(0, (self.tops[name].replicas or 0) - count)
        for number, old in enumerate(older):
            older[number] = replace(old, replicas=min(old.replicas or 0, left))
            self.up(older[number])
            self.shrink(older[number], older[number].replicas or 0)
        self.sets[name] = [*older, newest]

    def finish(self, name: str) -> None:
        """Carry the rollout through."""
        while (self.sets[name][-1].replicas or 0) < (self.tops[name].replicas or 0):
            self.surge(name)

    def delete(self, name: str) -> None:
        for owner in self.sets.pop(name):
            for pod in self._pods(owner.ref):
                self.gone("pods", pod)
            self.gone("replicasets.apps", owner.uid)
        self.gone("deployments.apps", self.tops.pop(name).uid)

    def say(self, name: str, labels: Mapping[str, str] = {}, **policy: Any) -> None:
        """Have it say something by its labels and annotations."""
        self.tops[name] = replace(
            self.tops[name], labels=labels, all_labels={**WEB, **labels}, annotations=keys(**policy)
        )
        self.up(self.tops[name])

    def _next_set(self, name: str, replicas: int) -> None:
        sets = self.sets.setdefault(name, [])
        number = len(sets) + 1
        owner = make_owner("ReplicaSet", f"{name}-{number}", replicas, owner=self.tops[name].ref, revision=number)
        sets.append(owner)
        self.up(owner)

    # Pods

    def fill(self, name: str) -> None:
        """Place the pods that the newest revision wants and has not."""
        newest = self.sets[name][-1]
        while len(self._pods(newest.ref)) < (newest.replicas or 0):
            self.put(newest.ref)

    def put(self, owner: OwnerRef) -> None:
        """Place one pod."""
        self.made += 1
        pod, decision = self.place(owner, self.offered, uid=f"pod-{self.made:04}")
        assert decision.nodes or decision.nodes is None, decision
        self.up(replace(pod, created=self.now - 600.0, ready=True, labels={"app": owner.name}))

    def shrink(self, owner: Owner, replicas: int) -> None:
        """Remove pods of a ReplicaSet as its controller does, by the costs that are on them by then."""
        revision = self.state.revisions.get(owner.uid)
        managed = self.state.workloads.resolve("shop", owner.ref)
        if revision is None:
            return
        costs = {}
        if isinstance(managed, Managed):
            costs = {pod.uid: cost for pod, cost in costs_to_write(revision, own_seats(managed.workload.policy))}
        pods = list(revision.pods)
        for pod in removal_order(pods, pods, self.now, costs)[: max(0, len(pods) - replicas)]:
            self.gone("pods", pod.uid)

    def _pods(self, owner: OwnerRef) -> list[str]:
        revision = self.state.revisions.get(owner.uid)
        return [pod.uid for pod in revision.pods] if revision is not None else []

    # How it stands

    @property
    def fleet(self) -> Fleet:
        return next(iter(self.state.fleets.all().values()))

    def on(self, *names: str) -> dict[str, int]:
        """The pods of some Deployments, of all where none is named, by class."""
        found: Counter[str] = Counter()
        for name in names or self.tops:
            for owner in self.sets[name]:
                found.update(self.split(owner.ref))
        return {name: found[name] for name in (SPOT, ON_DEMAND)}

    def converge(self, cycles: int = 60) -> int:
        """Have the drift loop work until it has nothing to do; how many pods it moved."""
        moved = 0
        for _ in range(cycles):
            self.now += 4000.0
            moves = len(self.cycle())
            if not moves:
                return moved
            moved += moves
        raise AssertionError("the drift loop does not come to rest")
