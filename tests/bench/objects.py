"""Objects as an API server sends them, managedFields and all: 4-8 KB for a pod, as in a real cluster."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CREATED = "2026-03-01T08:00:00Z"
ENABLED = "spotmix.io/enabled"
GROUP_LABEL = "app.kubernetes.io/part-of"
TOLERATIONS = [
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
    {"key": "karpenter.sh/capacity-type", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
]


def _fields(*paths: str) -> dict[str, Any]:
    """`fieldsV1` of a managedFields entry that owns these dotted paths."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for part in path.split("."):
            node = node.setdefault(f"f:{part}", {})
    return tree


def managed(manager: str, paths: Iterable[str], subresource: str = "") -> dict[str, Any]:
    """An entry of managedFields."""
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": CREATED,
        "fieldsType": "FieldsV1",
        "fieldsV1": _fields(*paths),
    }
    return {**entry, "subresource": subresource} if subresource else entry


def container(name: str, cpu: str, memory: str) -> dict[str, Any]:
    """A container with environment, probes, ports and mounts."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10}
    return {
        "name": name,
        "image": f"registry.example.com/shop/{name}:2026.03.1-4f1c2ab",
        "args": ["--listen=:8080", "--log-format=json", "--shutdown-grace=20s"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "GOMEMLIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "0"}}},
            {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}},
            {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector.observability.svc:4317"},
        ],
        "resources": {"limits": {"memory": memory}, "requests": {"cpu": cpu, "memory": memory}},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/app"},
            {"name": "api-access", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
        ],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False},
    }


def api_access() -> dict[str, Any]:
    """The projected volume that every pod gets with its service account's token."""
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    return {"name": "api-access", "projected": {"sources": sources, "defaultMode": 420}}


def pod_spec(cpu: str, memory: str) -> dict[str, Any]:
    """What admission makes of an ordinary pod template: two containers, defaults filled in."""
    return {
        "volumes": [{"name": "config", "configMap": {"name": "app-config", "defaultMode": 420}}, api_access()],
        "containers": [container("app", cpu, memory), container("proxy", "10m", "32Mi")],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "schedulerName": "default-scheduler",
        "tolerations": TOLERATIONS,
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def pod_metadata() -> dict[str, Any]:
    """Of a pod of a Deployment; holes: name, namespace, uid, workload, revision, revision_uid."""
    return {
        "name": "@name@",
        "generateName": "@revision@-",
        "namespace": "@namespace@",
        "uid": "@uid@",
        "resourceVersion": "@version@",
        "creationTimestamp": CREATED,
        "labels": {
            "app.kubernetes.io/name": "@workload@",
            "app.kubernetes.io/instance": "@workload@",
            "app.kubernetes.io/managed-by": "Helm",
            "app.kubernetes.io/part-of": "shop",
            "pod-template-hash": "6d4cf56db6",
        },
        "annotations": {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": "8080",
            "checksum/config": "0f343b0931126a20f133d67c2b018a3b0f343b0931126a20f133d67c2b018a3b",
        },
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "@revision@",
                "uid": "@revision_uid@",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def _conditions(ready: str) -> list[dict[str, Any]]:
    names = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return [
        {
            "type": name,
            "status": ready if name in ("Ready", "ContainersReady") else "True",
            "observedGeneration": 1,
            "lastProbeTime": None,
            "lastTransitionTime": CREATED,
        }
        for name in names
    ]


def _running(ready: bool) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "state": {"running": {"startedAt": CREATED}},
            "lastState": {},
            "ready": ready,
            "restartCount": 0,
            "image": f"registry.example.com/shop/{name}:2026.03.1-4f1c2ab",
            "imageID": f"registry.example.com/shop/{name}@sha256:{'5e' * 32}",
            "containerID": f"containerd://{'a7' * 32}",
            "started": True,
        }
        for name in ("app", "proxy")
    ]


