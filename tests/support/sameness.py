"""Pods, nodes and budgets at random, for asking the real scheduler and the real eviction API what we say of them."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from extender.sandbox import SimNode

Object = dict[str, Any]
Maker = Callable[["Case", random.Random], None]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"
GPU, DRIVER = "example.com/gpu", "disk.example.com"
BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
NAMESPACE = "default"
HEALTHY = {"currentHealthy": 3, "desiredHealthy": 1, "expectedPods": 3}


@dataclass
class Case:
    """A node of its own, pods that are on it, and a pod that may go there alone."""

    name: str
    node: Object
    pod: Object
    residents: list[Object] = field(default_factory=list)
    statuses: dict[str, Object] = field(default_factory=dict)
    volumes: list[Object] = field(default_factory=list)
    claims: list[Object] = field(default_factory=list)
    csi_node: Object | None = None

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.node["metadata"]["labels"]
        return labels

    def offer(self, **amounts: str) -> None:
        """What the node offers, by resource."""
        for part in ("capacity", "allocatable"):
            self.node["status"][part] = {**self.node["status"][part], **amounts}

    def reside(
        self, spec: Object | None = None, labels: Mapping[str, str] | None = None, status: Object | None = None
    ) -> None:
        """A pod that is on the node already."""
        name = f"{self.name}-r{len(self.residents)}"
        made = new_pod(name, {**(spec or {}), "nodeName": self.name}, labels)
        self.residents.append(made)
        self.statuses[name] = {"phase": "Running", **(status or {})}

    def claim(self, name: str, volume: Object, labels: Mapping[str, str], *modes: str) -> None:
        """A claim that is bound to a volume."""
        modes = modes or ("ReadWriteOnce",)
        full = f"{self.name}-{name}"
        source = volume if "csi" in volume else {"hostPath": {"path": "/x"}, **volume}
        spec = {
            **source,
            "capacity": {"storage": "1Gi"},
            "accessModes": list(modes),
            "storageClassName": "",
            "claimRef": {"namespace": NAMESPACE, "name": full},
        }
        self.volumes.append({"metadata": {"name": full, "labels": dict(labels)}, "spec": spec})
        wanted = {
            "volumeName": full,
            "storageClassName": "",
            "accessModes": list(modes),
            "resources": {"requests": {"storage": "1Gi"}},
        }
        self.claims.append({"metadata": {"name": full, "annotations": BOUND}, "spec": wanted})

    def use(self, *names: str) -> Object:
        """A spec that uses claims."""
        return {
            "volumes": [{"name": name, "persistentVolumeClaim": {"claimName": f"{self.name}-{name}"}} for name in names]
        }


def new_pod(name: str, spec: Object, labels: Mapping[str, str] | None = None) -> Object:
    given = {"containers": [container()], "terminationGracePeriodSeconds": 0, **spec}
    return {"metadata": {"name": name, "labels": dict(labels or {})}, "spec": given}


def container(name: str = "c", **more: Any) -> Object:
    return {"name": name, "image": "x", **more}


def asks(**requests: str) -> Object:
    """`resources` of a container. What is no core resource has limits too."""
    fixed = {name: amount for name, amount in requests.items() if "/" in name or name.startswith("hugepages")}
    return {"resources": {"requests": requests, **({"limits": fixed} if fixed else {})}}


def _cpu(rng: random.Random, most: int = 3000) -> str:
    return f"{rng.randrange(100, most, 100)}m"


def requests(case: Case, rng: random.Random) -> None:
    case.offer(cpu=f"{rng.randrange(1, 6)}", memory=f"{rng.randrange(1, 6)}Gi")
    for _ in range(rng.randrange(3)):
        case.reside({"containers": [container(**asks(cpu=_cpu(rng, 1500), memory=f"{rng.randrange(1, 1500)}Mi"))]})
    case.pod["spec"]["containers"] = [
        container(f"c{n}", **asks(cpu=_cpu(rng), memory=f"{rng.randrange(1, 3000)}Mi"))
        for n in range(rng.randrange(1, 3))
    ]


def extended(case: Case, rng: random.Random) -> None:
    offered, taken = rng.randrange(4), rng.randrange(3)
    if rng.random() < 0.8:
        case.offer(**{GPU: str(offered), "hugepages-2Mi": "64Mi"})
    if taken:
        case.reside({"containers": [container(**asks(**{GPU: str(taken)}))]})
    asked = {GPU: str(rng.randrange(3))}
    if rng.random() < 0.4:
        asked |= {"hugepages-2Mi": f"{rng.choice((32, 64, 128))}Mi", "cpu": "1m"}
    case.pod["spec"]["containers"] = [container(**asks(**asked))]


def storage_and_count(case: Case, rng: random.Random) -> None:
    case.offer(**{"ephemeral-storage": "10Gi", "pods": str(rng.randrange(1, 5))})
    for _ in range(rng.randrange(4)):
        case.reside({"containers": [container(**asks(**{"ephemeral-storage": "3Gi"}))]})
    case.pod["spec"]["containers"] = [container(**asks(**{"ephemeral-storage": f"{rng.randrange(6)}Gi"}))]


def init_and_sidecars(case: Case, rng: random.Random) -> None:
    case.offer(cpu=f"{rng.randrange(2, 14)}")

    def spec() -> Object:
        inits = [
            container(
                f"i{n}", **asks(cpu=_cpu(rng, 2500)), **({"restartPolicy": "Always"} if rng.random() < 0.5 else {})
            )
            for n in range(rng.randrange(1, 4))
        ]
        made: Object = {"initContainers": inits, "containers": [container(**asks(cpu=_cpu(rng, 1500)))]}
        if rng.random() < 0.3:
            made["resources"] = {"requests": {"cpu": f"{rng.randrange(9000, 10000)}m"}}
        if rng.random() < 0.3:
            made["runtimeClassName"] = "heavy"
        return made

    case.reside(spec())
    case.pod["spec"].update(spec())


def resized(case: Case, rng: random.Random) -> None:
    """A resident whose status says another size than its spec."""
    case.offer(cpu="4", memory="4Gi")

    def quantities() -> Object:
        return {"cpu": _cpu(rng, 3500), "memory": f"{rng.randrange(100, 3500)}Mi"}

    names = [f"c{n}" for n in range(rng.randrange(1, 3))]
    spec: Object = {"containers": [container(name, resources={"requests": quantities()}) for name in names]}
    statuses = [_container_status(name, rng, quantities) for name in names]
    rng.shuffle(statuses)
    status: Object = {"containerStatuses": statuses}
    if rng.random() < 0.4:
        restart = {"restartPolicy": "Always"} if rng.random() < 0.7 else {}
        spec["initContainers"] = [container("s", resources={"requests": quantities()}, **restart)]
        status["initContainerStatuses"] = [_container_status("s", rng, quantities)]
    if rng.random() < 0.25:
        spec["resources"] = {"requests": {"cpu": "8", "memory": "8Gi"}}
        status |= {"resources": {"requests": quantities()}, "allocatedResources": quantities()}
        case.offer(cpu="10", memory="10Gi")
    reason = rng.choice(("Infeasible", "Deferred", ""))
    if reason:
        status["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": reason}]
    elif rng.random() < 0.5:
        status["conditions"] = [{"type": "PodResizeInProgress", "status": "True"}]
    case.reside(spec, status=status)
    case.pod["spec"]["containers"] = [container(**asks(cpu=_cpu(rng, 3000), memory="100Mi"))]


def _container_status(name: str, rng: random.Random, quantities: Callable[[], Object]) -> Object:
    status = {"name": name, "image": "x", "imageID": "x", "ready": True, "restartCount": 0}
    if rng.random() < 0.85:
        status["resources"] = {"requests": quantities()}
    if rng.random() < 0.7:
        status["allocatedResources"] = quantities()
    return status


def taints(case: Case, rng: random.Random) -> None:
    effects = ("NoSchedule", "NoExecute", "PreferNoSchedule")
    case.node["spec"]["taints"] = [
        {"key": key, "value": rng.choice(("x", "y")), "effect": rng.choice(effects)}
        for key in ("a", "b")
        if rng.random() < 0.6
    ]
    case.node["spec"]["unschedulable"] = rng.random() < 0.25
    tolerations: list[Object] = []
    for key in ("a", "b", "node.kubernetes.io/unschedulable"):
        if rng.random() < 0.5:
            way: Object = rng.choice(({"operator": "Exists"}, {"operator": "Equal", "value": "x"}, {"value": "y"}))
            if rng.random() < 0.5:
                way = {**way, "effect": "NoSchedule"}
            tolerations.append({"key": key, **way})
    if rng.random() < 0.1:
        tolerations = [{"operator": "Exists"}]
    case.pod["spec"]["tolerations"] = tolerations


def selectors(case: Case, rng: random.Random) -> None:
    case.labels.update({"disk": rng.choice(("fast", "slow")), "size": str(rng.randrange(1, 5))})
    if rng.random() < 0.3:
        case.pod["spec"]["nodeSelector"]["disk"] = "fast"

    def expression() -> Object:
        operator = rng.choice(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
        key = "size" if operator in ("Gt", "Lt") else rng.choice(("disk", "size", "none"))
        values = {"Exists": [], "DoesNotExist": [], "Gt": ["2"], "Lt": ["3"]}.get(operator, ["fast", "3"])
        return {"key": key, "operator": operator, **({"values": values} if values else {})}

    terms: list[Object] = [{"matchExpressions": [expression() for _ in range(rng.randrange(1, 3))]} for _ in range(2)]
    if rng.random() < 0.3:
        name = rng.choice((case.name, "other"))
        terms[0]["matchFields"] = [{"key": "metadata.name", "operator": "In", "values": [name]}]
    case.pod["spec"]["affinity"] = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms[: rng.randrange(1, 3)]}}}


def ports(case: Case, rng: random.Random) -> None:
    def spec() -> Object:
        port: Object = {"containerPort": rng.choice((80, 81))}
        if rng.random() < 0.7:
            port |= {"hostPort": port["containerPort"], "protocol": rng.choice(("TCP", "UDP"))}
            if rng.random() < 0.5:
                port["hostIP"] = rng.choice(("127.0.0.1", "0.0.0.0", "10.0.0.1"))
            return {"containers": [container(ports=[port])]}
        return {"hostNetwork": True, "containers": [container(ports=[{**port, "hostPort": port["containerPort"]}])]}

    case.reside(spec())
    case.pod["spec"].update(spec())


def neighbours(case: Case, rng: random.Random) -> None:
    """Affinity, anti-affinity of either side, and topology spread, on the one node."""
    group = {"group": case.name}

    def term() -> list[Object]:
        listed = {"matchExpressions": [{"key": "group", "operator": "In", "values": [case.name]}]}
        chosen = rng.choice(({"matchLabels": group}, {"matchLabels": {"group": "none"}}, listed))
        return [{"topologyKey": "kubernetes.io/hostname", "labelSelector": chosen}]

    theirs = {"affinity": {"podAntiAffinity": {REQUIRED: term()}}} if rng.random() < 0.4 else {}
    for _ in range(rng.randrange(3)):
        case.reside(theirs, group if rng.random() < 0.7 else None)
    if rng.random() < 0.6:
        case.pod["metadata"]["labels"].update(group)
    kind = rng.choice(("podAffinity", "podAntiAffinity", ""))
    if kind:
        case.pod["spec"]["affinity"] = {kind: {REQUIRED: term()}}
    if rng.random() < 0.4:
        spread: Object = {
            "topologyKey": "kubernetes.io/hostname",
            "maxSkew": rng.randrange(1, 3),
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": group},
        }
        if rng.random() < 0.6:
            spread["minDomains"] = 2
        case.pod["spec"]["topologySpreadConstraints"] = [spread]


def zones(case: Case, rng: random.Random) -> None:
    """A volume that says where it is by labels, by node affinity, or both."""
    places = {ZONE: rng.choice("ab"), REGION: "r", BETA_ZONE: rng.choice("ab")}
    for label in (ZONE, REGION):
        case.labels.pop(label, None)
    case.labels.update({label: where for label, where in places.items() if rng.random() < 0.5})
    said = {label: rng.choice(("a", "b", "a__b", "b__c")) for label in (ZONE, BETA_ZONE) if rng.random() < 0.6}
    if rng.random() < 0.3:
        said[REGION] = rng.choice(("r", "s"))
    volume: Object = {}
    if rng.random() < 0.4:
        wanted = {"key": ZONE, "operator": "In", "values": [rng.choice("ab")]}
        volume["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}}
    case.claim("data", volume, said)
    case.pod["spec"].update(case.use("data"))


def attached(case: Case, rng: random.Random) -> None:
    """CSI volumes on a node that attaches only so many, some of them shared."""
    names = [f"v{n}" for n in range(4)]
    for name in names:
        disk = {"csi": {"driver": DRIVER, "volumeHandle": f"{case.name}-{name}"}}
        case.claim(name, disk, {}, "ReadWriteMany")
    if rng.random() < 0.85:
        drivers: Object = {"name": DRIVER, "nodeID": case.name}
        if rng.random() < 0.85:
            drivers["allocatable"] = {"count": rng.randrange(1, 5)}
        case.csi_node = {"metadata": {"name": case.name}, "spec": {"drivers": [drivers]}}
    for _ in range(rng.randrange(3)):
        case.reside(case.use(*rng.sample(names, rng.randrange(1, 3))))
    case.pod["spec"].update(case.use(*rng.sample(names, rng.randrange(1, 4))))


def one_pod(case: Case, rng: random.Random) -> None:
    """A claim for one pod, or one that is not bound."""
    case.claim("mine", {}, {}, rng.choice(("ReadWriteOncePod", "ReadWriteMany")))
    if rng.random() < 0.5:
        case.reside(case.use("mine"))
    if rng.random() < 0.3:
        del case.claims[0]["spec"]["volumeName"]
    case.pod["spec"].update(case.use("mine"))


def unmodelled(case: Case, rng: random.Random) -> None:
    """What is not counted, and what says nothing."""
    disk = {"rbd": {"monitors": ["m"], "image": "i"}}
    sources: tuple[Object, ...] = ({"emptyDir": {}}, {"configMap": {"name": "x"}}, {"hostPath": {"path": "/x"}}, disk)
    if rng.random() < 0.4:
        case.reside({"volumes": [{"name": "v", **disk}]})
    case.pod["spec"]["volumes"] = [{"name": "v", **rng.choice(sources)}]
    if rng.random() < 0.3:
        case.pod["spec"]["resourceClaims"] = [{"name": "g", "resourceClaimName": "none"}]


KINDS: tuple[Maker, ...] = (
    requests,
    extended,
    storage_and_count,
    init_and_sidecars,
    resized,
    resized,
    taints,
    selectors,
    ports,
    neighbours,
    zones,
    attached,
    one_pod,
    unmodelled,
)


def cases(count: int, seed: int) -> list[Case]:
    """So many cases, of each kind in turn; some of them with a second kind's node or pods, too."""
    rng = random.Random(seed)  # noqa: S311 - the same cases in every run
    made = []
    for number in range(count):
        name = f"n-{number}"
        node = SimNode(name).body()
        node["metadata"]["labels"]["case"] = name
        case = Case(name, node, new_pod(f"{name}-p", {"nodeSelector": {"case": name}}))
        KINDS[number % len(KINDS)](case, rng)
        if rng.random() < 0.3:
            taints(case, rng)
        made.append(case)
    return made


