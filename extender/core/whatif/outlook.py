"""What a what-if asks and answers; see `what_if`."""

from collections.abc import Mapping

from msgspec import Struct

from extender.core.answers.plan import WorkloadName
from extender.core.model.objects import EMPTY
from extender.core.model.reasons import Reason
from extender.core.policy.policy import Problem


class LostPool(Struct, frozen=True, gc=False, rename="camel"):
    """Nodes to lose: those of a capacity class, instance type and zone; one that is empty is any."""

    capacity_class: str = ""
    instance_type: str = ""
    zone: str = ""


class Change(Struct, frozen=True, rename="camel"):
    """What is supposed.

    Attributes:
        workload: whose replicas or policy change, its kind as people write it (`deploy`, `rollouts.argoproj.io`); None
            when nodes are lost alone.
        replicas: how many it has; None leaves them.
        policy: keys without a prefix, and their values as annotations have them; `enabled` is the label. An empty value
            takes the workload's own annotation away.
        lost_pools: the nodes that are lost.
        prices: of a node of each class, in any currency and for any time; empty when they are not known.
    """

    workload: WorkloadName | None = None
    replicas: int | None = None
    policy: Mapping[str, str] = EMPTY
    lost_pools: tuple[LostPool, ...] = ()
    prices: Mapping[str, float] = {}


class MoveForecast(Struct, frozen=True, rename="camel"):
    """The moves that the drift loop has still to make: `needed` are those `possible` and those `blocked`, by reason.

    `hours` is how long the possible ones take at least, by `max-moves-per-hour`.
    """

    needed: int = 0
    possible: int = 0
    blocked: Mapping[Reason, int] = {}
    hours: float = 0.0


class Outlook(Struct, frozen=True, rename="camel"):
    """How one workload, or several, come to stand.

    Attributes:
        replicas: wanted in all.
        wanted: seats by class; none where nobody manages the workload.
        actual: pods on nodes by class.
        pending: pods for which there is no node, by what keeps them off their class.
        pending_classes: the same by the class of their seat; empty for those that nobody manages.
        stand_ins: pods that fall back to another class than their seat's, because that has no room; in the end they may
            sit on seats of that class.
        surplus: pods beyond the seats of their class.
        floor: on-demand replicas that the policy asks for at least, at this size.
        below_floor: replicas missing to that; the floor is kept when it is 0.
        moves: what the drift loop has to do afterwards.
        eventual: pods on nodes by class once the possible moves are made.
        nodes: the shares of nodes that they take then, by class: 2.5 is two and a half nodes full.
        cost: of those, at the prices of the change; None where the price of a class is not known.
    """

    replicas: int
    wanted: Mapping[str, int]
    actual: Mapping[str, int]
    pending: Mapping[Reason, int]
    pending_classes: Mapping[str, int]
    stand_ins: int
    surplus: int
    floor: int
    below_floor: int
    moves: MoveForecast
    eventual: Mapping[str, int]
    nodes: Mapping[str, float]
    cost: float | None = None


class WorkloadChange(Struct, frozen=True, rename="camel"):
    """A workload that the change touches.

    `managed` says whether it is managed now, `mode` and `policy` are those supposed (`policy` as in `provenance`, both
    empty when it is not managed then either). `policies_before` and `policies_after` are the titles of the policy
    objects that speak for it now and under the change. `lost` pods go with their nodes, `removed` by scaling down;
    `made` are new.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    managed: bool
    mode: str
    policy: str
    lost: int
    removed: int
    made: int
    before: Outlook
    after: Outlook
    policies_before: tuple[str, ...] = ()
    policies_after: tuple[str, ...] = ()


class LostWorkload(Struct, frozen=True, gc=False, rename="camel"):
    """A workload that a policy object matches, and `by` whom it goes instead: `PlacementPolicy shop/web`."""

    kind: str
    namespace: str
    name: str
    by: str


class PolicyForecast(Struct, frozen=True, rename="camel"):
    """What becomes of a policy object that is supposed.

    `replaces` says that there is one of this kind and name, in whose place it comes. One that does not act (`acts`)
    says nothing for anybody. `before` and `after` are how many workloads it speaks for, `lost` how many it matches that
    another speaks for, and `losses` some of these. `problems` are sentences that name field, value and fix.
    """

    kind: str
    namespace: str
    name: str
    replaces: bool
    acts: bool
    before: int
    after: int
    lost: int
    losses: tuple[LostWorkload, ...]
    problems: tuple[str, ...]


class LostNodes(Struct, frozen=True, gc=False, rename="camel"):
    """Nodes lost, of one class, instance type and zone, and the pods on them, of these `managed` ones."""

    capacity_class: str
    instance_type: str
    zone: str
    nodes: int
    pods: int
    managed: int


class Bystanders(Struct, frozen=True, rename="camel"):
    """Pods on lost nodes that nobody manages: made anew and `placed`, `pending` by reason; `gone` for good."""

    placed: int = 0
    pending: Mapping[Reason, int] = {}
    gone: int = 0


class WhatIf(Struct, frozen=True, rename="camel"):
    """How the cluster comes to stand under a change.

    Attributes:
        at: when the state was read, in seconds since the epoch.
        workloads: those touched, the one that was named first, then those worst off.
        before, after: their sums.
        nodes_before, nodes_after: nodes that take pods, by class.
        lost: the nodes lost.
        bystanders: pods on them that nobody manages.
        problems: of the supposed policy.
        notes: what was assumed, for people.
        policies: what becomes of the policy objects that are supposed.
    """

    at: float
    workloads: tuple[WorkloadChange, ...]
    before: Outlook
    after: Outlook
    nodes_before: Mapping[str, int]
    nodes_after: Mapping[str, int]
    lost: tuple[LostNodes, ...]
    bystanders: Bystanders
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    policies: tuple[PolicyForecast, ...] = ()
