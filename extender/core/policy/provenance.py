"""Where a policy comes from: each key in force with the place it was written in, and why a workload has none."""

from collections.abc import Sequence

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import Owner, OwnerRef
from extender.core.model.reasons import Reason
from extender.core.policy.advice import examine
from extender.core.policy.apportionment import ApportionedSeats, ClassShare
from extender.core.policy.keys import KEYS
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.owners import NEVER_MANAGED, is_unread
from extender.core.policy.policy import OF_SPLIT, REFINING, Layer, Membership, Policy, Problem, find_key
from extender.core.policy.rules import opted_in
from extender.core.policy.seats import Seats, TwoClassSeats
from extender.core.policy.shortfall import Shortfall, alone, shortfall
from extender.core.policy.split import split_text
from extender.core.policy.workload import Workload
from extender.core.policy.workloads import Workloads

DEFAULT = "default"
"""The source of a key that nobody wrote."""

VALID, LAST_VALID, SPLIT_KEPT, HELD = "valid", "last-valid", "split-kept", "held-on-demand"
"""What is in force: the policy as written; the last that was valid; what is right of it, and nothing is moved;
everything on-demand."""


class Setting(Struct, frozen=True, gc=False, rename="camel"):
    """A key of the policy in force.

    `source` is where it was written, DEFAULT where nowhere. `written` is the value found there; it is not what is in
    force (`applied` is false) when it or another key is invalid, or a more specific key excludes it.
    """

    key: str
    value: str
    source: str
    written: str = ""
    applied: bool = True


class Unmanaged(Struct, frozen=True, gc=False, rename="camel"):
    """Why nobody manages a pod or workload; `detail` names the object that decides it, if one does."""

    reason: Reason
    detail: str = ""


def settings_in_force(workloads: Workloads, workload: Workload, *, on_pods: bool = False) -> tuple[Setting, ...]:
    """Every key of a workload's policy; `on_pods` where its class is written on its pods."""
    values = _values(workload.policy, on_pods=on_pods)
    owner = workloads.owners.get(workload.uid)
    layers = [layer for layer, _ in workloads.layers(owner)] if owner is not None else []
    layers.append(workloads.default_layer)
    standing = standing_of_policy(workload)
    beaten = _beaten(layers, workloads.rules.prefixes, workload.policy.fleet)
    wrong = {problem.key for problem in workload.parsed.problems if not problem.warning}
    settings = []
    for key in KEYS:
        found = find_key(layers, workloads.rules.prefixes, key)
        if found is None:
            settings.append(Setting(key, values[key], DEFAULT))
            continue
        layer, full, written = found
        if key == "min-on-demand" and _is_own(layer, workload.policy.fleet):
            values[key] = str(workload.policy.fleet.floor) if workload.policy.fleet is not None else values[key]
        in_force = full not in wrong if standing in (VALID, SPLIT_KEPT) else False
        source = f"{layer.source} {full}" if full in layer.fields.values() else layer.source
        settings.append(Setting(key, values[key], source, written, applied=in_force and key not in beaten))
    return tuple(settings)


def key_as_written(workloads: Workloads, workload: Workload, key: str, value: object = "") -> str:
    """A key as whoever wrote it calls it, with a value if there is one: `max-spot=2`, or `spec.classes[1].max=2 of
    PlacementPolicy shop/web`.
    """
    owner = workloads.owners.get(workload.uid)
    layers = [layer for layer, _ in workloads.layers(owner)] if owner is not None else []
    found = find_key(layers, workloads.rules.prefixes, key)
    shown = f"={value}" if value != "" else ""
    if found is None or found[1] not in found[0].fields.values():
        return f"{key}{shown}"
    return f"{found[1]}{shown} of {found[0].source}"


def speaking_for(workloads: Workloads, uid: str) -> tuple[str, ...]:
    """The titles of the policy objects that speak for a workload, by its UID, the more specific first."""
    known = workloads.objects.by_uid
    return tuple(known[each].policy.title for each in workloads.assignments.of_workload.get(uid, ()) if each in known)


def _is_own(layer: Layer, fleet: Membership | None) -> bool:
    """Whether a place says something of one workload of a fleet, and not of all of them."""
    return fleet is not None and layer.fleet != fleet.policy


def _beaten(layers: Sequence[Layer], prefixes: Sequence[str], fleet: Membership | None) -> set[str]:
    """The keys that are written and do not count, for another key of a more specific place that says the same thing.

    Of a fleet's split its own policy says all.
    """
    if fleet is not None:
        found_in = ((key, find_key(layers, prefixes, key)) for key in OF_SPLIT)
        return {key for key, found in found_in if found is not None and _is_own(found[0], fleet)}
    place = {
        key: layers.index(found[0])
        for key in (*REFINING, "spot-percentage", "classes")
        if (found := find_key(layers, prefixes, key)) is not None
    }
    beaten = set()
    percentage, classes = place.get("spot-percentage"), place.get("classes")
    if classes is not None and percentage is not None and percentage < classes:
        beaten.add("classes")
    elif classes is not None:
        beaten = {key for key, at in place.items() if at > classes}
    floor, base = place.get("min-on-demand"), place.get("on-demand-base")
    if floor is not None and base is not None:
        beaten.add("on-demand-base" if floor <= base else "min-on-demand")
    return beaten


