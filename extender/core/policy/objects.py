"""What a policy object says, in the keys of policies: so that it is read, and told of, as annotations are.

A field has no meaning of its own beside its key. Where the keys of two classes say all of `spec.classes`, it is these;
else it is `classes`, which says it in one text. What has no key yet is not built: an object that asks for it is not
accepted and does not act, as half of it could be the opposite of what was meant.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from sys import intern

from msgspec import Struct

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.policies import ClassWish, PlacementPolicy, PolicySpec
from extender.core.policy.limits import Limit, limit_faults, limits_of
from extender.core.policy.policy import Layer, Problem, parse_policy
from extender.core.policy.split import classes_text


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
        limits: what it lets each of the namespaces hold that it selects.
        problems: what is wrong with values that the API server took, such as a time zone. Such a key is read as one of
            an annotation that is wrong, so that no pod goes unsteered.
    """

    policy: PlacementPolicy
    layer: Layer
    unbuilt: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    limits: tuple[Limit, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether it says anything for anybody."""
        return not self.unbuilt

    @property
    def speaks(self) -> bool:
        """Whether it says anything for workloads.

        One that has limits alone opts nobody in, and beats no other; its mode is that of its limits then.
        """
        return self.acts and (not self.limits or any(field != "spec.mode" for field in self.layer.fields.values()))


def policy_object(
    policy: PlacementPolicy, prefixes: Sequence[str], classes: Collection[str] | None = None
) -> PolicyObject:
    """Read a policy; `prefixes` are those of our keys, without the slash, `classes` as of `parse_policy`."""
    spec = policy.spec
    unbuilt = (*_unbuilt(spec), *limit_faults(policy))
    said = tuple(_said(spec)) if not unbuilt else ()
    values = {_full(prefixes[0], each.key): intern(each.value) for each in said}
    fields = _shared(tuple((_full(prefixes[0], each.key), each.field) for each in said))
    layer = Layer(policy.title, values, fields, policy.uid if spec.count == "Policy" else "")
    wrong = [each for each in parse_policy([layer], prefixes, classes).problems if not each.warning]
    return PolicyObject(policy, layer, unbuilt, tuple(wrong), limits_of(policy) if not unbuilt else ())


@lru_cache(maxsize=64)
def _full(prefix: str, key: str) -> str:
    return f"{prefix}/{key}"


@lru_cache(maxsize=256)
def _shared(fields: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Most policies of a cluster say the same keys in the same fields."""
    return dict(fields)


def _said(spec: PolicySpec) -> Iterator[Said]:
    if spec.classes:
        yield from (
            _two_classes(spec.classes)
            if _is_two_classes(spec.classes)
            else [Said("classes", classes_text(spec.classes), "spec.classes")]
        )
    for index, wish in enumerate(spec.classes):
        if wish.name == SPOT and wish.most_per_pool:
            yield Said("max-per-pool", wish.most_per_pool, f"spec.classes[{index}].maxPerPool")
    moves = "" if spec.moves_per_hour is None else str(spec.moves_per_hour)
    for key, value, field in (
        ("when-unsatisfiable", spec.action.lower(), "spec.unsatisfiable.action"),
        ("fallback-to", ", ".join(spec.stand_ins), "spec.unsatisfiable.to"),
        ("fallback-after", spec.after, "spec.unsatisfiable.after"),
        ("disruption-schedule", spec.schedule, "spec.moves.schedule"),
        ("disruption-duration", spec.duration, "spec.moves.duration"),
        ("timezone", spec.timezone, "spec.moves.timeZone"),
        ("max-moves-per-hour", moves, "spec.moves.maxPerHour"),
        ("mode", spec.mode.lower(), "spec.mode"),
    ):
        if value:
            yield Said(key, value, field)


def _two_classes(classes: Sequence[ClassWish]) -> Iterator[Said]:
    wishes = {wish.name: (index, wish) for index, wish in enumerate(classes)}
    spot = wishes[SPOT][1].weight if SPOT in wishes else 0
    yield Said("spot-percentage", str((spot or 0) * 100 // _total(classes)), "spec.classes[].weight")
    if ON_DEMAND in wishes and wishes[ON_DEMAND][1].base:
        index, wish = wishes[ON_DEMAND]
        yield Said("min-on-demand", str(wish.base), f"spec.classes[{index}].base")
    if SPOT in wishes and wishes[SPOT][1].most:
        index, wish = wishes[SPOT]
        yield Said("max-spot", wish.most, f"spec.classes[{index}].max")


def _total(classes: Sequence[ClassWish]) -> int:
    return sum(wish.weight or 0 for wish in classes)


def _is_two_classes(classes: Sequence[ClassWish]) -> bool:
    """Whether the keys of spot and on-demand say all of it."""
    names, total = [wish.name for wish in classes], _total(classes)
    spot = sum(wish.weight or 0 for wish in classes if wish.name == SPOT)
    plain = all(_is_plain(wish) for wish in classes)
    return plain and len(set(names)) == len(names) and total > 0 and spot * 100 % total == 0


def _is_plain(wish: ClassWish) -> bool:
    if wish.name == SPOT:
        return not wish.base and not wish.most.endswith("%") and bool(wish.weight or not wish.most)
    return wish.name == ON_DEMAND and not wish.most and not wish.most_per_pool


def _unbuilt(spec: PolicySpec) -> Iterator[str]:
    if spec.malformed:
        yield f"spec {spec.malformed}; write it as `kubectl explain placementpolicy.spec` says"
    if spec.count == "Policy" and not spec.classes:
        yield "spec.count='Policy' is for the split that spec.classes says, and there are none; add spec.classes"
    if spec.stand_ins and spec.action not in ("", "Fallback"):
        seen = ", ".join(spec.stand_ins)
        yield (
            f"spec.unsatisfiable.to=[{seen}] says what stands in by action Fallback, and the action is "
            f"{spec.action!r}; write Fallback, or remove to"
        )
