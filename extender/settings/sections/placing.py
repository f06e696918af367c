"""Sections of where pods go: policies, placement, and scale-in."""

from typing import Annotated, Literal

from msgspec import Meta, field

from extender.settings.selectors import Selector
from extender.settings.values import (
    RELOADED,
    SOME_DNS_NAME,
    Section,
    doc,
    duration,
)


class ScaleInSettings(Section, frozen=True):
    """What keeps the split when a workload becomes smaller."""

    deletion_cost: Annotated[
        bool,
        doc(
            "Write the annotation pod-deletion-cost on pods of ReplicaSets, so that scaling in removes the pods that "
            "the smaller split does not need; a cost that somebody else has set stays"
        ),
    ] = True
    settle: Annotated[
        str, duration("How long a revision must have been unchanged before the costs of its pods are written"), RELOADED
    ] = "2s"
    rate: Annotated[float, doc("Most deletion costs that are written in a second"), Meta(gt=0), RELOADED] = 50.0


class PlacementSettings(Section, frozen=True):
    """How the class of a pod is enforced; and pods with their class written on them, which wait for a node of it."""

    enforcement: Annotated[
        Literal["auto", "affinity", "extender"],
        doc(
            "What holds where a policy does not say spotmix.io/enforcement: affinity writes the class on "
            "each pod, extender has the scheduler extender keep it, auto writes it where an autoscaler is seen or "
            "the pod's scheduler does not ask the extender"
        ),
        RELOADED,
    ] = "auto"
    asking_schedulers: Annotated[
        tuple[str, ...],
        doc(
            "Schedulers that ask the extender, as far as is known before they have: with auto their pods get no class "
            "written, unless an autoscaler is seen or they turn out not to ask"
        ),
        RELOADED,
    ] = ()
    node_startup: Annotated[
        str,
        duration(
            "How long a pod waits for a node that an autoscaler launches for it; without an autoscaler's word it waits "
            "for fallback-after alone, or for 3m"
        ),
        RELOADED,
    ] = "10m"
    replace_pending: Annotated[
        bool,
        doc(
            "Delete pods whose class cannot be had and that never had a node, where their owner makes them anew, so "
            "that their replacements go to a class that may stand in; false lets them wait"
        ),
        RELOADED,
    ] = True
    release_rate: Annotated[
        float,
        doc(
            "Most pods in a second on which the class is written and whose gate is taken away, twice as many in a burst"
        ),
        Meta(gt=0),
        RELOADED,
    ] = 1000.0
    releases_in_flight: Annotated[
        int,
        doc(
            "Most of these patches that wait for an answer at the same time; where they are too many for the API "
            "server, its priority and fairness has them wait"
        ),
        Meta(ge=1, le=80),
    ] = 32


class PolicySettings(Section, frozen=True):
    """How the annotations of workloads and Namespaces are read."""

    prefixes: Annotated[
        tuple[str, ...],
        doc("Prefixes of annotations and labels that are read; where two say different things the earlier one counts"),
        Meta(min_length=1),
    ] = ("spotmix.io", "spotalis.io")
    defaults: Annotated[
        dict[str, str | int],
        doc(
            "Policy where neither a workload nor its Namespace sets a key; keys have no prefix, as in "
            '{"spot-percentage": "70"}'
        ),
        RELOADED,
    ] = field(default_factory=dict)
    protected_namespaces: Annotated[
        tuple[str, ...],
        doc("Namespaces whose pods may go to any node; kube-system and that of Spotmix always are among them"),
        RELOADED,
    ] = ("kube-system",)
    namespaces: Annotated[
        tuple[Annotated[str, SOME_DNS_NAME], ...],
        doc(
            "Namespaces whose workloads are managed, those above left out; none named means all. In the chart, Spotmix "
            "then may write in these alone"
        ),
        RELOADED,
    ] = ()
    namespace_selector: Annotated[
        Selector,
        doc(
            "Labels that a namespace has to have for its workloads to be managed, as {matchLabels: {spot: allowed}}; "
            "it also has to be one of policy.namespaces where that names some"
        ),
        RELOADED,
    ] = Selector()