_SPEC_PATHS = [
    "metadata.generateName",
    *(f"metadata.labels.{label}" for label in ("name", "instance", "managed-by", "part-of", "pod-template-hash")),
    *(f"metadata.annotations.{key}" for key in ("scrape", "port", "checksum")),
    'metadata.ownerReferences.k:{"uid":"@revision_uid@"}',
    *(
        f'spec.containers.k:{{"name":"{name}"}}.{field}'
        for name in ("app", "proxy")
        for field in (
            *("args", "env", "image", "imagePullPolicy", "livenessProbe", "name", "ports", "readinessProbe"),
            *("resources", "securityContext", "terminationMessagePath", "terminationMessagePolicy", "volumeMounts"),
        )
    ),
    *(f"spec.{name}" for name in ("dnsPolicy", "restartPolicy", "schedulerName", "tolerations", "volumes")),
]
_STATUS_PATHS = [
    *(f'status.conditions.k:{{"type":"{name}"}}.status' for name in ("Initialized", "Ready", "ContainersReady")),
    *(f"status.{name}" for name in ("containerStatuses", "hostIP", "phase", "podIP", "podIPs", "startTime")),
]


def running_pod(cpu: str, memory: str, *, ready: bool = True) -> dict[str, Any]:
    """A bound pod as list and watch show it; further holes: version, node, cost."""
    metadata = pod_metadata()
    metadata["annotations"]["controller.kubernetes.io/pod-deletion-cost"] = "@cost@"
    metadata["managedFields"] = [
        managed("kube-controller-manager", _SPEC_PATHS),
        managed("spotmix-seat", ["metadata.annotations.cost"]),
        managed("kubelet", _STATUS_PATHS, "status"),
    ]
    return {
        "metadata": metadata,
        "spec": {**pod_spec(cpu, memory), "nodeName": "@node@"},
        "status": {
            "observedGeneration": 1,
            "phase": "Running",
            "conditions": _conditions("True" if ready else "False"),
            "hostIP": "10.0.12.7",
            "podIP": "10.42.3.19",
            "startTime": CREATED,
            "containerStatuses": _running(ready),
            "qosClass": "Burstable",
        },
    }


def pending_pod(cpu: str, memory: str) -> dict[str, Any]:
    """A pod as kube-scheduler shows it to an extender: no managedFields, no node."""
    return {
        "metadata": pod_metadata(),
        "spec": pod_spec(cpu, memory),
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }


CAPACITY_TYPE = "karpenter.sh/capacity-type"


