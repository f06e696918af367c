"""What is wrong with what an object says to Spotmix, and what is valid but pointless: for whoever applies it.

An object answers for itself. What its Namespace and the configuration say is looked at, for keys complete and exclude
each other across layers, but told of only when the object's own word is concerned.
"""

from collections.abc import Iterator, Sequence

from extender.core.model.classes import SPOT
from extender.core.model.objects import Namespace, Owner
from extender.core.policy.keys import KEYS
from extender.core.policy.matching import NOTHING, Matching
from extender.core.policy.policy import Layer, Policy, Problem, find_key, parse_policy
from extender.core.policy.rules import PolicyRules, Sayings, of_object, opted_in, sayings
from extender.core.policy.seats import TwoClassSeats
from extender.core.policy.shortfall import shortfall
from extender.core.policy.stand_ins import may_run_on

_FOR_SPOT_ALONE = ("min-on-demand", "on-demand-base", "max-spot", "max-per-pool", "fallback-after")


def examine(
    thing: Owner | Namespace,
    namespace: Namespace | None,
    defaults: Layer,
    rules: PolicyRules,
    matching: Matching = NOTHING,
) -> tuple[Problem, ...]:
    """What is to be said about an object; a `warning` is no reason to refuse it.

    Args:
        thing: the object, with its own labels and annotations under our prefixes.
        namespace: its Namespace; None when it is one, or its Namespace is not known.
        defaults: the configured default annotations.
        rules: how policies are read.
        matching: the policy objects that match it.
    """
    own, prefix = sayings(thing), rules.prefixes[0]
    above = [of_object(each, prefix) for each in matching.own[:1]]
    above += [sayings(namespace)] if namespace is not None else []
    above += [of_object(each, prefix) for each in matching.cluster[:1]]
    layers = [own[0], *(layer for layer, _ in above), defaults]
    enabled, problem = opted_in([own, *above], rules.prefixes)
    parsed = parse_policy(layers, rules.prefixes, rules.classes.names)
    found = [
        *([problem] if problem is not None else []),
        *parsed.problems,
        *_misplaced(own, rules.prefixes),
    ]
    if namespace is not None and enabled is None:
        found.extend(_not_opted_in(own[0], rules.prefixes))
    if parsed.valid and isinstance(thing, Owner):
        # What is in vain in a Namespace may be of use to a workload that says the rest.
        size = None if thing.kind == "Job" and matching.runs else thing.replicas
        found.extend(_Pointless(layers, rules.prefixes, parsed.policy, size).find())
    return tuple(each for each in found if each.source == own[0].source)


def _misplaced(own: Sayings, prefixes: Sequence[str]) -> Iterator[Problem]:
    layer, labels = own
    for key in KEYS:
        full = f"{prefixes[0]}/{key}"
        if full in labels:
            yield Problem(layer.source, full, labels[full], "is a label", "write it as an annotation", warning=True)


def _not_opted_in(own: Layer, prefixes: Sequence[str]) -> Iterator[Problem]:
    for key in KEYS:
        found = find_key([own], prefixes, key)
        if found is not None:
            _, full, value = found
            fault = "has no effect: neither the object nor its Namespace opts in"
            yield Problem(own.source, full, value, fault, f'add the label {prefixes[0]}/enabled: "true"', warning=True)
            return


class _Pointless:
    """Finds keys that are right and have no effect."""

    def __init__(self, layers: Sequence[Layer], prefixes: Sequence[str], policy: Policy, replicas: int | None) -> None:
        self.layers = layers
        self.prefixes = prefixes
        self.policy = policy
        self.replicas = replicas

    def find(self) -> Iterator[Problem]:
        seats = self.policy.seats
        if isinstance(seats, TwoClassSeats) and not seats.percentage and not may_run_on(self.policy, SPOT):
            yield from self._without_spot()
        yield from self._out_of_reach()
        if self.policy.when_unsatisfiable == "wait" and self.policy.fallback_after:
            yield from self._say(
                "fallback-after",
                "has no effect with when-unsatisfiable=wait: nothing stands in, ever",
                "remove it, or write fallback or any",
            )
        if self.policy.when_unsatisfiable != "fallback":
            yield from self._say(
                "fallback-to",
                f"has no effect with when-unsatisfiable={self.policy.when_unsatisfiable}",
                "remove it, or write fallback",
            )
        if self.policy.disruption_schedule and not self.policy.max_moves_per_hour:
            yield from self._say(
                "disruption-schedule",
                "has no effect: max-moves-per-hour is 0, so nothing is moved",
                "allow moves, or remove it",
            )
        if not self.policy.disruption_schedule:
            yield from self._say("timezone", "has no effect without disruption-schedule", "add one, or remove it")

    def _say(self, key: str, fault: str, fix: str) -> Iterator[Problem]:
        found = find_key(self.layers, self.prefixes, key)
        if found is not None:
            layer, full, value = found
            yield Problem(layer.source, full, value, fault, fix, warning=True)

    def _without_spot(self) -> Iterator[Problem]:
        for key in _FOR_SPOT_ALONE:
            fault = "has no effect without spot-percentage: all replicas are on-demand"
            yield from self._say(key, fault, "set spot-percentage, or remove it")

    def _out_of_reach(self) -> Iterator[Problem]:
        found = shortfall(self.policy, self.replicas)
        if found is None:
            return
        # Of the keys that do it together, one that the object says itself: it answers for no other.
        keys = [key for key, _ in found.keys]
        own = next((key for key in keys if find_key(self.layers[:1], self.prefixes, key) is not None), keys[0])
        yield from self._say(own, found.of(own), found.consequence)
