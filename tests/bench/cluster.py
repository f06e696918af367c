"""A synthetic cluster: every object of it is made from its number, so it takes no memory and is always the same.

Thirty percent of the nodes are spot, in three zones and six instance types. Workload `w` is a Deployment with one
ReplicaSet of `replicas` pods and a spot percentage of its own. Its pods sit where their seats say and carry the
deletion cost of their seat, as Spotmix leaves a cluster: what is measured is a restart, not a first start.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bench import objects
from bench.template import Template
from bench.written import decided_pod, written_pod
from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.policy.seats import TwoClassSeats
from extender.core.scalein.costs import cost_of

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
TYPES = ("m6i.4xlarge", "m6a.4xlarge", "m7i.4xlarge", "c6i.8xlarge", "r6i.2xlarge", "m5.4xlarge")
PERCENTAGES = (70, 50, 30, 100, 80, 0)
SPOT_OF_TEN = 3
NAMESPACES = 50
SHAPES = tuple((f"{cpu}m", f"{memory}Mi") for cpu in (50, 100, 250, 500) for memory in (128, 256, 512))
CLASS_LABELS = {SPOT: {"karpenter.sh/capacity-type": "spot"}, ON_DEMAND: {"karpenter.sh/capacity-type": "on-demand"}}


Form = Literal["bound", "written", "pending", "gated"]
GATE = "spotmix.io/placement"


def uid(kind: int, index: int) -> str:
    """A UID: distinct, 36 characters, always the same."""
    return f"{index * 2654435761 % 2**32:08x}-{kind:04x}-4c6e-9d3a-{index:012x}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod of a workload sits: its node, and its deletion cost."""

    node: str
    cost: str


def extent(nodes: int, workloads: int, replicas: int) -> str:
    """How large a cluster is, in words; `replicas` of each workload."""
    return f"{workloads * replicas:,} pods, {workloads:,} workloads, {nodes:,} nodes"


