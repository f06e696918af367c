"""The status of a policy object: what is told in its conditions, and how."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum

from extender.core.answers.limits import LimitUse
from extender.core.answers.replicas import CLASSES, Name
from extender.core.model.policies import ClassCount, PolicyCondition, PolicySpec, PolicyStatus
from extender.core.policy.objects import PolicyObject
from extender.core.policy.workloads import Workloads
from extender.core.policystatus.counts import Sums

SHOWN = 3
"""Workloads that a message names."""

LIMITS_SHOWN = 10
"""Limits and namespaces that a message names."""


class ConditionReason(Enum):
    """The `reason` of a condition; no other is ever written."""

    ACCEPTED = "Accepted"
    NOT_SUPPORTED = "NotSupported"
    INVALID_VALUE = "InvalidValue"
    CONVERGED = "Converged"
    NO_WORKLOADS = "NoWorkloads"
    OFF_SPLIT = "OffSplit"
    NOT_ACCEPTED = "NotAccepted"
    HEALTHY = "Healthy"
    FLOOR_BREACHED = "FloorBreached"
    POLICY_INVALID = "PolicyInvalid"
    WITHIN_LIMITS = "WithinLimits"
    LIMIT_REACHED = "LimitReached"


def status_of(  # noqa: PLR0917 - what a status is made of, each of a type of its own
    thing: PolicyObject,
    sums: Sums,
    lost: Mapping[str, str],
    workloads: Workloads,
    uses: Sequence[LimitUse],
    now: float,
) -> PolicyStatus:
    """The status of a policy.

    Args:
        thing: the policy, with the status that it has.
        sums: of its workloads.
        lost: workloads that match it and go by another, each with that one (UIDs).
        workloads: for the names of these.
        uses: of its limits.
        now: seconds since the epoch, for what changes.
    """
    policy = thing.policy
    since = {each.type: (each.status, each.since) for each in policy.status.conditions}
    conditions = []
    wanted = [_accepted(thing, sums, lost, workloads), _converged(thing, sums), _degraded(thing, sums)]
    if policy.spec.limits:
        wanted.append(_within_limits(thing, uses))
    for each in wanted:
        status, before = since.get(each.type, ("", ""))
        moment = before if status == each.status and before else _written(now)
        conditions.append(PolicyCondition(each.type, each.status, each.reason, each.message, moment))
    classes = tuple(_counts(policy.spec, sums))
    return PolicyStatus(policy.generation, tuple(conditions), len(sums.names), sum(sums.wanted.values()), classes)


def _counts(spec: PolicySpec, sums: Sums) -> Iterator[ClassCount]:
    """Spot and on-demand, or where a policy names others its classes in their order; then those of its workloads that
    have others from elsewhere.
    """
    named = [wish.name for wish in spec.classes]
    shown = CLASSES if set(named) <= set(CLASSES) else named
    others = sorted(
        {name for counts in (sums.wanted, sums.actual) for name in counts if counts[name]}.difference(shown)
    )
    for name in (*shown, *others):
        yield ClassCount(name, sums.wanted.get(name, 0), sums.actual.get(name, 0))


def _written(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, status: str, reason: ConditionReason, message: str) -> PolicyCondition:
    return PolicyCondition(kind, status, reason.value, message)


def _accepted(thing: PolicyObject, sums: Sums, lost: Mapping[str, str], workloads: Workloads) -> PolicyCondition:
    if thing.unbuilt:
        text = "It does not act: " + "; ".join(thing.unbuilt)
        return _condition("Accepted", "False", ConditionReason.NOT_SUPPORTED, text)
    if thing.problems:
        text = "; ".join(f"{each.key}={each.value!r} {each.fault}; {each.fix}" for each in thing.problems)
        return _condition("Accepted", "False", ConditionReason.INVALID_VALUE, text)
    text = f"It speaks for {_count(len(sums.names))}"
    if lost:
        text += f"; {_count(len(lost))} that it matches go by another: {', '.join(_losses(lost, workloads))}"
    return _condition("Accepted", "True", ConditionReason.ACCEPTED, text)


def _losses(lost: Mapping[str, str], workloads: Workloads) -> Iterator[str]:
    named = []
    for uid, winner in lost.items():
        owner, other = workloads.owners.get(uid), workloads.objects.by_uid.get(winner)
        if owner is not None and other is not None:
            named.append(f"{owner.kind} {owner.namespace}/{owner.name} by {other.policy.title}")
    yield from sorted(named)[:SHOWN]
    if len(named) > SHOWN:
        yield f"and {len(named) - SHOWN} more"


def _converged(thing: PolicyObject, sums: Sums) -> PolicyCondition:
    if not thing.acts:
        return _condition("Converged", "Unknown", ConditionReason.NOT_ACCEPTED, "It does not act")
    if not sums.names:
        return _condition("Converged", "True", ConditionReason.NO_WORKLOADS, "It speaks for no workload")
    off = [fleet for fleet in sums.fleets if fleet.surplus or fleet.missing]
    if off:
        texts = "; ".join(fleet.text for fleet in off)
        return _condition("Converged", "False", ConditionReason.OFF_SPLIT, texts[:1].upper() + texts[1:])
    if sums.off:
        text = f"{_count(len(sums.off))} of {len(sums.names)} off the split: {_names(sums.off)}"
        return _condition("Converged", "False", ConditionReason.OFF_SPLIT, text)
    return _condition("Converged", "True", ConditionReason.CONVERGED, "Every replica is on the class of its seat")


def _degraded(thing: PolicyObject, sums: Sums) -> PolicyCondition:
    if not thing.acts:
        return _condition("Degraded", "Unknown", ConditionReason.NOT_ACCEPTED, "It does not act")
    short = [fleet for fleet in sums.fleets if fleet.below_least > 0]
    if short and not sums.breached:
        text = f"Fewer replicas of a class than its floor: {short[0].text}"
        return _condition("Degraded", "True", ConditionReason.FLOOR_BREACHED, text)
    if sums.breached:
        text = f"Fewer replicas of a class than its floor: {_names(sums.breached)}"
        return _condition("Degraded", "True", ConditionReason.FLOOR_BREACHED, text)
    if sums.invalid:
        text = f"A value in force is wrong, see the Events of: {_names(sums.invalid)}"
        return _condition("Degraded", "True", ConditionReason.POLICY_INVALID, text)
    return _condition("Degraded", "False", ConditionReason.HEALTHY, "Every floor holds")


def _within_limits(thing: PolicyObject, uses: Sequence[LimitUse]) -> PolicyCondition:
    if not thing.acts:
        return _condition("WithinLimits", "Unknown", ConditionReason.NOT_ACCEPTED, "It does not act")
    namespaces = max((use.namespaces for use in uses), default=0)
    scope = f"{namespaces} namespace{'s' * (namespaces != 1)}"
    told = ", which are only told of (mode Audit)" if not all(limit.enforced for limit in thing.limits) else ""
    reached = [use.limit.use(used, namespace) for use in uses for namespace, used in use.reached]
    if not reached:
        text = f"None of its limits{told} is reached in {scope}"
        return _condition("WithinLimits", "True", ConditionReason.WITHIN_LIMITS, text)
    more = [f"and {len(reached) - LIMITS_SHOWN} more"] if len(reached) > LIMITS_SHOWN else []
    text = f"Of its limits{told} in {scope} reached: {', '.join([*reached[:LIMITS_SHOWN], *more])}"
    return _condition("WithinLimits", "False", ConditionReason.LIMIT_REACHED, text)


def _names(names: Counter[Name]) -> str:
    texts = sorted(f"{each.kind} {each.namespace}/{each.name}" for each in names)
    return ", ".join([*texts[:SHOWN], *([f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else [])])


def _count(number: int) -> str:
    return "1 workload" if number == 1 else f"{number} workloads"
