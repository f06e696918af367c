"""Capacity classes: which class a node is of, and whether it is going away.

The defaults know the markers of Karpenter, EKS, GKE, AKS, ACK, OpenShift, OKE, CAST AI, Ocean and Cluster Autoscaler;
all of them can be extended or replaced by settings.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from extender.core.model.taints import Taint

SPOT = "spot"
ON_DEMAND = "on-demand"

INSTANCE_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")


class ClassRule(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A node with label `label`, of one of `values` (in any case) if there are some, is of `capacity_class`.

    The first rule that matches wins.
    """

    label: str
    capacity_class: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether a node with these labels falls under the rule."""
        value = labels.get(self.label)
        if value is None:
            return False
        return not self.values or value.lower() in {v.lower() for v in self.values}


def _rules(label: str, **classes: Sequence[str]) -> tuple[ClassRule, ...]:
    return tuple(ClassRule(label, name.replace("_", "-"), tuple(values)) for name, values in classes.items())


OWN_LABEL = "spotmix.io/capacity-class"
"""What somebody wrote for us decides, whatever else a node looks like."""

_NORMAL = ("normal", "ondemand", "on-demand", "Ec2OnDemand", "od")

DEFAULT_RULES: tuple[ClassRule, ...] = (
    *_rules(OWN_LABEL, spot=["spot"], on_demand=["on-demand"]),
    *_rules("karpenter.sh/capacity-type", spot=["spot"], on_demand=["on-demand", "reserved"]),
    *_rules("eks.amazonaws.com/capacityType", spot=["SPOT"], on_demand=["ON_DEMAND", "CAPACITY_BLOCK"]),
    *_rules("cloud.google.com/gke-provisioning", spot=["spot", "preemptible"], on_demand=["standard"]),
    *_rules("cloud.google.com/gke-spot", spot=["true"]),
    *_rules("cloud.google.com/gke-preemptible", spot=["true"]),
    *_rules("kubernetes.azure.com/scalesetpriority", spot=["spot"], on_demand=["regular"]),
    *_rules("kubernetes.azure.com/priority", spot=["spot"], on_demand=["regular"]),
    *_rules(
        "node.alibabacloud.com/spot-strategy",
        spot=["SpotWithPriceLimit", "SpotAsPriceGo"],
        on_demand=["NoSpot"],
    ),
    ClassRule("machine.openshift.io/interruptible-instance", SPOT),
    *_rules("oci.oraclecloud.com/oke-is-preemptible", spot=["true"]),
    # A fallback node is on-demand, and has the label of the spot node that it stands in for as well.
    *_rules("scheduling.cast.ai/spot-fallback", on_demand=["true"]),
    *_rules("scheduling.cast.ai/spot", spot=["true"]),
    *_rules("spotinst.io/node-lifecycle", spot=["spot"], on_demand=["od"]),
    *_rules("yandex.cloud/preemptible", spot=["true"], on_demand=["false"]),
    # No platform's, but common in guides.
    *_rules("node.kubernetes.io/lifecycle", spot=["spot", "Ec2Spot"], on_demand=_NORMAL),
    *_rules("kubernetes.io/lifecycle", spot=["spot", "Ec2Spot"], on_demand=_NORMAL),
    *_rules("lifecycle", spot=["spot", "Ec2Spot"], on_demand=_NORMAL),
    *_rules("node-role.kubernetes.io/spot-worker", spot=["", "true"]),
    *_rules("node-role.kubernetes.io/spot", spot=["", "true"]),
)


class ConditionMarker(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A node condition of this type that is True, with this reason when one is given, says the node is going away."""

    type: str
    reason: str = ""


DEFAULT_GOING_AWAY_TAINTS: tuple[str, ...] = (
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "aws-node-termination-handler/spot-itn",
    "aws-node-termination-handler/rebalance-recommendation",
    "aws-node-termination-handler/scheduled-maintenance",
    "aws-node-termination-handler/asg-lifecycle-termination",
    "cloud.google.com/impending-node-termination",
    "ignore-taint.cluster-autoscaler.kubernetes.io/oke-impending-node-termination",
    "autoscaling.cast.ai/draining",
    "ToBeDeletedByClusterAutoscaler",
    "node.kubernetes.io/out-of-service",
    # Stopped by its cloud: nothing runs on it.
    "node.cloudprovider.kubernetes.io/shutdown",
)