def own_affinity(capacity_class: str) -> dict[str, Any]:
    """What owners themselves write where they want a class of Karpenter's nodes."""
    term = {"matchExpressions": [{"key": CAPACITY_TYPE, "operator": "In", "values": [capacity_class]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def gated_pod(cpu: str, memory: str, *gates: str) -> dict[str, Any]:
    """A new pod with scheduling gates as a watch shows it."""
    pod = pending_pod(cpu, memory)
    pod["metadata"]["managedFields"] = [managed("kube-controller-manager", _SPEC_PATHS)]
    if gates:
        pod["spec"]["schedulingGates"] = [{"name": gate} for gate in gates]
    return pod


def pod_review(cpu: str, memory: str) -> dict[str, Any]:
    """The creation of a pod as the API server shows it to a webhook: no name nor uid yet, but managedFields."""
    metadata = pod_metadata()
    for key in ("name", "uid", "resourceVersion", "creationTimestamp"):
        del metadata[key]
    metadata["managedFields"] = [managed("kube-controller-manager", _SPEC_PATHS)]
    pods = {"group": "", "version": "v1", "resource": "pods"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    thing = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": pod_spec(cpu, memory), "status": {}}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "@uid@",
            "kind": kind,
            "resource": pods,
            "requestKind": kind,
            "requestResource": pods,
            "namespace": "@namespace@",
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "@revision_uid@",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            },
            "object": thing,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }


def node(zones: Sequence[str], labels: Mapping[str, str]) -> dict[str, Any]:
    """A node; holes: name, uid, version, zone, type. `labels` mark its class."""
    resources = {"cpu": "15890m", "memory": "62310412Ki", "ephemeral-storage": "95551679124", "pods": "110"}
    conditions = [
        {
            "type": name,
            "status": status,
            "lastHeartbeatTime": CREATED,
            "lastTransitionTime": CREATED,
            "reason": f"Kubelet{name}",
            "message": f"kubelet reports on {name}",
        }
        for name, status in (
            ("MemoryPressure", "False"),
            ("DiskPressure", "False"),
            ("PIDPressure", "False"),
            ("Ready", "True"),
        )
    ]
    images = [
        {"names": [f"registry.example.com/shop/image-{n}@sha256:{'0b' * 32}"], "sizeBytes": 104857600}
        for n in range(20)
    ]
    return {
        "metadata": {
            "name": "@name@",
            "uid": "@uid@",
            "resourceVersion": "@version@",
            "creationTimestamp": CREATED,
            "labels": {
                "kubernetes.io/hostname": "@name@",
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": zones[0][:-1],
                "topology.kubernetes.io/zone": "@zone@",
                "node.kubernetes.io/instance-type": "@type@",
                "karpenter.sh/nodepool": "general",
                "karpenter.sh/initialized": "true",
                **labels,
            },
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            "managedFields": [managed("kubelet", [f"status.conditions.{n}.lastHeartbeatTime" for n in range(5)])],
        },
        "spec": {"providerID": "aws:///@zone@/@uid@"},
        "status": {"capacity": resources, "allocatable": resources, "conditions": conditions, "images": images},
    }


def workload(kind: str, owner: Mapping[str, Any] | None, annotations: Mapping[str, str]) -> dict[str, Any]:
    """A Deployment or ReplicaSet; holes: name, namespace, uid, version, replicas, percentage, group, and `owner`'s."""
    metadata = {
        "name": "@name@",
        "namespace": "@namespace@",
        "uid": "@uid@",
        "resourceVersion": "@version@",
        "generation": 3,
        "creationTimestamp": CREATED,
        "labels": {ENABLED: "@enabled@", "app.kubernetes.io/managed-by": "Helm", GROUP_LABEL: "@group@"},
        "annotations": dict(annotations),
        "managedFields": [managed("helm", _SPEC_PATHS), managed("kube-controller-manager", _STATUS_PATHS, "status")],
    }
    if owner is not None:
        metadata["ownerReferences"] = [{**owner, "controller": True, "blockOwnerDeletion": True}]
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": pod_spec("100m", "128Mi")}
    status = {"observedGeneration": 3, "readyReplicas": 1, "availableReplicas": 1, "fullyLabeledReplicas": 1}
    spec = {"replicas": "#replicas#", "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": status}


def placement_policy() -> dict[str, Any]:
    """A PlacementPolicy for the workloads of a group; holes: name, namespace, uid, group."""
    metadata = {
        "name": "@name@",
        "namespace": "@namespace@",
        "uid": "@uid@",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": CREATED,
        "managedFields": [managed("helm", [f"spec.{name}" for name in ("classes", "moves", "selector")])],
    }
    classes = [{"name": "on-demand", "weight": 30, "base": 1}, {"name": "spot", "weight": 70, "maxPerPool": "25%"}]
    moves = {"schedule": "0 2 * * *", "duration": "4h", "timeZone": "Europe/Berlin", "maxPerHour": 6}
    selector = {"matchLabels": {GROUP_LABEL: "@group@"}}
    spec = {"count": "Workload", "priority": 0, "selector": selector, "classes": classes, "moves": moves}
    return {"apiVersion": "spotmix.io/v1alpha1", "kind": "PlacementPolicy", "metadata": metadata, "spec": spec}
