"""Pods of a sandbox whose ports can be forwarded: see tools/programs/podstreams. They have this machine's network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from programs import podstreams

from extender.kube.client import MERGE_PATCH, ApiClient
from support.certificates import Authority

LOOPBACK = "127.0.0.1"
NODE = "home"
LABELS = {"app.kubernetes.io/part-of": "spotmix", "app.kubernetes.io/component": "server"}
"""Of the service's pods, as the chart has it."""


class PodStreams:
    """A kubelet's part in port-forwards, and the node it is the kubelet of.

    Args:
        folder: for certificates.

    Attributes:
        apiserver_flags: what the API server needs to know.
    """

    def __init__(self, folder: Path) -> None:
        authority = Authority("kubelet")
        self._ca = authority.write(folder / "kubelet-ca.pem")
        self._serving = authority.issue(folder, "kubelet", (LOOPBACK,))
        client = authority.issue(folder, "kube-apiserver-kubelet-client")
        self.apiserver_flags = (
            f"--kubelet-certificate-authority={self._ca}",
            f"--kubelet-client-certificate={client.cert}",
            f"--kubelet-client-key={client.key}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    @contextlib.asynccontextmanager
    async def running(self, api: ApiClient, pods: Sequence[str]) -> AsyncIterator[None]:
        """Run it for these pods, `NAMESPACE/NAME`; others do not exist to it. The node is made."""
        process = await asyncio.create_subprocess_exec(
            str(await asyncio.to_thread(podstreams)),
            *("--cert", str(self._serving.cert), "--key", str(self._serving.key)),
            *("--client-ca", str(self._ca), "--pods", ",".join(pods)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(await process.stdout.readline())
            status = {
                "addresses": [{"type": "InternalIP", "address": LOOPBACK}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            }
            taints = [{"key": "test/nobody", "effect": "NoSchedule"}]
            labels = {"kubernetes.io/hostname": NODE}
            node = {"metadata": {"name": NODE, "labels": labels}, "spec": {"taints": taints}, "status": status}
            await api.request("POST", "/api/v1/nodes", body=node)
            yield
        finally:
            process.stdin.close()
            await process.wait()


async def make_pod(
    api: ApiClient,
    namespace: str,
    name: str,
    ports: Mapping[str, int],
    labels: Mapping[str, str] = LABELS,
    *,
    node: str = NODE,
    ready: bool = True,
) -> None:
    """A pod with named ports that runs where it is said, and nobody runs."""
    container: dict[str, Any] = {
        "name": "main",
        "image": "none",
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
    }
    spec: dict[str, Any] = {"containers": [container], **({"nodeName": node} if node else {})}
    pod = {"metadata": {"name": name, "labels": dict(labels)}, "spec": spec}
    path = f"/api/v1/namespaces/{namespace}/pods"
    await api.request("POST", path, body=pod)
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    status = {"phase": "Running", "conditions": [condition]}
    await api.request("PATCH", f"{path}/{name}/status", body={"status": status}, content_type=MERGE_PATCH)
