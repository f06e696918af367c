"""Scenario files: what a cluster consists of, what happens to it, and when.

A YAML file, versioned, that refuses unknown keys; every fault names the field, the value seen and the fix. Policies are
written as users write them: as annotations of workloads and namespaces, and as objects.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta, Struct

from extender.core.model.errors import ConfigError
from extender.core.model.quantity import parse_quantity
from extender.core.placement.tolerations import parse_taint
from extender.core.policy.values import parse_duration
from extender.simulate.faults import explained

API_VERSION = "spotmix.io/v1alpha1"
KIND = "Simulation"

Name = Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$")]
Count = Annotated[int, Meta(ge=0, le=10_000)]
Price = Annotated[float, Meta(ge=0)]
Strings = dict[str, str]


def _duration(name: str, text: str) -> None:
    try:
        parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}, which {error.args[0]}; {error.args[1]}") from error


def parse_share(name: str, value: str | float) -> float:
    """A share, written as a percentage (`5%`) or a number (`0.05`).

    Raises:
        ValueError: it is none; the text says what to write.
    """
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1000.0:
        raise ValueError(f"{name} is {value!r}; write a percentage such as 5%, or a number such as 0.05")
    return share


def _quantities(name: str, quantities: dict[str, str | int | float]) -> None:
    for resource, quantity in quantities.items():
        try:
            parse_quantity(str(quantity))
        except ValueError as error:
            raise ValueError(f"{name}.{resource}: {error}") from error


class _Part(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A part of the file."""


class Reclaim(_Part, frozen=True):
    """How nodes are taken away: `per_hour` is how many interruptions a node sees in an hour, on average."""

    per_hour: str | float = "0%"
    notice: str = "2m"

    def __post_init__(self) -> None:
        """Check values."""
        parse_share("perHour", self.per_hour)
        _duration("notice", self.notice)


class Replacement(_Part, frozen=True):
    """How long it takes until a lost node is replaced: at least, and on average."""

    min: str = "60s"
    mean: str = "3m"

    def __post_init__(self) -> None:
        """Check values."""
        _duration("min", self.min)
        _duration("mean", self.mean)
        if parse_duration(self.mean) < parse_duration(self.min):
            raise ValueError(f"mean is {self.mean!r}, which is below min ({self.min!r}); raise it")


class ClassPart(_Part, frozen=True):
    """What holds for the pools of a capacity class that do not say it themselves. `price` is of a node, an hour."""

    price: Price | None = None
    reclaim: Reclaim | None = None
    replacement: Replacement | None = None


class PoolPart(_Part, frozen=True):
    """A pool of nodes. `node` is what each offers to pods; `refused` lets the scheduler refuse every pod there.

    An autoscaler keeps between `size` and `max` nodes; without `max` it leaves the pool alone.
    """

    name: Name
    capacity_class: str = msgspec.field(name="class")
    size: Count
    max: Count = 0
    node: dict[str, str | int | float] = msgspec.field(default_factory=lambda: {"cpu": "4", "memory": "16Gi"})
    instance_type: str = ""
    zone: str = "a"
    labels: Strings = msgspec.field(default_factory=dict)
    taints: tuple[str, ...] = ()
    price: Price | None = None
    reclaim: Reclaim | None = None
    replacement: Replacement | None = None
    refused: bool = False

    def __post_init__(self) -> None:
        """Check values."""
        _quantities("node", self.node)
        for taint in self.taints:
            parse_taint(taint)
        if self.max and self.max < self.size:
            raise ValueError(f"max is {self.max}, which is below size ({self.size}); raise it")


class AutoscalerPart(_Part, frozen=True):
    """An autoscaler: `launch` is how long a node takes to come, `empty` how long one stands empty before it goes."""

    launch: str = "40s"
    empty: str = "60s"

    def __post_init__(self) -> None:
        """Check values."""
        _duration("launch", self.launch)
        _duration("empty", self.empty)


class WorkloadPart(_Part, frozen=True):
    """A workload, and how its pods behave.

    `template` is a pod template as in a manifest; `requests` is short for one container that asks for that. `copies`
    makes as many workloads, named `NAME-0`, `NAME-1` and so on. `run` is how long a Job's pod works.
    """

    name: Name
    kind: Literal["Deployment", "StatefulSet", "ReplicaSet", "Job"] = "Deployment"
    namespace: Name = "default"
    replicas: Count = 1
    copies: Count = 1
    completions: Count | None = None
    labels: Strings = msgspec.field(default_factory=dict)
    annotations: Strings = msgspec.field(default_factory=dict)
    requests: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    template: dict[str, Any] = msgspec.field(default_factory=dict)
    startup: str = "10s"
    shutdown: str = "5s"
    run: str = "10m"

    def __post_init__(self) -> None:
        """Check values."""
        _quantities("requests", self.requests)
        for name in ("startup", "shutdown", "run"):
            _duration(name, getattr(self, name))
        if self.requests and self.template:
            raise ValueError("requests and template exclude each other; write the requests into the template")
        if self.completions is not None and self.kind != "Job":
            raise ValueError(f"completions is for a Job; this is a {self.kind}")


