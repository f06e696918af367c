"""What a policy object says, in the keys of policies: so that it is read, and told of, as annotations are.

A field has no meaning of its own beside its key. What has no key yet is not built: an object that asks for it is not
accepted and does not act, as half of it could be the opposite of what was meant.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.policies import ClassWish, PlacementPolicy, PolicySpec
from extender.core.policy.policy import Layer, Problem, parse_policy


class Said(Struct, frozen=True, gc=False):
    """One key, as a field says it."""

    key: str
    value: str
    field: str


class PolicyObject(Struct, frozen=True):
    """A policy as it acts.

    Attributes:
        policy: the object.
        layer: what it says, as a layer of settings.
        unbuilt: what it asks for that cannot be had yet, or cannot be read, as sentences that name field, value and
            fix. It does not act while there is any.
        problems: what is wrong with values that the API server took, such as a time zone. Such a key is read as one of
            an annotation that is wrong, so that no pod goes unsteered.
    """

    policy: PlacementPolicy
    layer: Layer
    unbuilt: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether it says anything for anybody."""
        return not self.unbuilt


def policy_object(policy: PlacementPolicy, prefixes: Sequence[str]) -> PolicyObject:
    """Read a policy; `prefixes` are those of our keys, without the slash."""
    spec = policy.spec
    unbuilt = tuple(_unbuilt(spec))
    said = tuple(_said(spec)) if not unbuilt else ()
    values = {f"{prefixes[0]}/{each.key}": each.value for each in said}
    fields = {f"{prefixes[0]}/{each.key}": each.field for each in said}
    layer = Layer(policy.title, values, fields)
    wrong = [each for each in parse_policy([layer], prefixes).problems if not each.warning]
    return PolicyObject(policy, layer, unbuilt, tuple(wrong))


def _said(spec: PolicySpec) -> Iterator[Said]:
    wishes = {wish.name: (index, wish) for index, wish in enumerate(spec.classes)}
    if wishes:
        total = sum(wish.weight for wish in spec.classes)
        spot = wishes[SPOT][1].weight if SPOT in wishes else 0
        yield Said("spot-percentage", str(spot * 100 // total), "spec.classes[].weight")
    if ON_DEMAND in wishes and wishes[ON_DEMAND][1].base:
        index, wish = wishes[ON_DEMAND]
        yield Said("min-on-demand", str(wish.base), f"spec.classes[{index}].base")
    if SPOT in wishes:
        index, wish = wishes[SPOT]
        if wish.most:
            yield Said("max-spot", wish.most, f"spec.classes[{index}].max")
        if wish.most_per_pool:
            yield Said("max-per-pool", wish.most_per_pool, f"spec.classes[{index}].maxPerPool")
    moves = "" if spec.moves_per_hour is None else str(spec.moves_per_hour)
    for key, value, field in (
        ("when-unsatisfiable", spec.action.lower(), "spec.unsatisfiable.action"),
        ("fallback-after", spec.after, "spec.unsatisfiable.after"),
        ("disruption-schedule", spec.schedule, "spec.moves.schedule"),
        ("disruption-duration", spec.duration, "spec.moves.duration"),
        ("timezone", spec.timezone, "spec.moves.timeZone"),
        ("max-moves-per-hour", moves, "spec.moves.maxPerHour"),
        ("mode", spec.mode.lower(), "spec.mode"),
    ):
        if value:
            yield Said(key, value, field)


def _unbuilt(spec: PolicySpec) -> Iterator[str]:
    if spec.malformed:
        yield f"spec {spec.malformed}; write it as `kubectl explain placementpolicy.spec` says"
    if spec.count != "Workload":
        yield f"spec.count={spec.count!r} is not supported yet; write Workload"
    for index, wish in enumerate(spec.classes):
        yield from _unbuilt_class(f"spec.classes[{index}]", wish)
    yield from _unbuilt_weights(spec.classes)
    if spec.stand_ins and (spec.action != "Fallback" or spec.stand_ins != (ON_DEMAND,)):
        seen = ", ".join(spec.stand_ins)
        yield (
            f"spec.unsatisfiable.to=[{seen}] with action {spec.action or 'Fallback'!r} is not supported yet; "
            "write action Fallback with to: [on-demand], or remove to"
        )
    if spec.on_demand_after is not None:
        yield f"spec.interruptions.onDemandAfter={spec.on_demand_after} is not supported yet; remove spec.interruptions"
    if spec.limits:
        yield "spec.limits is not supported yet; remove it"


def _unbuilt_class(field: str, wish: ClassWish) -> Iterator[str]:
    if wish.name not in (SPOT, ON_DEMAND):
        yield f"{field}.name={wish.name!r} is not supported yet; write spot or on-demand"
        return
    if wish.name == SPOT and wish.base:
        yield f"{field}.base={wish.base} of spot is not supported yet; give a base to on-demand alone"
    if wish.name == SPOT and wish.most.endswith("%"):
        yield f"{field}.max={wish.most!r} is not supported yet; write a number of replicas"
    if wish.name == ON_DEMAND and wish.most:
        yield f"{field}.max={wish.most!r} of on-demand is not supported yet; give a max to spot alone"
    if wish.name == ON_DEMAND and wish.most_per_pool:
        yield f"{field}.maxPerPool={wish.most_per_pool!r} of on-demand is not supported yet; give it to spot alone"
    if wish.name == SPOT and wish.most and not wish.weight:
        yield f"{field} has a max and no weight: to take it first is not supported yet; give it a weight"


def _unbuilt_weights(classes: Sequence[ClassWish]) -> Iterator[str]:
    names = [wish.name for wish in classes]
    if len(set(names)) != len(names):
        yield f"spec.classes names a class twice ({', '.join(names)}); name each once"
        return
    total = sum(wish.weight for wish in classes)
    if classes and not total:
        yield "spec.classes has no class with a weight; give one to the class that takes what is left"
        return
    spot = sum(wish.weight for wish in classes if wish.name == SPOT)
    if classes and spot * 100 % total:
        share = spot * 100 // total
        yield (
            f"spec.classes has weights that give spot {spot} of {total}, no whole percentage: not supported yet; "
            f"write weights such as {share} and {100 - share}"
        )
