"""What if: a workload had N replicas or another policy, or a pool of nodes were lost, or any of these at once.

The change is supposed, never made: the state is read alone. Two outlooks are made by the same rules, one without the
change and one with it, so that what differs is due to the change. Each says how things come to stand once all that is
on its way has had its turn, and nothing else happens:

* **Lost pools**: their nodes are gone, and with them every pod on them. Pods of controllers are made anew; a
  DaemonSet's and those that nothing controls are not.
* **Policy**: the keys are supposed on the workload itself, where they win over its Namespace and the defaults. One that
  is not managed is supposed to be opted in. An invalid policy does what it would do: the last valid one stays, or all
  is held on-demand.
* **Policy objects** are supposed as if they were applied: one takes the place of its namesake, and one that is new is
  the youngest. Whoever goes by another object then, or by another word of the same, is touched.
* **Scaling down**: pods leave as a controller removes them: a StatefulSet's highest ordinals, else those without a
  node, then by readiness and deletion cost, which says the seats of the supposed policy.
* **Scaling up**: new pods are like the youngest of the newest revision. In a rollout that revision takes the
  difference, and the others stay as they are.
* **Pods without a node** and new ones take seats in order and nodes with room, room deducted for each: those that wait
  already first, by age, then the new ones of all workloads in turns. One whose class has no room goes to a class that
  stands in, as it would once `fallback-after` has passed. What fits nowhere is pending.
* **Classes on pods** (`enforcement: affinity`): gated and new pods get the class of their seat in the same order. One
  whose class has no room is replaced after a time, by one that is given the class that stands in.
* **Moves**: pods beyond the seats of their class are to be moved by the drift loop. A move is possible where nothing
  lasting forbids it and a node of the wanted class has room; what only takes time (budgets, ages, windows) is no
  obstacle, and `hours` says how long the workload's own budget of moves makes it last at least.

Not known, and so left out: nodes that a cluster autoscaler would add, priorities and preemption, quotas, who of several
workloads comes first, and which node of a class a scheduler prefers.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from extender.core.drift.rules import DriftRules
from extender.core.model.policies import PlacementPolicy
from extender.core.model.steps import run_steps
from extender.core.policy.managed import Managed
from extender.core.policy.provenance import standing_of_policy
from extender.core.policy.workloads import Workloads
from extender.core.state.controllers import controllers_of
from extender.core.state.records import NodeRecord, Revision
from extender.core.state.state import ClusterState
from extender.core.whatif.change import CheckedChange, SupposedController, check_change, controllers_or_itself
from extender.core.whatif.fleets import SupposedFleet
from extender.core.whatif.outcome import Outlooks, total
from extender.core.whatif.outlook import Change, LostNodes, Outlook, WhatIf, WorkloadChange
from extender.core.whatif.placing import place_pods
from extender.core.whatif.pods import STEP, FutureRevision
from extender.core.whatif.policies import SupposedPolicies

_RULES = DriftRules()
_NOBODY: Sequence[SupposedController] = ()
MANY = 500
"""As `STEP`, of what takes microseconds."""


def what_if(
    state: ClusterState,
    change: Change,
    now: float,
    rules: DriftRules = _RULES,
    policies: Sequence[PlacementPolicy] = (),
) -> WhatIf:
    """What a change would come to at `now` (seconds since the epoch), with a drift loop under these rules.

    `policies` are policy objects that are supposed to be applied besides, as written: without UID and age.

    Raises:
        ChangeError: it asks for what cannot be.
        NotFoundError: there is no such workload, or no node of such a pool.
    """
    return run_steps(what_if_in_steps(state, change, now, rules, policies))


def what_if_in_steps(
    state: ClusterState,
    change: Change,
    now: float,
    rules: DriftRules = _RULES,
    policies: Sequence[PlacementPolicy] = (),
) -> Generator[None, None, WhatIf]:
    """As `what_if`, with a pause after every few pods, for whoever has other things to do.

    The state may change during a pause: then some pods are counted as they were before, and some as they are after.
    """
    supposed = SupposedPolicies(state, policies, now)
    checked = check_change(state, change, supposed)
    yield from supposed.look()
    before = yield from _touched(state, checked, supposed.touched)
    after: dict[str, Sequence[SupposedController]] = {}
    for uid, now_there in before.items():
        after[uid] = (checked.controllers or _NOBODY) if uid == checked.subject else now_there
        if uid in supposed.touched and uid != checked.subject:
            workload = supposed.workload(uid)
            after[uid] = [replace(each, workload=workload) for each in now_there]
            if len(after) % MANY == 0:
                yield
    yield
    placed = yield from place_pods(state, before, {}, now)
    outlooks = yield from Outlooks(state, placed.room, rules, now, change.prices).of(placed.futures)
    later = yield from place_pods(state, after, checked.lost, now)
    outlooks_after = yield from Outlooks(state, later.room, rules, now, change.prices).of(later.futures)
    rows: list[WorkloadChange] = []
    for uid in before:
        if uid in state.workloads.owners:
            row = _row(state, uid, later.futures[uid], outlooks[uid], outlooks_after[uid])
            rows.append(replace(row, policies_after=_speaking(supposed.known, uid)) if policies else row)
        if len(rows) % MANY == MANY - 1:
            yield
    rows.sort(key=lambda row: (row.uid != checked.subject, *_badness(row)))
    yield
    without = yield from _sum([row.before for row in rows])
    with_it = yield from _sum([row.after for row in rows])
    nodes = Counter({name: len(nodes) for name, nodes in sorted(state.placeable.items())})
    lost = Counter(node.facts.capacity_class for node in checked.lost.values() if node.facts and node.placeable)
    return WhatIf(
        now,
        tuple(rows),
        without,
        with_it,
        dict(nodes),
        {name: count - lost[name] for name, count in nodes.items()},
        tuple(_lost_nodes(state, checked.lost)),
        later.bystanders,
        checked.problems,
        (*checked.notes, *_of_fleets(later.fleets, supposed), *supposed.notes()),
        supposed.forecasts(),
    )


def _of_fleets(fleets: Iterable[SupposedFleet], supposed: SupposedPolicies) -> Iterator[str]:
    """How those come to stand whose policy is supposed: no row of a workload tells."""
    for fleet in fleets:
        if fleet.title in supposed.titles:
            yield f"Replicas are {fleet.text}; moves of such are not forecast"


def _touched(
    state: ClusterState, checked: CheckedChange, by_policies: Iterable[str]
) -> Generator[None, None, dict[str, Sequence[SupposedController]]]:
    """The controllers, as they are now, of the workload that was named, of those with pods on lost nodes, and of those
    that policy objects touch (UIDs), as far as these have pods or want some.
    """
    known = state.workloads
    revisions: set[Revision] = set()
    for number, node in enumerate(checked.lost.values()):
        revisions.update(pod.revision for pod in node.pods if pod.revision is not None and not pod.terminating)
        if number % STEP == STEP - 1:
            yield
    named: dict[str, tuple[str, str]] = {}
    for number, revision in enumerate(revisions):
        managed = known.resolve(revision.namespace, revision.owner)
        if isinstance(managed, Managed):
            named[managed.workload.uid] = (managed.workload.namespace, managed.workload.name)
        if number % MANY == MANY - 1:
            yield
    named |= yield from _with_pods(state, by_policies)
    controllers: dict[str, Sequence[SupposedController]] = {}
    for number, uid in enumerate(
        dict.fromkeys([*filter(None, [checked.subject]), *sorted(named, key=named.__getitem__)])
    ):
        if uid in known.owners:
            controllers[uid] = list(_controllers(state, uid))
        if number % MANY == MANY - 1:
            yield
    return controllers


def _with_pods(state: ClusterState, uids: Iterable[str]) -> Generator[None, None, dict[str, tuple[str, str]]]:
    """Those of some workloads that have pods or want some, with namespace and name."""
    found: dict[str, tuple[str, str]] = {}
    for number, uid in enumerate(uids):
        owner = state.workloads.owners.get(uid)
        if owner is not None and next(controllers_of(state, owner), None) is not None:
            found[uid] = (owner.namespace, owner.name)
        if number % MANY == MANY - 1:
            yield
    return found


def _controllers(state: ClusterState, uid: str) -> Iterator[SupposedController]:
    owner, workload = state.workloads.owners[uid], state.workloads.by_uid.get(uid)
    for each, revision in controllers_or_itself(state, owner):
        yield SupposedController(each, revision, workload, uid)


def _sum(outlooks: Sequence[Outlook]) -> Generator[None, None, Outlook]:
    sums: list[Outlook] = []
    for start in range(0, len(outlooks), MANY):
        sums.append(total(outlooks[start : start + MANY]))
        yield
    return total(sums)


def _row(
    state: ClusterState, uid: str, futures: Sequence[FutureRevision], before: Outlook, after: Outlook
) -> WorkloadChange:
    owner = state.workloads.owners[uid]
    workload = futures[0].controller.workload if futures else None
    speaking = _speaking(state.workloads, uid)
    return WorkloadChange(
        owner.kind,
        owner.namespace,
        owner.name,
        uid,
        uid in state.workloads.by_uid,
        workload.policy.mode if workload is not None else "",
        standing_of_policy(workload) if workload is not None else "",
        sum(future.lost for future in futures),
        sum(future.removed for future in futures),
        sum(future.made for future in futures),
        before,
        after,
        speaking,
        speaking,
    )


def _speaking(known: Workloads, uid: str) -> tuple[str, ...]:
    """The titles of the policy objects that speak for a workload, if it is managed."""
    owner = known.owners.get(uid)
    if owner is None or known.judged(owner) is None:
        return ()
    return tuple(each.policy.title for each in known.matching(owner).speaking)


def _badness(row: WorkloadChange) -> tuple[bool, int, int, str, str, str]:
    after = row.after
    return (
        not after.below_floor,
        -sum(after.pending.values()),
        -after.surplus,
        row.namespace,
        row.name,
        row.kind,
    )


def _lost_nodes(state: ClusterState, lost: Mapping[str, NodeRecord]) -> Iterator[LostNodes]:
    pools: dict[tuple[str, str, str], list[NodeRecord]] = {}
    for node in lost.values():
        if node.facts is not None:
            pools.setdefault((node.facts.capacity_class, *node.place), []).append(node)
    for (capacity_class, instance_type, zone), nodes in sorted(pools.items()):
        owners = [
            (pod.namespace, pod.revision.owner) for node in nodes for pod in node.pods if pod.revision is not None
        ]
        managed = sum(isinstance(state.workloads.resolve(*owner), Managed) for owner in owners)
        pods = sum(len(node.pods) for node in nodes)
        yield LostNodes(capacity_class, instance_type, zone, len(nodes), pods, managed)