def standing_of_policy(workload: Workload) -> str:
    """VALID, LAST_VALID, SPLIT_KEPT or HELD."""
    if workload.parsed.valid:
        return VALID
    if workload.last_valid is not None:
        return LAST_VALID
    return HELD if workload.held else SPLIT_KEPT


def _split(seats: Seats) -> dict[str, str]:
    """The keys that a split is made of, but for `classes`."""
    if isinstance(seats, ApportionedSeats):
        shares = {share.capacity_class: share for share in seats.shares}
        spot, on_demand = (shares.get(name, ClassShare(name)) for name in (SPOT, ON_DEMAND))
        return {
            "spot-percentage": "",
            "min-on-demand": str(on_demand.floor),
            "max-spot": "" if spot.cap is None else str(spot.cap),
            "on-demand-base": str(on_demand.base),
        }
    if not isinstance(seats, TwoClassSeats):
        return dict.fromkeys(("spot-percentage", "min-on-demand", "max-spot", "on-demand-base"), "")
    return {
        "spot-percentage": str(seats.percentage),
        "min-on-demand": str(seats.floor),
        "max-spot": "" if seats.cap is None else str(seats.cap),
        "on-demand-base": str(seats.base),
    }


def _values(policy: Policy, *, on_pods: bool) -> dict[str, str]:
    cap = policy.max_per_pool
    patience = policy.written_after if on_pods else policy.fallback_after
    return {
        **_split(policy.seats),
        "classes": split_text(policy.seats, policy.pool_caps),
        "when-unsatisfiable": policy.when_unsatisfiable,
        "fallback-to": ", ".join(policy.fallback_to),
        "fallback-after": f"{patience:g}s",
        "max-per-pool": "" if cap is None else cap.text,
        "disruption-schedule": policy.disruption_schedule,
        "disruption-duration": f"{policy.disruption_duration:g}s" if policy.disruption_schedule else "",
        "timezone": policy.timezone,
        "max-moves-per-hour": str(policy.max_moves_per_hour),
        "mode": policy.mode,
        "scheduler-name": policy.scheduler_name or "",
        "enforcement": policy.enforcement,
    }


def problems_of(workloads: Workloads, workload: Workload, size: int | None) -> tuple[Problem, ...]:
    """What is wrong with a workload's policy, what its own word is pointless in, and what gives no spot at its size."""
    owner = workloads.owners.get(workload.uid)
    found = list(workload.parsed.problems)
    if owner is not None:
        namespace = workloads.namespaces.get(owner.namespace)
        matching = workloads.matching(owner)
        found += examine(owner, namespace, workloads.default_layer, workloads.rules, matching)
        alone_sized = owner.replicas is None and not Managed(workload, owner).runs
        lacking = shortfall(workload.policy, size) if alone_sized and workload.parsed.valid else None
        if lacking is not None:
            found.append(_lacking(workloads, owner, lacking))
    return tuple(dict.fromkeys(found))


def _lacking(workloads: Workloads, owner: Owner, lacking: Shortfall) -> Problem:
    layers = [*(layer for layer, _ in workloads.layers(owner)), workloads.default_layer]
    key, value = lacking.keys[0]
    written = find_key(layers, workloads.rules.prefixes, key)
    source, full = (written[0].source, written[1]) if written is not None else (DEFAULT, key)
    return Problem(source, full, str(value), lacking.of(key), alone(owner.kind), warning=True)


def why_unmanaged(workloads: Workloads, namespace: str, ref: OwnerRef | None) -> Unmanaged:
    """Why a pod in `namespace` that `ref` controls is not managed; asked where `Workloads.resolve` gave None."""
    if ref is None:
        return Unmanaged(Reason.NO_CONTROLLER)
    if ref.kind in NEVER_MANAGED:
        return Unmanaged(Reason.NEVER_MANAGED, f"{ref.kind} {ref.name}")
    outside = workloads.outside(namespace)
    if outside is not None:
        return Unmanaged(*outside)
    revision = workloads.owner_in(namespace, ref)
    if revision is None:
        return Unmanaged(Reason.NO_CONTROLLER)
    holder = workloads.holder(revision) if isinstance(revision, Owner) else revision
    if isinstance(holder, Missing):
        return Unmanaged(Reason.OWNER_UNREADABLE, f"{holder.ref.kind} {holder.ref.name}")
    if is_unread(holder) and _not_opted_in(workloads, holder).reason is Reason.NOT_OPTED_IN:
        return Unmanaged(Reason.OWNER_UNREADABLE, f"{holder.kind} {holder.name}")
    return _not_opted_in(workloads, holder)


def _not_opted_in(workloads: Workloads, owner: Owner) -> Unmanaged:
    for layer, labels in workloads.layers(owner):
        enabled, _ = opted_in([(layer, labels)], workloads.rules.prefixes)
        if enabled is False:
            return Unmanaged(Reason.OPTED_OUT, layer.source)
    return Unmanaged(Reason.NOT_OPTED_IN, f"{owner.kind} {owner.namespace}/{owner.name}")