class Cluster:
    """See the module.

    Args:
        nodes: how many.
        workloads: how many Deployments, each with a ReplicaSet; number `workloads` is one more that is not managed.
        replicas: of each workload.
        pods: how many of the pods exist; None for all.
        form: what they are: `bound`; `written`, bound with their class written on them; `pending`; or `gated`.
        policies: how many PlacementPolicies speak for the workloads, each for as many; a multiple of `NAMESPACES`.
    """

    def __init__(  # noqa: PLR0917 - numbers of a command line
        self,
        nodes: int,
        workloads: int,
        replicas: int,
        pods: int | None = None,
        form: Form = "bound",
        policies: int = 0,
    ) -> None:
        self.nodes, self.workloads, self.replicas = nodes, workloads, replicas
        self.pods = workloads * replicas if pods is None else pods
        self._node = {c: Template(objects.node(ZONES, labels)) for c, labels in CLASS_LABELS.items()}
        policy = {"spotmix.io/spot-percentage": "@percentage@", "spotmix.io/min-on-demand": "1"}
        above = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "@owner@", "uid": "@owner_uid@"}
        self._deployment = Template(objects.workload("Deployment", None, policy))
        self._replicaset = Template(objects.workload("ReplicaSet", above, policy))
        self._pods = [Template(objects.running_pod(*shape)) for shape in SHAPES]
        self._unready = [Template(objects.running_pod(*shape, ready=False)) for shape in SHAPES]
        self._requests = [Template(objects.pending_pod(*shape)) for shape in SHAPES]
        self._gated = [Template(objects.gated_pod(*shape, GATE)) for shape in SHAPES]
        self._written = {name: [Template(written_pod(*shape, name)) for shape in SHAPES] for name in CLASS_LABELS}
        self._decided = {name: [Template(decided_pod(*shape, name)) for shape in SHAPES] for name in CLASS_LABELS}
        self._form = form
        self._policies = policies
        self._policy = Template(objects.placement_policy())
        numbers = range(nodes)
        self._of_class = {
            SPOT: [n for n in numbers if self.class_of(n) == SPOT],
            ON_DEMAND: [n for n in numbers if self.class_of(n) == ON_DEMAND],
        }
        self._seats = {p: self._seated(TwoClassSeats(p, 1)) for p in PERCENTAGES}

    def _seated(self, seats: TwoClassSeats) -> list[tuple[str, str]]:
        """Class and cost of each seat."""
        return [(seats.class_at(seat), str(cost_of(seat))) for seat in range(1, self.replicas + 1)]

    @staticmethod
    def class_of(node: int) -> str:
        """The capacity class of a node."""
        return SPOT if node * 7 % 10 < SPOT_OF_TEN else ON_DEMAND

    @staticmethod
    def node_name(node: int) -> str:
        """Its name, as EC2 makes them."""
        return f"ip-10-{node >> 16}-{node >> 8 & 255}-{node & 255}.eu-west-1.compute.internal"

    def namespace(self, workload: int) -> str:
        """The namespace of a workload."""
        return f"team-{workload % NAMESPACES:02d}"

    @staticmethod
    def revision_name(workload: int) -> str:
        """The name of its ReplicaSet."""
        return f"service-{workload:05d}-6d4cf56db6"

    def pod_identity(self, workload: int, pod: int) -> dict[str, str]:
        """The values that tell pod number `pod`, which is of a workload."""
        return {
            "name": f"{self.revision_name(workload)}-{pod:06x}",
            "namespace": self.namespace(workload),
            "uid": uid(1, pod),
            "workload": f"service-{workload:05d}",
            "revision": self.revision_name(workload),
            "revision_uid": uid(3, workload),
        }

    def place(self, workload: int, rank: int) -> Place:
        """Where replica `rank` (0 is the first) of a workload sits."""
        capacity_class, cost = self._seats[PERCENTAGES[workload % len(PERCENTAGES)]][rank % self.replicas]
        homes = self._of_class[capacity_class]
        return Place(self.node_name(homes[(workload * 31 + rank * 17) % len(homes)]), cost)

    def seat(self, workload: int, rank: int) -> str:
        """The class of replica `rank` of a workload."""
        return self._seats[PERCENTAGES[workload % len(PERCENTAGES)]][rank % self.replicas][0]

    def pod(self, workload: int, pod: int, place: Place, *, version: int = 1, ready: bool = True) -> bytes:
        """A bound pod as the API server sends it."""
        templates = self._pods if ready else self._unready
        identity = self.pod_identity(workload, pod)
        template = templates[workload % len(SHAPES)]
        return template.fill(**identity, version=str(version), node=place.node, cost=place.cost)

    def request_pod(self, workload: int, pod: int) -> bytes:
        """A pending pod as kube-scheduler sends it."""
        template = self._requests[workload % len(SHAPES)]
        return template.fill(**self.pod_identity(workload, pod), version="1")

    def gated_pod(self, workload: int, pod: int) -> bytes:
        """A new pod that has our gate."""
        template = self._gated[workload % len(SHAPES)]
        return template.fill(**self.pod_identity(workload, pod), version="2")

    def decided_pod(self, pod: int, capacity_class: str) -> bytes:
        """Pod number `pod` once our gate is gone and its class written."""
        workload = pod % self.workloads
        template = self._decided[capacity_class][workload % len(SHAPES)]
        return template.fill(**self.pod_identity(workload, pod), version="2")

    def count(self, resource: str) -> int:
        """How many objects of a resource there are; one workload more than managed ones, which is not."""
        owners = self.workloads + 1
        counts = {
            "nodes": self.nodes,
            "namespaces": NAMESPACES,
            "pods": self.pods,
            "placementpolicies": self._policies,
        }
        return counts.get(resource, owners if resource in ("deployments", "replicasets") else 0)

    def listed(self, resource: str, start: int, limit: int) -> Iterator[bytes]:
        """Objects of a resource, by number."""
        make = {
            "nodes": self._node_at,
            "namespaces": self._namespace_at,
            "deployments": self._deployment_at,
            "replicasets": self._replicaset_at,
            "pods": self._pod_at,
            "placementpolicies": self._policy_at,
        }.get(resource)
        return (make(n) for n in range(start, min(start + limit, self.count(resource)))) if make else iter(())

    @staticmethod
    def _namespace_at(n: int) -> bytes:
        return b'{"metadata":{"name":"team-%02d","uid":"%b","resourceVersion":"1"}}' % (n, uid(6, n).encode())

    def _policy_at(self, n: int) -> bytes:
        return self._policy.fill(
            name=f"policy-{n:04d}", namespace=self.namespace(n), uid=uid(8, n), group=self._group(n)
        )

    def _group(self, workload: int) -> str:
        return f"group-{workload % max(1, self._policies):04d}"

    def _node_at(self, n: int) -> bytes:
        kind = TYPES[n // len(ZONES) % len(TYPES)]
        return self._node[self.class_of(n)].fill(
            name=self.node_name(n), uid=uid(7, n), version="1", zone=ZONES[n % len(ZONES)], type=kind
        )

    def _deployment_at(self, w: int) -> bytes:
        return self._deployment.fill(**self._owner(w, 2), name=f"service-{w:05d}")

    def _replicaset_at(self, w: int) -> bytes:
        owner = {"owner": f"service-{w:05d}", "owner_uid": uid(2, w)}
        return self._replicaset.fill(**self._owner(w, 3), name=self.revision_name(w), **owner)

    def _owner(self, w: int, kind: int) -> dict[str, str]:
        return {
            "namespace": self.namespace(w),
            "uid": uid(kind, w),
            "version": "1",
            "group": self._group(w),
            "enabled": "true" if w < self.workloads else "false",
            "replicas": str(self.replicas),
            "percentage": str(PERCENTAGES[w % len(PERCENTAGES)]),
            "revision_uid": uid(3, w),
        }

    def _pod_at(self, p: int) -> bytes:
        workload, rank = p % self.workloads, p // self.workloads
        if self._form == "gated":
            return self.gated_pod(workload, p)
        if self._form == "pending":
            return self.request_pod(workload, p)
        place = self.place(workload, rank)
        if self._form == "bound":
            return self.pod(workload, p, place)
        written = self._written[self.seat(workload, rank)][workload % len(SHAPES)]
        return written.fill(**self.pod_identity(workload, p), version="1", node=place.node, cost=place.cost)
