"""Which taints keep pods off spot nodes, and what a pod that may go there has to tolerate.

Known are those of the platforms, those of the settings, and those that spot nodes show now, or nodes that an autoscaler
would launch. Never one that says that a node is going away.
"""

from collections.abc import Collection, Iterable

from extender.core.model.classes import ClassRules
from extender.core.model.taints import Taint, Toleration
from extender.core.policy.rules import PolicyRules
from extender.core.state.state import ClusterState

SPOT_TOLERATIONS: tuple[Toleration, ...] = (
    Toleration("cloud.google.com/gke-spot", "Equal", "true", "NoSchedule"),
    Toleration("kubernetes.azure.com/scalesetpriority", "Equal", "spot", "NoSchedule"),
    Toleration("oci.oraclecloud.com/oke-is-preemptible", "Exists", "", "NoSchedule"),
    Toleration("scheduling.cast.ai/spot", "Exists", "", "NoSchedule"),
    Toleration("karpenter.sh/capacity-type", "Equal", "spot", "NoSchedule"),
)
"""Of the taints that platforms put on spot nodes, as their own documentation writes them; and of the one
that NodePools of Karpenter are commonly given: before there is a first node none shows it.
"""

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def parse_taint(text: str) -> Toleration:
    """The toleration of a taint written as kubectl does: `key=value:effect`, or `key:effect` for any value.

    Raises:
        ValueError: it is none; the text says what to write.
    """
    left, colon, effect = text.strip().rpartition(":")
    key, equals, value = left.partition("=")
    if not colon or not key or effect not in _EFFECTS:
        raise ValueError(
            f"{text!r} is no taint; write key=value:effect, or key:effect for any value, such as spot=true:NoSchedule; "
            f"effects are {', '.join(_EFFECTS)}"
        )
    return Toleration(key, "Equal", value, effect) if equals else Toleration(key, "Exists", "", effect)


class SpotTolerations:
    """Says what pods lack. What follows from nodes and rules alone is kept until they change.

    Args:
        state: the cluster: which taints nodes have, how nodes are told apart, which further taints spot nodes have.
    """

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._found_by: tuple[PolicyRules, int] | None = None
        self._all: tuple[Toleration, ...] = ()
        self._keys: frozenset[str] = frozenset()

    def missing(self, present: Iterable[Toleration]) -> tuple[Toleration, ...]:
        """The tolerations of spot taints that `present` lacks."""
        rules, census = self._state.workloads.rules, self._state.census
        if self._found_by != (rules, census.version):
            self._found_by = (rules, census.version)
            never = rules.classes.going_away_keys
            known = (*SPOT_TOLERATIONS, *rules.spot_tolerations)
            wanted = (*known, *self._seen(rules.classes, {each.key for each in known}))
            self._all = _lacking([each for each in wanted if each.key not in never], ())
            self._keys = frozenset(each.key for each in self._all)
        held = [each for each in present if not each.key or each.key in self._keys]
        return _lacking(self._all, held) if held else self._all

    def _seen(self, classes: ClassRules, keys: Collection[str]) -> Iterable[Toleration]:
        """Of the taints on spot nodes, those that say so: by a known taint's key, or as a label of theirs would."""
        labels, interruptible = classes.labels, classes.interruptible
        for taint in sorted(
            self._state.census.spot_taints(interruptible), key=lambda taint: (taint.key, taint.value, taint.effect)
        ):
            says_spot = taint.key in labels and classes.class_of({taint.key: taint.value}) in interruptible
            if taint.key in keys or says_spot:
                yield Toleration(taint.key, "Equal", taint.value, taint.effect)


def _lacking(wanted: Iterable[Toleration], present: Iterable[Toleration]) -> tuple[Toleration, ...]:
    """Of `wanted`, what neither `present` nor an earlier one of them tolerates."""
    held, lacking = list(present), []
    for toleration in wanted:
        if not any(_covers(each, toleration) for each in held):
            held.append(toleration)
            lacking.append(toleration)
    return tuple(lacking)


def _covers(held: Toleration, wanted: Toleration) -> bool:
    """Whether whatever `wanted` tolerates is tolerated by `held` too."""
    if wanted.operator == "Exists":
        return held.operator == "Exists" and held.key in ("", wanted.key) and held.effect in ("", wanted.effect)
    return held.tolerates(Taint(wanted.key, wanted.value, wanted.effect))