DEFAULT_GOING_AWAY_CONDITIONS: tuple[ConditionMarker, ...] = (
    ConditionMarker("VMEventScheduled", "PreemptScheduled"),
    ConditionMarker("InstanceExpired", "InstanceToBeTerminated"),
    ConditionMarker("Terminating", "TerminationRequested"),
)


DEFAULT_INTERRUPTION_TAINTS: tuple[str, ...] = (
    "aws-node-termination-handler/spot-itn",
    "cloud.google.com/impending-node-termination",
    "ignore-taint.cluster-autoscaler.kubernetes.io/oke-impending-node-termination",
    "autoscaling.cast.ai/draining=spot-interruption",
)

DEFAULT_INTERRUPTION_CONDITIONS: tuple[ConditionMarker, ...] = DEFAULT_GOING_AWAY_CONDITIONS

DEFAULT_DRAINER_TAINTS: tuple[str, ...] = (
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "autoscaling.cast.ai/draining",
    "ToBeDeletedByClusterAutoscaler",
)


class NodeCondition(Struct, frozen=True, gc=False):
    """A node condition as its status carries it."""

    type: str
    status: str
    reason: str = ""


class ClassRules(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How nodes are told apart.

    `rules` are asked in order; a node that no rule knows is of `default_class`. `extra_rules` are asked before them,
    so that a platform can be added without repeating the defaults; likewise the `extra_...` markers.

    `interruption_...` markers say that the platform takes a spot node away: they are going-away markers too, and taints
    may be written with a value, `key=value`. `drainer_taints` say that somebody else moves the pods. `required_labels`
    are, by class, the labels and values that pods require on which it is written, in place of those that are seen.
    `interruptible` are the classes whose nodes the platform may take back.
    """

    default_class: str = ON_DEMAND
    extra_rules: tuple[ClassRule, ...] = ()
    rules: tuple[ClassRule, ...] = DEFAULT_RULES
    extra_going_away_taints: tuple[str, ...] = ()
    going_away_taints: tuple[str, ...] = DEFAULT_GOING_AWAY_TAINTS
    extra_going_away_conditions: tuple[ConditionMarker, ...] = ()
    going_away_conditions: tuple[ConditionMarker, ...] = DEFAULT_GOING_AWAY_CONDITIONS
    extra_interruption_taints: tuple[str, ...] = ()
    interruption_taints: tuple[str, ...] = DEFAULT_INTERRUPTION_TAINTS
    extra_interruption_conditions: tuple[ConditionMarker, ...] = ()
    interruption_conditions: tuple[ConditionMarker, ...] = DEFAULT_INTERRUPTION_CONDITIONS
    extra_drainer_taints: tuple[str, ...] = ()
    drainer_taints: tuple[str, ...] = DEFAULT_DRAINER_TAINTS
    required_labels: dict[str, dict[str, tuple[str, ...]]] = {}
    interruptible: tuple[str, ...] = (SPOT,)

    def class_of(self, labels: Mapping[str, str]) -> str:
        """The capacity class of a node with these labels."""
        for rule in (*self.extra_rules, *self.rules):
            if rule.matches(labels):
                return rule.capacity_class
        return self.default_class

    def doubt(self, labels: Mapping[str, str], taints: Iterable[Taint]) -> str:
        """What speaks against the class of a node with these labels and taints, for people; empty where nothing does.

        That two rules contradict each other, unless the first is meant to; that no rule knows a node that looks like
        spot, or the class that somebody wrote for us.
        """
        found = [rule for rule in self.rules if rule.matches(labels)]
        if OWN_LABEL in labels and not any(
            rule.label == OWN_LABEL and rule.matches(labels) for rule in (*self.extra_rules, *self.rules)
        ):
            return f"no rule knows {OWN_LABEL}={labels[OWN_LABEL]}"[:_SHOWN]
        if any(rule.matches(labels) for rule in self.extra_rules) or (found and found[0].label in _DECISIVE):
            return ""
        if found:
            first = found[0]
            other = next((rule for rule in found if rule.capacity_class != first.capacity_class), None)
            if other is None:
                return ""
            said = f"{first.label}={labels[first.label]} counts, though {other.label}={labels[other.label]}"
            return f"{said} says {other.capacity_class}"
        if self.default_class == SPOT:
            return ""
        known = frozenset(self.labels)
        marks = [(key, value) for key, value in labels.items() if key not in known]
        marks += [(taint.key, taint.value) for taint in taints]
        mark = next((f"{key}={value}"[:_SHOWN] for key, value in marks if _looks_like_spot(key, value)), "")
        return f"no rule knows it, and {mark} looks like spot" if mark else ""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes that a node can be of."""
        rules = (rule.capacity_class for rule in (*self.extra_rules, *self.rules))
        return tuple(sorted({*rules, self.default_class}))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that tell classes, in the order in which the rules ask about them."""
        required = (label for labels in self.required_labels.values() for label in labels)
        return tuple(dict.fromkeys((*(rule.label for rule in (*self.extra_rules, *self.rules)), *required)))

    @property
    def going_away_keys(self) -> frozenset[str]:
        """The keys of the taints that say a node is going away."""
        return frozenset(_key(marker) for marker in (*self._going_away_taints, *self.drainers))

    @property
    def _going_away_taints(self) -> tuple[str, ...]:
        return (
            *self.extra_going_away_taints,
            *self.going_away_taints,
            *self.extra_interruption_taints,
            *self.interruption_taints,
        )

    @property
    def _interruption_conditions(self) -> tuple[ConditionMarker, ...]:
        return (*self.extra_interruption_conditions, *self.interruption_conditions)

    @property
    def drainers(self) -> tuple[str, ...]:
        """The taints that say somebody else moves a node's pods."""
        return (*self.extra_drainer_taints, *self.drainer_taints)

    def going_away(self, taints: Iterable[Taint], conditions: Iterable[NodeCondition], *, deleting: bool) -> str:
        """The marker that says a node is going away, or an empty string."""
        if deleting:
            return "deletionTimestamp"
        marker = _first_taint((*self._going_away_taints, *self.drainers), taints)
        if marker:
            return marker
        markers = (*self.extra_going_away_conditions, *self.going_away_conditions, *self._interruption_conditions)
        return _first_condition(markers, conditions)

    def reclaimed(self, taints: Iterable[Taint], conditions: Iterable[NodeCondition]) -> bool:
        """Say whether a spot node's platform is about to take it away."""
        markers = (*self.extra_interruption_taints, *self.interruption_taints)
        return bool(_first_taint(markers, taints) or _first_condition(self._interruption_conditions, conditions))

    def drained(self, taints: Iterable[Taint]) -> bool:
        """Say whether somebody else moves a node's pods."""
        return bool(_first_taint(self.drainers, taints))


_DECISIVE = frozenset({OWN_LABEL, "scheduling.cast.ai/spot-fallback"})
_SHOWN = 128
_SPOT = re.compile(
    r"(?<!non)(?<!non-)(?<!not-)(?<!no-)(?<!no)(?<!hot)(spot(?!if|mix|alis|inst\b)|preempt|interruptible)"
)
_NO = frozenset({"false", "no", "off", "0", "never", "none", "disabled"})
_NAMES = frozenset({"kubernetes.io/hostname", "beta.kubernetes.io/hostname"})


def _looks_like_spot(key: str, value: str) -> bool:
    return key not in _NAMES and value.lower() not in _NO and bool(_SPOT.search(f"{key}={value}".lower()))


def _key(marker: str) -> str:
    return marker.partition("=")[0]


def _first_taint(markers: Iterable[str], taints: Iterable[Taint]) -> str:
    """The key of the first marker that a node has among its taints."""
    seen = {text for taint in taints for text in (taint.key, f"{taint.key}={taint.value}")}
    return next((_key(marker) for marker in markers if marker in seen), "")


def _first_condition(markers: Iterable[ConditionMarker], conditions: Iterable[NodeCondition]) -> str:
    wanted = list(markers)
    for condition in conditions:
        if condition.status == "True" and any(
            m.type == condition.type and m.reason in ("", condition.reason) for m in wanted
        ):
            return condition.type
    return ""


def first_label(labels: Mapping[str, str], keys: Sequence[str]) -> str:
    """The value of the first of `keys` that `labels` has, or an empty string."""
    for key in keys:
        value = labels.get(key)
        if value:
            return value
    return ""
