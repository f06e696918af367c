"""Record what a real API server sends to an admission webhook.

    PYTHONPATH=tests .venv/bin/python tests/contract/record_admission.py

Runs the sandbox's control plane with a webhook that allows everything as it is and writes each review's body, byte for
byte, to `admissions/ENDPOINT-OBJECT.json`; see the README beside this for the objects.
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.certificates import Authority
from support.cluster import ENABLED, Cluster, pod_template, policy
from support.patience import eventually
from support.webhook import Hook, called

from extender.kube.client import ApiClient
from extender.sandbox import ControlPlane, create_nodes, node_pool
from extender.sandbox.ports import LOOPBACK
from extender.servers.admission import About, ReviewAnswer
from extender.servers.server import HttpServer, bind
from extender.servers.tls import ReloadingTls
from extender.servers.webhook import WebhookApp
from extender.wire.admission_v1 import read_uid

ADMISSIONS = Path(__file__).with_name("admissions")
POLICY = policy(spot_percentage=70, min_on_demand=1)
TOLERATION = {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
TERM = {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": TERM}],
    }
}


class ReviewRecorder:
    """Keeps the first review of each sort, and allows all."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.count = 0

    async def mutate_pod(self, body: bytes) -> ReviewAnswer:
        return self._keep("pods", body)

    async def mutate_scheduler_config(self, body: bytes) -> ReviewAnswer:
        return self._keep("configs", body)

    async def validate_workload(self, body: bytes) -> ReviewAnswer:
        return self._keep("workloads", body)

    def _keep(self, endpoint: str, body: bytes) -> ReviewAnswer:
        self.count += 1
        request: dict[str, Any] = json.loads(body)["request"]
        thing = request["object"]
        sort = thing["metadata"].get("labels", {}).get("app", request["kind"]["kind"].lower())
        if request["operation"] != "CREATE":
            same = said(thing) == said(request["oldObject"])
            sort += "-" + request["operation"].lower() + "-untouched" * same
        if request.get("dryRun"):
            sort += "-dry"
        if sort != "probe-dry" and request["namespace"].startswith("recorded"):
            self.bodies.setdefault(f"{endpoint}-{sort}", body)
        return ReviewAnswer(read_uid(body))

    def answered(self, verb: str, seconds: float) -> None:
        """Of no interest."""

    def admitted(self, verb: str, outcome: str, about: About) -> None:
        """Of no interest."""

    def failed(self, verb: str, text: str, about: About) -> None:
        raise AssertionError(f"{verb}: {about}: {text}")

    async def seen(self, *names: str) -> None:
        async def missing() -> list[str]:
            return [name for name in names if name not in self.bodies]

        await eventually(missing, lambda left: not left, "no review", 60)


@contextlib.asynccontextmanager
async def serving(recorder: ReviewRecorder, folder: Path) -> AsyncIterator[Hook]:
    authority = Authority("recorder")
    pair, ca = authority.issue(folder, "recorder", (LOOPBACK,)), authority.write(folder / "ca.pem")
    tls = ReloadingTls(str(pair.cert), str(pair.key))
    app = WebhookApp(recorder, 1 << 24, time.monotonic, recorder)  # type: ignore[arg-type]  # has its methods
    server = HttpServer(app, bind(LOOPBACK, 0, "recorder"), tls.context)
    await server.start()
    try:
        yield Hook(server.address[1], ca.read_bytes())
    finally:
        await server.stop()


def said(thing: dict[str, Any]) -> dict[str, str]:
    annotations: dict[str, str] = thing["metadata"].get("annotations", {})
    return {key: value for key, value in annotations.items() if key.startswith("spotmix.io/")}


def template(app: str, **spec: Any) -> dict[str, Any]:
    return pod_template({"app": app}, **spec)