class NamespacePart(_Part, frozen=True):
    """A namespace's labels and annotations."""

    labels: Strings = msgspec.field(default_factory=dict)
    annotations: Strings = msgspec.field(default_factory=dict)


class BudgetPart(_Part, frozen=True):
    """A PodDisruptionBudget for the pods of a workload: a number or a percentage of one of the two."""

    workload: str
    min_available: int | str | None = None
    max_unavailable: int | str | None = None

    def __post_init__(self) -> None:
        """Check values."""
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError("give one of minAvailable and maxUnavailable")
        value = self.min_available if self.min_available is not None else self.max_unavailable
        if not re.fullmatch("[0-9]{1,5}%?", str(value)):
            raise ValueError(f'{value!r} is no amount of pods; write a number, or a percentage such as "50%"')


class PolicyMetadata(_Part, frozen=True):
    """`metadata` of a policy object; `namespace` is of a PlacementPolicy."""

    name: Name
    namespace: Name = "default"


class PolicyPart(_Part, frozen=True):
    """A policy object as in a manifest."""

    kind: Literal["PlacementPolicy", "ClusterPlacementPolicy"]
    metadata: PolicyMetadata
    spec: dict[str, Any]
    api_version: Literal["spotmix.io/v1alpha1"] = "spotmix.io/v1alpha1"


class DeleteAct(_Part, frozen=True):
    """Delete a policy object; `namespace` is of a PlacementPolicy."""

    kind: Literal["PlacementPolicy", "ClusterPlacementPolicy"]
    name: Name
    namespace: Name = "default"


class ScaleAct(_Part, frozen=True):
    """Change a workload's size."""

    workload: str
    replicas: Count


class AnnotateAct(_Part, frozen=True):
    """Set annotations of a workload; null removes one."""

    workload: str
    annotations: dict[str, str | None]


class LoseAct(_Part, frozen=True):
    """Lose every node of a pool at once, and get none for a while."""

    pool: str
    duration: str = msgspec.field(name="for", default="30m")
    notice: str = "0s"

    def __post_init__(self) -> None:
        """Check values."""
        _duration("for", self.duration)
        _duration("notice", self.notice)


class RefuseAct(_Part, frozen=True):
    """Have the autoscaler get no node of a class for a while; those that there are stay."""

    capacity_class: str = msgspec.field(name="class")
    duration: str = msgspec.field(name="for", default="30m")

    def __post_init__(self) -> None:
        """Check values."""
        _duration("for", self.duration)


class EventPart(_Part, frozen=True):
    """Something that happens `at` a time after the start: one of the others."""

    at: str
    scale: ScaleAct | None = None
    annotate: AnnotateAct | None = None
    roll_out: str | None = None
    lose: LoseAct | None = None
    refuse: RefuseAct | None = None
    apply: PolicyPart | None = None
    delete: DeleteAct | None = None

    def __post_init__(self) -> None:
        """Check values."""
        _duration("at", self.at)
        acts = (self.scale, self.annotate, self.roll_out, self.lose, self.refuse, self.apply, self.delete)
        if sum(act is not None for act in acts) != 1:
            fix = "give one of scale, annotate, rollOut, lose, apply and delete; or refuse, with an autoscaler"
            raise ValueError(fix)


class Scenario(_Part, frozen=True):
    """The whole file. `settings` are sections of the configuration file of Spotmix, such as `drift`."""

    duration: str = "24h"
    seed: int = 1
    start: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    warm_up: str = "10m"
    watch_lag: str = "0.05s"
    classes: dict[str, ClassPart] = msgspec.field(default_factory=dict)
    pools: tuple[PoolPart, ...] = ()
    autoscaler: AutoscalerPart | None = None
    namespaces: dict[Name, NamespacePart] = msgspec.field(default_factory=dict)
    policies: tuple[PolicyPart, ...] = ()
    workloads: tuple[WorkloadPart, ...] = ()
    pdbs: tuple[BudgetPart, ...] = ()
    events: tuple[EventPart, ...] = ()
    settings: dict[str, Any] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check values."""
        for name, text in (("duration", self.duration), ("warmUp", self.warm_up), ("watchLag", self.watch_lag)):
            _duration(name, text)
        if not parse_duration(self.duration):
            raise ValueError("duration is 0; write how long to simulate, such as 24h")


def parse_scenario(text: str, origin: str) -> Scenario:
    """Read a scenario.

    Args:
        text: the YAML.
        origin: what errors call it, such as the file's name.

    Raises:
        ConfigError: names the field, the value seen and the fix.
    """
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: is not YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{origin}: is no mapping; start with apiVersion: {API_VERSION}")
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        seen = tree.pop(key, None)
        if seen != wanted:
            raise ConfigError(f"{origin}: {key} is {seen!r}; write {key}: {wanted}")
    try:
        return msgspec.convert(tree, Scenario)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{origin}: {explained(str(error), tree, Scenario)}") from error
