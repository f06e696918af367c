"""What the chart installs for placeholders."""

from extender.kube.client import ApiClient

PRIORITY_CLASS = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "spotmix-placeholder"},
    "value": -10,
    "preemptionPolicy": "Never",
}


async def allow_placeholders(api: ApiClient) -> None:
    """Have the PriorityClass that placeholders name."""
    await api.request("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", body=PRIORITY_CLASS)
