"""kind-config.yaml as kind reads it, and its scheduler's configuration in the hands of the real kube-scheduler."""

import json
import subprocess
from typing import Any

import pytest
import yaml
from generate.chart import pick, template
from programs import ROOT, kindconfig

from extender.sandbox import ControlPlane
from extender.sandbox.versions import KUBERNETES

pytestmark = [pytest.mark.tools]

CONFIG = ROOT / "kind-config.yaml"
SCHEDULER = ROOT / "deploy" / "kind" / "scheduler-config.yaml"
IN_NODE = "/etc/spotmix/scheduler-config.yaml"


def read(version: str = KUBERNETES) -> dict[str, Any]:
    done = subprocess.run([kindconfig(), CONFIG, version], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def kubeadm(node: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(document for document in node["kubeadm"] if document["kind"] == kind)


def test_six_workers_of_two_classes_in_three_zones_one_of_them_tainted() -> None:
    control_plane, *workers = read()["nodes"]
    assert control_plane["role"] == "control-plane"
    assert sorted(
        (worker["labels"]["karpenter.sh/capacity-type"], worker["labels"]["topology.kubernetes.io/zone"])
        for worker in workers
    ) == [(kind, f"zone-{zone}") for kind in ("on-demand", "spot") for zone in "abc"]
    tainted = [w for w in workers if kubeadm(w, "JoinConfiguration")["nodeRegistration"].get("taints")]
    assert [worker["labels"]["karpenter.sh/capacity-type"] for worker in tainted] == ["spot"]
    assert kubeadm(tainted[0], "JoinConfiguration")["nodeRegistration"]["taints"] == [
        {"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"}
    ]


@pytest.mark.parametrize("version", ["v1.35.0", "v1.36.3", KUBERNETES])
def test_the_scheduler_is_started_with_the_mounted_file(version: str) -> None:
    node = read(version)["nodes"][0]
    assert node["mounts"] == [
        {"hostPath": str(SCHEDULER.relative_to(ROOT)), "containerPath": IN_NODE, "readOnly": True}
    ]
    scheduler = kubeadm(node, "ClusterConfiguration")["scheduler"]
    # kubeadm's v1beta4 has a list where v1beta3 has a map.
    expected = {"config": IN_NODE} if version.startswith("v1.35") else [{"name": "config", "value": IN_NODE}]
    assert scheduler["extraArgs"] == expected
    (volume,) = scheduler["extraVolumes"]
    assert (volume["hostPath"], volume["mountPath"]) == (IN_NODE, IN_NODE)


def test_the_scheduler_asks_the_address_that_the_chart_reserves() -> None:
    (stanza,) = yaml.safe_load(SCHEDULER.read_text())["extenders"]
    objects = template(yaml.safe_load((ROOT / "deploy" / "kind" / "values.yaml").read_text()))
    service = pick(objects, "Service", "spotmix-extender")["spec"]
    assert stanza["urlPrefix"] == f"http://{service['clusterIP']}:{service['ports'][0]['port']}/scheduler"
    assert read()["serviceSubnet"] == "10.96.0.0/16"
    told = yaml.safe_load(pick(objects, "ConfigMap")["data"]["config.yaml"])["schedulerConfig"]
    # No scores are asked for where they have no weight.
    assert (told["weight"], stanza.keys() & {"prioritizeVerb", "weight"}) == (0, set())
    assert {key: stanza[key] for key in ("httpTimeout", "ignorable")} == {
        key: told[key] for key in ("httpTimeout", "ignorable")
    }


@pytest.mark.controlplane
@pytest.mark.asyncio(loop_scope="session")
async def test_the_real_scheduler_starts_with_it(bare_plane: ControlPlane) -> None:
    # The sandbox puts its own kubeconfig in the place of the node's.
    scheduler = await bare_plane.start_scheduler("kind", SCHEDULER.read_text())
    written = yaml.safe_load(scheduler.config_path.read_text())
    assert written["extenders"] == yaml.safe_load(SCHEDULER.read_text())["extenders"]
    assert scheduler.running
    await scheduler.stop()
