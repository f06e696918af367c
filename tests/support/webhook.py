"""The admission webhook of a `spotmix serve` on a sandbox, registered with the real API server over TLS."""

import base64
import contextlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane, SimNode
from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.spotmix import scheduler_config
from support.certificates import Authority
from support.cluster import Cluster, pod_template
from support.patience import eventually, stretched
from support.stage import Stage, open_stage

SECOND = "second"
NO_TIMES: Mapping[str, str] = {}
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/{}webhookconfigurations"
_WORKLOADS = [("apps", ["deployments", "statefulsets", "replicasets"]), ("batch", ["jobs", "cronjobs"])]


class Hook:
    """Where a webhook is found, and how the API server knows it.

    Args:
        port: that the API server calls, on loopback.
        ca: PEM of the CA of its certificate; empty when Spotmix itself makes it known.
        flags: of `spotmix serve`, about the certificate.
    """

    def __init__(self, port: int, ca: bytes = b"", flags: Sequence[str] = ()) -> None:
        self.port = port
        self.url = f"https://{LOOPBACK}:{port}"
        self.ca = ca
        self._flags = flags

    @classmethod
    def of_files(cls, folder: Path, port: int = 0) -> Self:
        """One whose certificate is in files in a folder; on a free port when 0."""
        port = port or free_port()
        authority = Authority(f"webhook {port}")
        ca = authority.write(folder / f"webhook-{port}-ca.pem")
        pair = authority.issue(folder, f"webhook-{port}", (LOOPBACK,))
        return cls(port, ca.read_bytes(), (f"--webhook-tls-cert={pair.cert}", f"--webhook-tls-key={pair.key}"))

    @classmethod
    def self_made(cls, port: int = 0, times: Mapping[str, str] = NO_TIMES) -> Self:
        """One whose certificate Spotmix makes, as replicas share it; `times` are settings of certificates."""
        settings = {"secret": "spotmix-webhook-tls", "ip-addresses": f"[{LOOPBACK}]", "configurations": "[spotmix]"}
        flags = [f"--webhook-certificates-{name}={value}" for name, value in {**settings, **times}.items()]
        return cls(port or free_port(), flags=flags)

    @property
    def flags(self) -> list[str]:
        """Flags of `spotmix serve`."""
        return self.flags_at(self.port)

    def flags_at(self, port: int) -> list[str]:
        """The same for one of several replicas, which listens elsewhere than where the API server calls."""
        return ["--webhook-enabled=true", f"--webhook-addr={LOOPBACK}:{port}", *self._flags]

    def webhook(self, name: str, path: str, rules: Sequence[tuple[str, Sequence[str]]], **more: Any) -> dict[str, Any]:
        """An entry of a webhook configuration; `rules` are pairs of group and resources."""
        return {
            "name": f"{name}.spotmix.io",
            "clientConfig": {
                "url": f"{self.url}{path}",
                **({"caBundle": base64.b64encode(self.ca).decode()} if self.ca else {}),
            },
            "rules": [
                {
                    "apiGroups": [group],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": list(resources),
                }
                for group, resources in rules
            ],
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Ignore",
            "timeoutSeconds": 2,
            "sideEffects": "None",
            **more,
        }

    async def register(self, api: ApiClient, name: str = "spotmix", **more: Any) -> None:
        """Create the webhook configurations; `more` are fields of each webhook."""
        again = {"reinvocationPolicy": "IfNeeded", **more}
        labelled = {"objectSelector": {"matchLabels": {"spotmix.io/inject-extender": "true"}}}
        mutating = [
            self.webhook("pods", "/mutate/pods", [("", ["pods"])], **again),
            self.webhook("configs", "/mutate/scheduler-configs", [("", ["configmaps"])], **again, **labelled),
        ]
        validating = [
            self.webhook("workloads", "/validate/workloads", [*_WORKLOADS, ("", ["namespaces"])], **more),
        ]
        for kind, webhooks in (("mutating", mutating), ("validating", validating)):
            body = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": f"{kind.capitalize()}WebhookConfiguration",
                "metadata": {"name": name},
                "webhooks": webhooks,
            }
            await api.request("POST", CONFIGURATIONS.format(kind), body=body)


async def called(api: ApiClient, metric: Any, namespace: str = "default") -> None:
    """Wait until the API server calls the webhook: dry runs, until it has counted them.

    Args:
        api: a client.
        metric: gives the value of the metric line that starts so.
        namespace: where to try.
    """
    pod = pod_template({"app": "probe"})
    pod["metadata"]["name"] = "probe"
    deployment = {
        "metadata": {"name": "probe"},
        "spec": {"selector": {"matchLabels": {"app": "probe"}}, "template": pod_template({"app": "probe"})},
    }

    async def counted() -> tuple[bool, ...]:
        for path, body in (
            (f"/api/v1/namespaces/{namespace}/pods", pod),
            (f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment),
        ):
            await api.request("POST", path, params={"dryRun": "All"}, body=body)
        return tuple(
            bool(metric(f'spotmix_admissions_total{{outcome="unchanged",verb="{verb}"}}'))
            for verb in ("mutate-pods", "validate-workloads")
        )

    await eventually(counted, all, "the API server calls the webhook")


@contextlib.asynccontextmanager
async def open_hooked_stage(
    folder: Path,
    nodes: Sequence[SimNode] | None = None,
    flags: Sequence[str] = (),
    *,
    apiserver_flags: Sequence[str] = (),
) -> AsyncIterator[Stage]:
    """Open a stage with the webhook at work and a second scheduler, named `second`, that is attached to Spotmix too.

    Args:
        folder: for certificates.
        nodes: the simulated nodes; the standard ones when None.
        flags: further flags of `spotmix serve`.
        apiserver_flags: further flags of the API server.
    """
    hook = Hook.of_files(folder)
    async with open_stage(nodes, [*hook.flags, *flags], apiserver_flags=apiserver_flags) as stage:
        await hook.register(stage.api)
        await stage.plane.start_scheduler(SECOND, scheduler_config(stage.spotmix.url))
        await called(stage.api, stage.metric)
        yield stage


def post_with_warnings(plane: ControlPlane, path: str, body: Mapping[str, Any]) -> tuple[int, list[str], str]:
    """Status, Warning headers, which kubectl prints, and the body of the answer to a POST."""
    credentials = plane._credentials
    context = ssl.create_default_context(cafile=str(credentials.ca_path))
    context.load_cert_chain(credentials.probe)
    request = urllib.request.Request(  # noqa: S310 - https on loopback
        plane.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, context=context, timeout=stretched(10)) as answer:  # noqa: S310 - likewise
            return answer.status, answer.headers.get_all("Warning") or [], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_all("Warning") or [], error.read().decode()


async def schedulers(cluster: Cluster, app: str) -> tuple[set[str], set[str]]:
    """The schedulers that the pods ask for, and those that placed them by their own word."""
    pods = await cluster.pods(app)
    names = {pod["metadata"]["name"] for pod in pods}
    events = await cluster.events("Scheduled")
    return (
        {pod["spec"]["schedulerName"] for pod in pods},
        {e["reportingController"] for e in events if e["regarding"]["name"] in names},
    )


def added(pod: dict[str, Any]) -> set[str]:
    """Keys of the tolerations that the pod did not get from the API server."""
    return {t["key"] for t in pod["spec"].get("tolerations", ()) if not t["key"].startswith("node.kubernetes.io/")}
