"""What of a pod, its volumes and its budgets is counted before it is evicted: the whole list.

Where the replacement of a pod may run has to be known before the pod is evicted. So each field that the API has is in
here, with what it means for that. A field that is not in here may mean anything: whose pod has one is not evicted.
Sources: `k8s.io/api/core/v1/types.go` and `pkg/scheduler/framework/plugins` of Kubernetes 1.36.
"""

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct


class Standing(Enum):
    """What a field is to the search for room; `value` is for people."""

    COUNTED = "counted as the scheduler does"
    STAYS = "not counted: the pod stays"
    FREE = "says nothing about where a pod may run"


class Field(Struct, frozen=True):
    """What a field is, and why or how, as far as that needs words."""

    standing: Standing
    text: str = ""


def _free(names: str) -> Mapping[str, Field]:
    return dict.fromkeys(names.split(), Field(Standing.FREE))


POD_SPEC: Mapping[str, Field] = {
    "affinity": Field(Standing.COUNTED, "required terms; preferred ones only order the nodes"),
    "containers": Field(
        Standing.COUNTED, "requests and host ports; a rule that restarts all containers: the pod stays"
    ),
    "hostNetwork": Field(
        Standing.COUNTED, "container ports are host ports then; with `hostUsers: false` the pod stays"
    ),
    "initContainers": Field(Standing.COUNTED, "requests of sidecars, and the peak of the others"),
    "nodeName": Field(Standing.COUNTED, "where the pod is"),
    "nodeSelector": Field(Standing.COUNTED),
    "overhead": Field(Standing.COUNTED),
    "resources": Field(Standing.COUNTED, "cpu, memory and hugepages of the pod as a whole"),
    "schedulerName": Field(Standing.COUNTED, "a scheduler that has no pod placed yet gives no Pending pod a node"),
    "schedulingGates": Field(Standing.COUNTED, "a pod that has any takes no room"),
    "tolerations": Field(Standing.COUNTED),
    "topologySpreadConstraints": Field(Standing.COUNTED, "those with `whenUnsatisfiable: DoNotSchedule`"),
    "volumes": Field(Standing.COUNTED, "see below"),
    "resourceClaims": Field(Standing.STAYS, "which nodes have devices to spare is not known"),
    "schedulingGroup": Field(Standing.STAYS, "pods of a group are placed together"),
    "workloadRef": Field(Standing.STAYS, "pods of a group are placed together"),
    "hostUsers": Field(Standing.FREE, "but see `hostNetwork`"),
    "runtimeClassName": Field(Standing.FREE, "the API server writes what it asks for into the other fields"),
    **_free(
        "activeDeadlineSeconds automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks ephemeralContainers"
        " hostAliases hostIPC hostPID hostname hostnameOverride imagePullSecrets os preemptionPolicy priority"
        " priorityClassName readinessGates restartPolicy securityContext serviceAccount serviceAccountName"
        " setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds"
    ),
}
"""The fields of `spec`."""

_DISK = Field(Standing.STAYS, "a disk may be in use elsewhere, or one too many for a node")

VOLUME_SOURCES: Mapping[str, Field] = {
    "persistentVolumeClaim": Field(
        Standing.COUNTED,
        "required node affinity and zone labels of its volume, other pods that use a claim of one node or one pod, and"
        " attach limits of its CSI driver; a claim without a volume: the pod stays",
    ),
    "ephemeral": Field(Standing.STAYS, "the replacement gets a new volume, and where one can be made is not known"),
    "awsElasticBlockStore": _DISK,
    "azureDisk": _DISK,
    "cinder": _DISK,
    "gcePersistentDisk": _DISK,
    "iscsi": _DISK,
    "portworxVolume": _DISK,
    "rbd": _DISK,
    "vsphereVolume": _DISK,
    **_free(
        "azureFile cephfs configMap csi downwardAPI emptyDir fc flexVolume flocker gitRepo glusterfs hostPath image nfs"
        " photonPersistentDisk projected quobyte scaleIO secret storageos"
    ),
}
"""The sources of `spec.volumes[]`."""

VOLUMES: Mapping[str, Field] = {
    "claim that is bound": Field(Standing.COUNTED, "by its volume, as below"),
    "claim that is not bound, is being deleted, or has lost its volume": Field(
        Standing.STAYS, "as `volume`: where a volume would be made (`allowedTopologies`, capacity) is not known"
    ),
    "required node affinity of a volume": Field(Standing.COUNTED),
    "zone and region labels of a volume": Field(
        Standing.COUNTED, "`topology.kubernetes.io/` and `failure-domain.beta.kubernetes.io/`, several values by `__`"
    ),
    "claim with `ReadWriteOncePod`": Field(Standing.COUNTED, "no other pod that is on a node may use it"),
    "CSI volume without `ReadWriteMany` or `ReadOnlyMany`": Field(
        Standing.COUNTED, "others that use its claim have to be on the same node"
    ),
    "attach limits (`CSINode`)": Field(
        Standing.COUNTED, "where CSINodes may not be listed, pods with CSI volumes stay"
    ),
    "volume of a cloud's in-tree plugin": Field(Standing.STAYS, "as `volume`: its CSI driver says where it is"),
}
"""Claims and their volumes."""

RESOURCES: Mapping[str, Field] = {
    "what a node offers": Field(Standing.COUNTED, "`status.allocatable`, the number of pods too"),
    "pods of a node that are resized in place": Field(
        Standing.COUNTED,
        "the greatest of spec, `status` and `allocatedResources`, by container and for the pod; the spec does not count"
        " once the resize is infeasible",
    ),
    "extended resources": Field(
        Standing.COUNTED,
        "but for one that the scheduler ignores (`ignoredResources`, `ignoredByScheduler`): it does when a pod of the"
        " workload that asks for it is on a node which does not have it at all",
    ),
    "extended resources given by device claims": Field(Standing.STAYS, "`status.extendedResourceClaimStatus`"),
    "taints, labels, `spec.unschedulable`, Ready": Field(Standing.COUNTED),
    "pods without a node": Field(
        Standing.COUNTED,
        "take their room first; not those with a scheduling gate, or whose scheduler has placed no pod that lives",
    ),
}
"""What pods take of nodes."""


def stays(fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The names of the fields that keep a pod where it is."""
    return tuple(name for name, field in fields.items() if field.standing is Standing.STAYS)