async def create_workloads(cluster: Cluster) -> None:
    """A workload of each kind, with a policy; their pods come by their controllers."""
    await cluster.create_namespace(ENABLED, POLICY)
    await cluster.create(
        "Deployment",
        "deployment",
        {"replicas": 1, "selector": {"matchLabels": {"app": "deployment"}}, "template": template("deployment")},
        POLICY,
        {**ENABLED, "app": "deployment"},
    )
    says_all = template(
        "says-all", tolerations=[TOLERATION], affinity=AFFINITY, nodeSelector={"kubernetes.io/os": "linux"}
    )
    for kind, body in (
        ("StatefulSet", template("statefulset")),
        ("ReplicaSet", says_all),
        ("DaemonSet", template("daemonset")),
    ):
        app = body["metadata"]["labels"]["app"]
        size = {} if kind == "DaemonSet" else {"replicas": 1}
        spec = {**size, "selector": {"matchLabels": {"app": app}}, "template": body}
        if kind == "StatefulSet":
            spec["serviceName"] = "db"
        await cluster.create(kind, app, spec, POLICY, {**ENABLED, "app": app})
    job = {"parallelism": 2, "completions": 2, "template": template("job", restartPolicy="Never")}
    await cluster.create("Job", "job", job, POLICY, {**ENABLED, "app": "job"})
    cron = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job}}
    await cluster.create("CronJob", "cronjob", cron, POLICY, {**ENABLED, "app": "cronjob"})


async def record(recorder: ReviewRecorder, api: ApiClient) -> None:
    """Have one review of each sort sent."""
    cluster = Cluster(api, "recorded")
    await create_workloads(cluster)
    bare = template("bare")
    bare["metadata"]["generateName"] = "bare-"
    pods = f"/api/v1/namespaces/{cluster.namespace}/pods"
    await api.request("POST", pods, body=bare)
    await api.request("POST", pods, body=bare, params={"dryRun": "All"})
    config = {
        "metadata": {"name": "scheduler", "labels": {"app": "configmap", "spotmix.io/inject-extender": "true"}},
        "data": {
            "config.yaml": "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n",
            "notes": "not a configuration",
        },
    }
    configs = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    await api.request("POST", configs, body=config)
    merge = "application/merge-patch+json"
    await api.request("PATCH", f"{configs}/scheduler", body={"data": {"more": "x"}}, content_type=merge)
    await cluster.scale("Deployment", "deployment", 2)
    await cluster.annotate("Deployment", "deployment", policy(spot_percentage="seventy"))
    await api.request(
        "PATCH",
        "/api/v1/namespaces/recorded",
        body={"metadata": {"annotations": policy(max_spot=3)}},
        content_type=merge,
    )
    await recorder.seen(
        *(f"pods-{app}" for app in ("deployment", "statefulset", "job", "daemonset", "says-all", "bare", "bare-dry")),
        *(f"workloads-{app}" for app in ("deployment", "statefulset", "says-all", "job", "cronjob", "namespace")),
        *("workloads-deployment-update", "workloads-deployment-update-untouched", "workloads-namespace-update"),
        *("configs-configmap", "configs-configmap-update-untouched"),
    )


async def main() -> None:
    recorder = ReviewRecorder()
    with tempfile.TemporaryDirectory() as folder:
        async with serving(recorder, Path(folder)) as hook, ControlPlane(with_scheduler=False) as plane:
            async with await plane.connect() as api:
                await create_nodes(api, node_pool(1, capacity_class="on-demand"))
                await hook.register(api)
                await called(api, lambda _name: recorder.count > 1)
                await record(recorder, api)
            private = [str(plane.directory), str(Path.home()), str(Path.cwd()), folder]
    leaks = [name for name, body in recorder.bodies.items() if any(path.encode() in body for path in private)]
    if leaks:
        raise SystemExit(f"these name paths of this machine: {', '.join(leaks)}")
    shutil.rmtree(ADMISSIONS, ignore_errors=True)
    ADMISSIONS.mkdir()
    for name, body in sorted(recorder.bodies.items()):
        (ADMISSIONS / f"{name}.json").write_bytes(body)
        print(f"{name}.json: {len(body)} bytes")


if __name__ == "__main__":
    asyncio.run(main())
