"""Whose machine a node is, as its `spec.providerID` says, and how that platform would label spot nodes.

The labels tell what to ask for before the first spot node is there.
"""

from collections.abc import Mapping

KARPENTER = "karpenter.sh/capacity-type"

PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "aws://": (KARPENTER, "eks.amazonaws.com/capacityType"),
    "gce://": ("cloud.google.com/gke-provisioning", "cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible"),
    "azure://": (KARPENTER, "kubernetes.azure.com/scalesetpriority"),
    "ocid1.": ("oci.oraclecloud.com/oke-is-preemptible",),
    "alicloud://": ("node.alibabacloud.com/spot-strategy",),
    "yandex://": ("yandex.cloud/preemptible",),
    "kwok://": (KARPENTER,),
}
"""Labels of spot nodes, by what a providerID begins with."""

_STARTS = tuple(PROVIDERS)


def provider_of(provider_id: str) -> str:
    """The key of PROVIDERS that a `spec.providerID` is of; empty where it is of none."""
    if not provider_id.startswith(_STARTS):
        return ""
    return next(start for start in _STARTS if provider_id.startswith(start))
