"""What of a pod, its volumes and its budgets is counted before it is evicted: the whole list.

Where the replacement of a pod may run has to be known before the pod is evicted. So each field that the API has is in
here, with what it means for that. A field that is not in here may mean anything: whose pod has one is not evicted.
Sources: `k8s.io/api/core/v1/types.go` and `pkg/scheduler/framework/plugins` of Kubernetes 1.37.
"""

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct


class Treatment(Enum):
    """What a field is to the search for room; `value` is for people."""

    COUNTED = "counted as the scheduler does"
    STAYS = "not counted: the pod stays"
    FREE = "says nothing about where a pod may run"


class Field(Struct, frozen=True):
    """What a field is, and why or how, as far as that needs words."""

    treatment: Treatment
    text: str = ""


def _free(names: str) -> Mapping[str, Field]:
    return dict.fromkeys(names.split(), Field(Treatment.FREE))


POD_SPEC: Mapping[str, Field] = {
    "affinity": Field(Treatment.COUNTED, "required terms; preferred ones only order the nodes"),
    "containers": Field(
        Treatment.COUNTED, "requests and host ports; a rule that restarts all containers: the pod stays"
    ),
    "hostNetwork": Field(
        Treatment.COUNTED, "container ports are host ports then; with `hostUsers: false` the pod stays"
    ),
    "initContainers": Field(Treatment.COUNTED, "requests of sidecars, and the peak of the others"),
    "nodeName": Field(Treatment.COUNTED, "where the pod is"),
    "nodeSelector": Field(Treatment.COUNTED),
    "overhead": Field(Treatment.COUNTED),
    "resources": Field(Treatment.COUNTED, "cpu, memory and hugepages of the pod as a whole"),
    "schedulerName": Field(Treatment.COUNTED, "a scheduler that has no pod placed yet gives no Pending pod a node"),
    "schedulingGates": Field(Treatment.COUNTED, "a pod that has any takes no room"),
    "tolerations": Field(Treatment.COUNTED),
    "topologySpreadConstraints": Field(Treatment.COUNTED, "those with `whenUnsatisfiable: DoNotSchedule`"),
    "volumes": Field(Treatment.COUNTED, "see below"),
    "resourceClaims": Field(Treatment.STAYS, "which nodes have devices to spare is not known"),
    "schedulingGroup": Field(Treatment.STAYS, "pods of a group are placed together"),
    "workloadRef": Field(Treatment.STAYS, "pods of a group are placed together"),
    "evictionResponders": Field(Treatment.STAYS, "they answer requests of evictions, which Spotmix does not make"),
    "hostUsers": Field(Treatment.FREE, "but see `hostNetwork`"),
    "runtimeClassName": Field(Treatment.FREE, "the API server writes what it asks for into the other fields"),
    **_free(
        "activeDeadlineSeconds automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks ephemeralContainers"
        " hostAliases hostIPC hostPID hostname hostnameOverride imagePullSecrets os preemptionPolicy priority"
        " priorityClassName readinessGates restartPolicy securityContext serviceAccount serviceAccountName"
        " setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds"
    ),
}
"""The fields of `spec`."""

_DISK = Field(Treatment.STAYS, "a disk may be in use elsewhere, or one too many for a node")

VOLUME_SOURCES: Mapping[str, Field] = {
    "persistentVolumeClaim": Field(
        Treatment.COUNTED,
        "required node affinity and zone labels of its volume, other pods that use a claim of one node or one pod, and"
        " attach limits of its CSI driver; a claim without a volume: the pod stays",
    ),
    "ephemeral": Field(Treatment.STAYS, "the replacement gets a new volume, and where one can be made is not known"),
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
    "claim that is bound": Field(Treatment.COUNTED, "by its volume, as below"),
    "claim that is not bound, is being deleted, or has lost its volume": Field(
        Treatment.STAYS, "as `volume`: where a volume would be made (`allowedTopologies`, capacity) is not known"
    ),
    "required node affinity of a volume": Field(Treatment.COUNTED),
    "zone and region labels of a volume": Field(
        Treatment.COUNTED, "`topology.kubernetes.io/` and `failure-domain.beta.kubernetes.io/`, several values by `__`"
    ),
    "claim with `ReadWriteOncePod`": Field(Treatment.COUNTED, "no other pod that is on a node may use it"),
    "CSI volume without `ReadWriteMany` or `ReadOnlyMany`": Field(
        Treatment.COUNTED, "others that use its claim have to be on the same node"
    ),
    "attach limits (`CSINode`)": Field(
        Treatment.COUNTED, "where CSINodes may not be listed, pods with CSI volumes stay"
    ),
    "volume of a cloud's in-tree plugin": Field(Treatment.STAYS, "as `volume`: its CSI driver says where it is"),
}
"""Claims and their volumes."""

RESOURCES: Mapping[str, Field] = {
    "what a node offers": Field(Treatment.COUNTED, "`status.allocatable`, the number of pods too"),
    "pods of a node that are resized in place": Field(
        Treatment.COUNTED,
        "the greatest of spec, `status` and `allocatedResources`, by container and for the pod; the spec does not count"
        " once the resize is infeasible. Schedulers before 1.37 count some of it less: there a pod may stay until a"
        " resize is over",
    ),
    "extended resources": Field(
        Treatment.COUNTED,
        "but for one that the scheduler ignores (`ignoredResources`, `ignoredByScheduler`): it does when a pod of the"
        " workload that asks for it is on a node which does not have it at all",
    ),
    "extended resources given by device claims": Field(Treatment.STAYS, "`status.extendedResourceClaimStatus`"),
    "taints, labels, `spec.unschedulable`, Ready": Field(Treatment.COUNTED),
    "pods without a node": Field(
        Treatment.COUNTED,
        "take their room first; not those with a scheduling gate, or whose scheduler has placed no pod that lives",
    ),
}
"""What pods take of nodes."""


def stays(fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The names of the fields that keep a pod where it is."""
    return tuple(name for name, field in fields.items() if field.treatment is Treatment.STAYS)