@dataclass
class Guarded:
    """A pod, and the budgets that guard it."""

    pod: Object
    status: Object
    budgets: list[tuple[Object, Object]]


def guarded(count: int, seed: int) -> list[Guarded]:
    """So many pods with budgets, their status written as it may be."""
    rng = random.Random(seed)  # noqa: S311 - the same cases in every run
    made = []
    for number in range(count):
        name = f"e-{number}"
        phase = rng.choice(("Running",) * 6 + ("Pending", "Succeeded", "Failed"))
        conditions = (
            [{"type": "Ready", "status": rng.choice(("True", "False", "Unknown"))}] if rng.random() < 0.9 else []
        )
        budgets = [_budget(f"{name}-{n}", name, rng) for n in range(rng.choice((0, 1, 1, 1, 1, 1, 1, 1, 2)))]
        pod = new_pod(name, {"nodeName": "quiet"}, {"app": name})
        made.append(Guarded(pod, {"phase": phase, "conditions": conditions}, budgets))
    # More evictions are under way than its controller has confirmed.
    full = {f"gone-{n}": "2026-01-01T00:00:00Z" for n in range(2001)}
    status = {"observedGeneration": 1, "disruptionsAllowed": 3, "disruptedPods": full, **HEALTHY}
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "e-0"}}}
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    made[0] = Guarded(made[0].pod, ready, [({"metadata": {"name": "full"}, "spec": spec}, status)])
    return made


def _budget(name: str, app: str, rng: random.Random) -> tuple[Object, Object]:
    selector: Object | None = {"matchLabels": {"app": app}}
    if rng.random() < 0.2:
        selector = rng.choice(
            (
                None,
                {"matchLabels": {"app": "other"}},
                {"matchExpressions": [{"key": "app", "operator": "In", "values": [app, "x"]}]},
            )
        )
    spec: Object = {"minAvailable": 1, **({"selector": selector} if selector is not None else {})}
    policy = rng.choice((None, "IfHealthyBudget", "AlwaysAllow"))
    if policy is not None:
        spec["unhealthyPodEvictionPolicy"] = policy
    status = {
        "observedGeneration": rng.choice((1, 1, 1, 0)),
        "disruptionsAllowed": rng.choice((0, 0, 1)),
        "currentHealthy": rng.randrange(4),
        "desiredHealthy": rng.randrange(4),
        "expectedPods": 3,
    }
    return {"metadata": {"name": name}, "spec": spec}, status
