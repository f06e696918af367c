"""The section of the drift loop."""

from typing import Annotated

from msgspec import Meta

from extender.settings.values import (
    DNS_NAME,
    IMAGE,
    IN_PERCENT,
    NAME,
    PERCENT,
    RELOADED,
    SOME_DNS_NAME,
    Section,
    doc,
    duration,
)


class DriftSettings(Section, frozen=True):
    """The drift loop, which evicts pods so that workloads come back to the split that their owners asked for."""

    enabled: Annotated[bool, doc("Move pods when a class of nodes holds more of a workload than its split says")] = True
    read_only: Annotated[
        bool,
        doc(
            "Dry run: plan moves and report them, ask the API server with dryRun whether it would evict, change nothing"
        ),
        RELOADED,
    ] = False
    interval: Annotated[
        str,
        duration("How often every workload is looked at, also when nothing about it has changed; at least 5s"),
        RELOADED,
    ] = "30s"
    min_pod_age: Annotated[str, duration("Pods younger than this are not moved"), RELOADED] = "2m"
    dwell: Annotated[
        str,
        duration("How long a node must have been Ready, and not about to go away, before pods are moved to it"),
        RELOADED,
    ] = "5m"
    max_moves_per_hour: Annotated[
        int,
        doc("Most moves of a workload in an hour, where its annotation max-moves-per-hour says nothing"),
        Meta(ge=0, le=10_000),
        RELOADED,
    ] = 6
    max_moves_in_flight: Annotated[
        int,
        doc(
            "Most moves in the whole cluster at the same time; a move lasts until the old pod has ended and its "
            "replacement is Ready"
        ),
        Meta(ge=1, le=10_000),
        RELOADED,
    ] = 10
    workload_in_flight: Annotated[
        int,
        doc("Most moves of one workload at the same time, in percent of its replicas; one is always allowed", PERCENT),
        IN_PERCENT,
        RELOADED,
    ] = 10
    max_unavailable: Annotated[
        int,
        doc(
            "Most pods of a workload that may be unavailable, the moved one included, in percent of its replicas; one "
            "is always allowed",
            PERCENT,
        ),
        IN_PERCENT,
        RELOADED,
    ] = 5
    drain_on_interruption: Annotated[
        bool,
        doc(
            "Evict the pods of a spot node that is about to be taken away, so that replacements start before it is gone"
        ),
        RELOADED,
    ] = True
    drain_max_unavailable: Annotated[
        int,
        doc(
            "Most pods of a workload that may be unavailable while its pods leave a spot node that is about to be "
            "taken away, in percent of its replicas; counts for pods that no PodDisruptionBudget covers",
            PERCENT,
        ),
        IN_PERCENT,
        RELOADED,
    ] = 25
    not_ready_nodes: Annotated[
        int,
        doc(
            "Move nothing while more than this share of the nodes is being lost: not Ready for less than 15 minutes, "
            "in percent",
            PERCENT,
        ),
        IN_PERCENT,
        RELOADED,
    ] = 20
    move_singletons: Annotated[bool, doc("Also move the pod of a workload that has one replica"), RELOADED] = False
    back_off: Annotated[
        str,
        duration("How long a workload is left alone after a move that did not help; each further one doubles it"),
        RELOADED,
    ] = "1m"
    max_back_off: Annotated[
        str, duration("Longest time that a workload is left alone after moves that did not help"), RELOADED
    ] = "1h"
    circuit_moves: Annotated[
        int,
        doc("Moves that did not help, within circuitWindow, after which a workload is left alone for circuitReset"),
        Meta(ge=1, le=1000),
        RELOADED,
    ] = 3
    circuit_window: Annotated[str, duration("Time in which the moves that did not help are counted"), RELOADED] = "6h"
    circuit_reset: Annotated[
        str,
        duration(
            "How long a workload is left alone after circuitMoves moves that did not help, unless its policy changes "
            "before"
        ),
        RELOADED,
    ] = "24h"
    replacement_timeout: Annotated[
        str,
        duration("How long a replacement may take to become Ready, in addition to the grace period of the old pod"),
        RELOADED,
    ] = "15m"
    blocked_after: Annotated[
        str,
        duration(
            "How long a pod has to stay on the wrong class before an Event says why it is not moved; six times as long "
            "where the reason passes by itself"
        ),
        RELOADED,
    ] = "5m"
    placeholders: Annotated[
        int,
        doc(
            "Most placeholders in the cluster at the same time: pods of Spotmix that have an autoscaler bring a node "
            "before a pod is moved or let go to its class; 0 makes none, so that pods go where there is room already"
        ),
        Meta(ge=0, le=1000),
    ] = 3
    placeholder_image: Annotated[
        str, doc("Image of placeholders; it has to do nothing, and run as any user", IMAGE), Meta(min_length=1)
    ] = "registry.k8s.io/pause:3.10"
    store: Annotated[
        str,
        doc("ConfigMap that keeps moves in flight, waiting times and recent interruptions when Spotmix restarts", NAME),
        SOME_DNS_NAME,
    ] = "spotmix-drift"
    namespace: Annotated[
        str,
        doc(
            "Namespace of the ConfigMap drift.store and of placeholders; empty takes the pod's own ($POD_NAMESPACE), "
            "outside of a pod `default`",
            NAME,
        ),
        DNS_NAME,
    ] = ""
