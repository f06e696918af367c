"""How nodes show that an autoscaler launches and removes them.

Of a control plane that others manage, GKE and AKS, the platform says so: its autoscaler runs where nobody sees it. A
capacity type alone says nothing, since people write `karpenter.sh/capacity-type` on nodes of their own.
"""

from collections.abc import Mapping

KARPENTER_KIND = "Karpenter: the API serves its kind NodePool"
STATUS_CONFIG_MAP = "cluster-autoscaler: its ConfigMap kube-system/cluster-autoscaler-status is there"

_MARKS = {
    "karpenter.sh/nodepool": "Karpenter",
    "karpenter.sh/provisioner-name": "Karpenter",
    "karpenter.sh/registered": "Karpenter",
    "karpenter.sh/initialized": "Karpenter",
    "cloud.google.com/gke-": "GKE",
    "kubernetes.azure.com/": "AKS",
    "provisioner.cast.ai/": "CAST AI",
    "scheduling.cast.ai/": "CAST AI",
    "spotinst.io/": "Ocean",
}
"""What labels of such nodes begin with."""

_STARTS = tuple(_MARKS)
_AUTO_MODE = "eks.amazonaws.com/compute-type"


def autoscaler_of(labels: Mapping[str, str]) -> str:
    """What the labels of a node say of an autoscaler, for people; empty where they say nothing."""
    for label, value in labels.items():
        if label.startswith(_STARTS):
            mark = next(mark for mark in _STARTS if label.startswith(mark))
            return f"{_MARKS[mark]}: nodes have the label {mark}{'..' * (not _is_whole(mark))}"
        if label == _AUTO_MODE and value == "auto":
            return f"EKS Auto Mode: nodes have the label {_AUTO_MODE}=auto"
    return ""


def _is_whole(mark: str) -> bool:
    return not mark.endswith(("/", "-"))
