"""Reviews of a real API server, replayed; answers decoded as Go decodes them, and their patches applied."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.doubles import ENABLED, keys, make_owner
from support.doubles_webhook import INJECTED, LABEL, HookBench
from support.reviews import Response, answer, patched

from extender.core.model.taints import Toleration
from extender.core.placement.tolerations import SPOT_TOLERATIONS
from extender.wire.admission_v1 import decode_pod, decode_workload

ADMISSIONS = sorted(Path(__file__).with_name("admissions").glob("*.json"))
PODS = [path for path in ADMISSIONS if path.stem.startswith("pods-")]
WORKLOADS = [path for path in ADMISSIONS if path.stem.startswith("workloads-")]
REPLICAS = {"pods-deployment", "pods-statefulset", "pods-job", "pods-says-all"}
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def load(path: Path) -> tuple[bytes, dict[str, Any]]:
    body = path.read_bytes()
    request: dict[str, Any] = json.loads(body)["request"]
    return body, request


def know(bench: HookBench, request: dict[str, Any], **policy: Any) -> None:
    """Make known the owner that a request speaks of, under a policy."""
    for reference in request["object"]["metadata"].get("ownerReferences", ()):
        if reference["kind"] != "DaemonSet":
            said = {"labels": ENABLED, "annotations": keys(**policy), "namespace": request["namespace"]}
            bench.world.up(make_owner(reference["kind"], reference["name"], 4, uid=reference["uid"], **said))


async def ask(bench: HookBench, path: str, body: bytes) -> Response:
    status, got = await bench.post(path, body)
    assert status == 200
    response = answer(got)
    assert response.uid == json.loads(body)["request"]["uid"]
    return response


def test_every_sort_was_recorded() -> None:
    assert {path.stem for path in PODS} == REPLICAS | {"pods-daemonset", "pods-bare", "pods-bare-dry"}
    assert len(WORKLOADS) >= 9
    assert len(ADMISSIONS) - len(PODS) - len(WORKLOADS) == 2


@pytest.mark.parametrize("path", PODS, ids=lambda path: path.stem)
def test_what_is_read_is_what_was_sent(path: Path) -> None:
    body, request = load(path)
    review = decode_pod(body)
    assert (review.uid, review.dry_run) == (request["uid"], path.stem.endswith("-dry"))
    draft = review.draft
    assert draft is not None
    assert (draft.pod.namespace, draft.scheduler_name) == ("recorded", "default-scheduler")
    assert (draft.pod.owner is None) == ("-bare" in path.stem)
    assert Toleration("node.kubernetes.io/not-ready", "Exists", "", "NoExecute") in draft.tolerations
    assert ("kubernetes.io/arch" in draft.node_labels) == (path.stem == "pods-says-all")
    if path.stem == "pods-statefulset":
        # Its seat is told by it; other pods have no name yet.
        assert draft.pod.name == "statefulset-0"


@pytest.mark.parametrize("path", PODS, ids=lambda path: path.stem)
async def test_pods_get_what_they_lack_and_nothing_twice(path: Path) -> None:
    bench = HookBench()
    body, request = load(path)
    know(bench, request, spot_percentage=100, scheduler_name="second")
    response = await ask(bench, "/mutate/pods", body)
    assert (response.allowed, response.warnings) == (True, [])
    if path.stem not in REPLICAS:
        assert response.operations == []
        return
    before = request["object"]
    after = patched(before, response.operations)
    assert after["spec"]["schedulerName"] == "second"
    held = before["spec"]["tolerations"]
    assert after["spec"]["tolerations"][: len(held)] == held
    tolerated = [t["key"] for t in after["spec"]["tolerations"]]
    assert [t.key for t in SPOT_TOLERATIONS if tolerated.count(t.key) != 1] == []
    terms = after["spec"]["affinity"]["nodeAffinity"][PREFERRED]
    expression = {"key": LABEL, "operator": "In", "values": ["spot"]}
    assert terms[-1] == {"weight": 50, "preference": {"matchExpressions": [expression]}}
    assert len(terms) == (2 if path.stem == "pods-says-all" else 1)
    # The API server asks again when another webhook has changed the pod.
    again = json.loads(body)
    again["request"]["object"] = after
    assert (await ask(bench, "/mutate/pods", json.dumps(again).encode())).operations == []


@pytest.mark.parametrize("path", PODS, ids=lambda path: path.stem)
async def test_before_all_is_known_pods_pass_with_a_warning(path: Path) -> None:
    bench = HookBench()
    bench.synced = False
    response = await ask(bench, "/mutate/pods", load(path)[0])
    assert (response.allowed, response.operations) == (True, [])
    assert len(response.warnings) == (path.stem in REPLICAS)


@pytest.mark.parametrize(
    "path", [path for path in ADMISSIONS if path.stem.startswith("configs-")], ids=lambda p: p.stem
)
async def test_configurations_are_injected(path: Path) -> None:
    bench = HookBench()
    body, request = load(path)
    text = request["object"]["data"]["config.yaml"]
    body = body.replace(json.dumps(text).encode(), json.dumps("kind: KubeSchedulerConfiguration\n").encode())
    response = await ask(bench, "/mutate/scheduler-configs", body)
    assert response.operations == [{"op": "replace", "path": "/data/config.yaml", "value": INJECTED}]


@pytest.mark.parametrize("path", WORKLOADS, ids=lambda path: path.stem)
async def test_workloads_are_read_and_judged(path: Path) -> None:
    body, request = load(path)
    found = decode_workload(body, ("spotmix.io",))
    assert found.new is not None
    assert found.new.name == request["object"]["metadata"]["name"]
    assert (found.old is None) == (request["operation"] == "CREATE")
    assert found.new.annotations == {
        key: value
        for key, value in request["object"]["metadata"]["annotations"].items()
        if key.startswith("spotmix.io/")
    }
    response = await ask(HookBench(deny=True), "/validate/workloads", body)
    wrong = path.stem == "workloads-deployment-update"
    assert response.allowed is not wrong
    if wrong:
        assert response.status is not None
        assert response.status.message.startswith(
            "Deployment recorded/deployment: spotmix.io/spot-percentage='seventy'"
        )
    elif path.stem == "workloads-deployment":
        assert "gives no spot replica below 2 replicas" in response.warnings[0]
    elif "untouched" in path.stem:
        assert response.warnings == []
