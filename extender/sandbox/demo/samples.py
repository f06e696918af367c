"""What the demo runs: eighteen nodes in two classes, three zones and three instance types, and four workloads.

Each workload shows something else: a percentage with a floor, a base with a cap per spot pool, replicas that wait for
their class instead of falling back, and a cap on the spot share of a Job.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from extender.kube.resources import DEPLOYMENTS, JOBS, STATEFULSETS
from extender.sandbox.nodes import CapacityClass, SimNode

NAMESPACE = "demo"
ZONES = ("a", "b", "c")
INSTANCE_TYPES: Mapping[str, str] = {"m.xlarge": "16Gi", "c.xlarge": "8Gi", "r.xlarge": "32Gi"}
"""Instance types and their memory; all have four CPUs."""
BIG_MEMORY = "r.xlarge"
"""The one type with room for a replica of `cache`, and for one only."""

_PREFIX: Mapping[str, str] = {"spot": "spot", "on-demand": "od"}
RESOURCES = {resource.kind: resource for resource in (DEPLOYMENTS, STATEFULSETS, JOBS)}


def node(capacity_class: CapacityClass, instance_type: str, zone: str, suffix: str = "") -> SimNode:
    """A node of the demo: `spot-m-a` is of instance type m.xlarge in zone a."""
    name = f"{_PREFIX[capacity_class]}-{instance_type.partition('.')[0]}-{zone}{suffix}"
    return SimNode(name, capacity_class, zone, instance_type, cpu="4", memory=INSTANCE_TYPES[instance_type])


def nodes() -> list[SimNode]:
    """One node for each class, instance type and zone."""
    classes: Iterable[CapacityClass] = ("spot", "on-demand")
    return [node(each, kind, zone) for each in classes for kind in INSTANCE_TYPES for zone in ZONES]


@dataclass(frozen=True, slots=True)
class SampleWorkload:
    """A workload to create.

    Attributes:
        kind, name: of the object.
        replicas: how many; a Job's parallelism.
        policy: keys of the policy without their prefix.
        cpu, memory: requests of each replica.
        selector: node selector of each replica.
    """

    kind: str
    name: str
    replicas: int
    policy: Mapping[str, str]
    cpu: str = "250m"
    memory: str = "512Mi"
    selector: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The object's path in the API."""
        return RESOURCES[self.kind].path_in(NAMESPACE, self.name)

    def body(self) -> dict[str, Any]:
        """The object as the API takes it, its opt-in label and annotations included."""
        template = {
            "metadata": {"labels": {"app": self.name}},
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "registry.example/app:v1",
                        "resources": {"requests": {"cpu": self.cpu, "memory": self.memory}},
                    }
                ],
                "nodeSelector": dict(self.selector),
                "terminationGracePeriodSeconds": 0,
                **({"restartPolicy": "Never"} if self.kind == "Job" else {}),
            },
        }
        selector = {"selector": {"matchLabels": {"app": self.name}}}
        sizes: Mapping[str, dict[str, Any]] = {
            "Deployment": {"replicas": self.replicas, **selector},
            "StatefulSet": {"replicas": self.replicas, "serviceName": self.name, **selector},
            "Job": {"parallelism": self.replicas, "completions": self.replicas},
        }
        return {
            "metadata": {
                "name": self.name,
                "labels": {"spotmix.io/enabled": "true"},
                "annotations": {f"spotmix.io/{key}": value for key, value in self.policy.items()},
            },
            "spec": {**sizes[self.kind], "template": template},
        }


WEB_FLOOR = 2
WEB = SampleWorkload("Deployment", "web", 10, {"spot-percentage": "70", "min-on-demand": str(WEB_FLOOR)})
API = SampleWorkload("Deployment", "api", 6, {"on-demand-base": "2", "spot-percentage": "100", "max-per-pool": "1"})
CACHE = SampleWorkload(
    "StatefulSet",
    "cache",
    5,
    {"spot-percentage": "60", "when-unsatisfiable": "wait"},
    cpu="1",
    memory="20Gi",
)
BATCH = SampleWorkload(
    "Job",
    "batch",
    8,
    {"spot-percentage": "100", "max-spot": "5"},
    cpu="1",
    selector={"node.kubernetes.io/instance-type": "c.xlarge"},
)
WORKLOADS = (WEB, API, CACHE, BATCH)


def new_template(image: str) -> dict[str, Any]:
    """A strategic merge patch that rolls a Deployment out to another image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
