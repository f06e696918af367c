"""Limits of policies, in a line each, and what is held in a namespace, counted anew from the facts."""

from collections import Counter
from typing import Any

from extender.core.model.policies import LimitWish, PlacementPolicy
from extender.core.policy.limits import amount_of
from extender.core.state.state import ClusterState
from support.doubles import make_policy


def limit_policy(name: str, *limits: str, **fields: Any) -> PlacementPolicy:
    """A ClusterPlacementPolicy with limits such as `on-demand cpu 2`."""
    wishes = tuple(LimitWish(*limit.split()) for limit in limits)
    return make_policy(name, of_cluster=True, limits=wishes, **fields)


def used(state: ClusterState, namespace: str = "shop") -> dict[str, int]:
    """What the state says is held, such as `{"on-demand cpu": 2000}`; what is 0 is left out."""
    account = state.holdings.accounts[namespace]
    found = {f"{each.capacity_class} {each.resource}": account.used(each) for each in account.limits}
    return {name: amount for name, amount in found.items() if amount}


def counted(state: ClusterState, namespace: str = "shop") -> dict[str, int]:
    """The same, counted anew."""
    held: Counter[str] = Counter()
    limits = {(each.capacity_class, each.resource) for each in state.holdings.accounts[namespace].limits}
    for record in state.pods.values():
        if record.namespace != namespace:
            continue
        reservation = record.revision.reservations.get(record.uid) if record.revision is not None else None
        capacity_class = record.capacity_class
        if not capacity_class and not (record.terminating and record.node is None):
            reserved = reservation.capacity_class if reservation is not None and not reservation.waits else ""
            capacity_class = (record.written if not record.gates else "") or reserved
        for name, resource in limits:
            if name == capacity_class:
                held[f"{name} {resource}"] += amount_of(record.requests, resource)
    return {name: amount for name, amount in held.items() if amount}
