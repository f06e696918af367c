"""Sums over the workloads of each policy object, kept by taking one workload's share out and another in."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from msgspec import Struct, field

from extender.core.answers.replicas import Name, no_replicas, standing_of
from extender.core.policy.provenance import VALID, standing_of_policy
from extender.core.state.fleets import Fleet
from extender.core.state.state import ClusterState


class Share(Struct, frozen=True, gc=False):
    """What one workload adds; `policies` are the UIDs of those it is counted for. Replicas are by class.

    `fleet` is that of them that counts its replicas with those of others, empty where none does: what is wanted of
    these, and whether they are off their split, is no sum over workloads.
    """

    policies: tuple[str, ...]
    fleet: str
    name: Name
    wanted: Mapping[str, int]
    actual: Mapping[str, int]
    is_off: bool
    is_breached: bool
    is_invalid: bool


class Sums(Struct, eq=False):
    """What the workloads of one policy add up to; `off`, `breached` and `invalid` are names of workloads.

    `fleets` are those that it has counted together.
    """

    names: Counter[Name] = field(default_factory=Counter)
    wanted: dict[str, int] = field(default_factory=no_replicas)
    actual: dict[str, int] = field(default_factory=no_replicas)
    off: Counter[Name] = field(default_factory=Counter)
    breached: Counter[Name] = field(default_factory=Counter)
    invalid: Counter[Name] = field(default_factory=Counter)
    fleets: list[Fleet] = field(default_factory=list)

    def add(self, share: Share, sign: int, *, counted: bool = True) -> None:
        """Take a share in (+1), or out (-1); its replicas only where they are `counted` here."""
        _tally(self.names, share.name, sign)
        if share.is_invalid:
            _tally(self.invalid, share.name, sign)
        if share.is_breached:
            _tally(self.breached, share.name, sign)
        if not counted:
            return
        for mine, theirs in ((self.wanted, share.wanted), (self.actual, share.actual)):
            for capacity_class, count in theirs.items():
                mine[capacity_class] = mine.get(capacity_class, 0) + sign * count
        if share.is_off:
            _tally(self.off, share.name, sign)


def _tally(names: Counter[Name], name: Name, sign: int) -> None:
    names[name] += sign
    if not names[name]:
        del names[name]


@lru_cache(maxsize=1024)
def _shared(counts: tuple[tuple[str, int], ...]) -> Mapping[str, int]:
    """Thousands of workloads have the same few replicas: one mapping for all of them."""
    return dict(counts)


def share_of(state: ClusterState, uid: str) -> Share | None:
    """The share of a workload (UID); None for one that no policy speaks for, or that has no replicas at all."""
    policies = state.workloads.assignments.of_workload.get(uid, ())
    workload = state.workloads.by_uid.get(uid)
    standing = standing_of(state, workload) if policies and workload is not None else None
    if workload is None or standing is None:
        return None
    replicas = standing.replicas
    return Share(
        policies,
        workload.policy.fleet.policy if standing.fleet is not None and workload.policy.fleet is not None else "",
        standing.name,
        _shared(tuple(replicas.wanted.items())),
        _shared(tuple(replicas.actual.items())),
        is_off=bool(replicas.surplus or replicas.missing),
        is_breached=bool(replicas.below_floor),
        is_invalid=standing_of_policy(workload) != VALID,
    )


def with_fleets(sums: Sums, fleets: Iterable[Fleet]) -> Sums:
    """The sums of a policy, and what is counted together of its workloads."""
    counted = Sums(sums.names, dict(sums.wanted), dict(sums.actual), sums.off, sums.breached, sums.invalid)
    for fleet in fleets:
        counted.fleets.append(fleet)
        for mine, theirs in ((counted.wanted, fleet.target), (counted.actual, fleet.bound)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
    return counted
