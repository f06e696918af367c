"""Record what a real kube-scheduler sends to its extender.

    PYTHONPATH=tests .venv/bin/python tests/contract/record.py

Runs the sandbox's control plane with an extender that lets everything pass and writes each request's body, byte for
byte, to `recordings/MODE-POD-VERB.json`. MODE is `names` (nodeCacheCapable: true) or `nodes` (false).
"""

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.cluster import Cluster, pod_template
from support.patience import eventually

from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.kube.client import ApiClient
from extender.kube.patches import PodPatches
from extender.sandbox import ControlPlane, create_nodes, node_pool
from extender.sandbox.spotmix import scheduler_config
from extender.servers.http import ExtenderApp
from extender.servers.server import HttpServer, bind

RECORDINGS = Path(__file__).with_name("recordings")
LATE = "late"


class Recorder:
    """Keeps the first request of each sort; lets all nodes pass, but none for a `late` pod until it is nominated."""

    def __init__(self) -> None:
        self.mode = ""
        self.bodies: dict[str, bytes] = {}

    async def filter(self, body: bytes) -> bytes:
        args = self._keep("filter", body)
        pod = args["Pod"]
        if pod["metadata"]["labels"]["app"] == LATE and not pod["status"].get("nominatedNodeName"):
            names = args["NodeNames"] or [node["metadata"]["name"] for node in args["Nodes"]["items"]]
            why = dict.fromkeys(names, "recording")
            return json.dumps({"NodeNames": [], "FailedAndUnresolvableNodes": why}).encode()
        return json.dumps({"NodeNames": args["NodeNames"], "Nodes": args["Nodes"]}).encode()

    async def prioritize(self, body: bytes) -> bytes:
        self._keep("prioritize", body)
        return b"[]"

    def filter_error(self, text: str) -> bytes:
        raise AssertionError(text)

    prioritize_error = filter_error

    def _keep(self, verb: str, body: bytes) -> dict[str, Any]:
        args: dict[str, Any] = json.loads(body)
        pod = args["Pod"]
        sort = pod["metadata"]["labels"]["app"]
        if pod["status"].get("nominatedNodeName"):
            sort = "nominated"
        elif any(c["type"] == "PodScheduled" for c in pod["status"].get("conditions", ())):
            sort = "retried"
        self.bodies.setdefault(f"{self.mode}-{sort}-{verb}", body)
        return args

    async def seen(self, name: str) -> None:
        async def known() -> list[str]:
            return sorted(self.bodies)

        await eventually(known, lambda names: name in names, f"no request {name}", 60)


@contextlib.asynccontextmanager
async def serving(recorder: Recorder) -> AsyncIterator[str]:
    app = ExtenderApp(recorder, 1 << 24, "/scheduler", time.monotonic, lambda _verb, _seconds: None)  # type: ignore[arg-type]
    server = HttpServer(app, bind("127.0.0.1", 0, "recorder"))
    await server.start()
    try:
        yield "http://{}:{}/scheduler".format(*server.address)
    finally:
        await server.stop()


async def create_workloads(api: ApiClient, cluster: Cluster) -> None:
    """One pod each of a Deployment, StatefulSet and Job, a bare one, and one that has to wait."""
    await cluster.create_namespace()
    await cluster.deployment("deployment", 1)
    template = pod_template({"app": "statefulset"})
    spec = {
        "replicas": 1,
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "statefulset"}},
        "template": template,
    }
    await cluster.create("StatefulSet", "statefulset", spec)
    await cluster.create("Job", "job", {"template": pod_template({"app": "job"}, restartPolicy="Never")})
    await cluster.deployment(LATE, 1)
    bare = pod_template({"app": "bare"})
    bare["metadata"]["name"] = "bare"

    async def created() -> bool:
        # The namespace's service account may not be there yet.
        with contextlib.suppress(ApiError):
            await api.request("POST", f"/api/v1/namespaces/{cluster.namespace}/pods", body=bare)
            return True
        return False

    await eventually(created, bool, "bare pod")


async def record(recorder: Recorder, api: ApiClient, mode: str) -> None:
    """Have one request of each sort sent."""
    recorder.mode = mode
    cluster = Cluster(api, f"recorded-{mode}")
    await create_workloads(api, cluster)
    for name in ("deployment", "statefulset", "job", "bare"):
        await recorder.seen(f"{mode}-{name}-prioritize")
    await recorder.seen(f"{mode}-{LATE}-filter")

    async def late() -> dict[str, Any]:
        return (await cluster.pods(LATE))[0]

    pod = await eventually(late, lambda pod: bool(pod["status"].get("conditions")), "PodScheduled=False")
    key = PodId(cluster.namespace, pod["metadata"]["name"], pod["metadata"]["uid"])
    patches = PodPatches(api)
    await patches.annotate(key, {"spotmix.io/wake": "now"})
    await recorder.seen(f"{mode}-retried-filter")

    async def nominated() -> bool:
        # A rejection that is still being written would clear it again.
        await patches.nominate(key, "spot-1")
        await asyncio.sleep(0.5)
        return f"{mode}-nominated-filter" in recorder.bodies

    await eventually(nominated, bool, "nominated")


async def main() -> None:
    recorder = Recorder()
    nodes = node_pool(2, capacity_class="spot", zones=("a", "b")) + node_pool(1, capacity_class="on-demand")
    async with serving(recorder) as url, ControlPlane(scheduler_config=scheduler_config(url)) as plane:
        async with await plane.connect() as api:
            await create_nodes(api, nodes)
            await record(recorder, api, "names")
            await plane.scheduler.restart(scheduler_config(url, nodeCacheCapable=False))
            await record(recorder, api, "nodes")
        private = [str(plane.directory), str(Path.home()), str(Path.cwd())]
    leaks = [name for name, body in recorder.bodies.items() if any(path.encode() in body for path in private)]
    if leaks:
        raise SystemExit(f"these name paths of this machine: {', '.join(leaks)}")
    shutil.rmtree(RECORDINGS, ignore_errors=True)
    RECORDINGS.mkdir()
    for name, body in recorder.bodies.items():
        (RECORDINGS / f"{name}.json").write_bytes(body)
        print(f"{name}.json: {len(body)} bytes")


if __name__ == "__main__":
    asyncio.run(main())
