"""A configuration file that changes while pods run: what is taken up, and what is told of where it is not."""

import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.cluster import Cluster
from support.patience import eventually
from support.podstreams import make_pod
from support.stage import Stage

from extender.sandbox.spotmix import SpotmixServe, scheduler_config

pytestmark = [pytest.mark.controlplane, pytest.mark.asyncio(loop_scope="session")]

POD = "spotmix-0"
SUCCESSFUL, SPOT_NODES = "spotmix_config_last_reload_successful", 'spotmix_nodes{capacity_class="spot"}'


class Mounted:
    """A configuration as a kubelet mounts it from a ConfigMap: behind a link that is exchanged."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "config.yaml"
        self._count = 0

    def write(self, **sections: Any) -> None:
        self._count += 1
        version = self.folder / f"..{self._count}"
        version.mkdir()
        head = {"apiVersion": "spotmix.io/v1alpha1", "kind": "SpotmixConfiguration"}
        (version / "config.yaml").write_text(yaml.safe_dump({**head, **sections}))
        link = self.folder / "..tmp"
        link.symlink_to(version.name)
        link.replace(self.folder / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/config.yaml")


async def test_defaults_classes_and_log_level_change_while_pods_run(stage: Stage, tmp_path: Path) -> None:
    mounted = Mounted(tmp_path)
    mounted.write(policy={"defaults": {"spot-percentage": 0}})
    # The stage's own does the rest.
    quiet = ("--drift-enabled", "false", "--scale-in-deletion-cost", "false", "--api-enabled", "false")
    async with contextlib.AsyncExitStack() as stack:
        home, cluster = [await stack.enter_async_context(stage.namespace()) for _ in range(2)]
        await make_pod(stage.api, home.namespace, POD, {}, node="")
        pod = {"POD_NAME": POD, "POD_NAMESPACE": home.namespace}
        spotmix = SpotmixServe(stage.plane, "--config", str(mounted.file), *quiet, name="reloading", **pod)
        stack.push_async_callback(spotmix.stop)
        await spotmix.start()
        there = Stage(stage.plane, stage.api, stage.kubelet, spotmix)
        scheduler = await stage.plane.start_scheduler("reloading", scheduler_config(spotmix.url))
        stack.push_async_callback(scheduler.stop)
        await cluster.deployment("web", 2, schedulerName="reloading")
        await cluster.expect("web", spot=0, on_demand=2)
        assert "decision" not in logged(spotmix)

        in_zone_c = {"label": "topology.kubernetes.io/zone", "capacityClass": "spot", "values": ["c"]}
        good = {
            "policy": {"defaults": {"spot-percentage": 100}},
            "log": {"level": "debug"},
            "classes": {"extraRules": [in_zone_c]},
        }
        before = there.metric(SPOT_NODES) or 0
        mounted.write(**good)
        await eventually(metric(there, SPOT_NODES), lambda count: count > before, "nodes are judged anew")
        assert logged(spotmix)["configuration taken up"]["settings"] == ["log.level", "policy.defaults", "classes"]
        await cluster.scale("Deployment", "web", 4)
        await cluster.ready("web", 4)
        zones = {node["metadata"]["name"]: node["metadata"]["labels"] for node in await cluster.nodes()}
        assert sum(is_spot(zones[pod["spec"]["nodeName"]]) for pod in await cluster.pods("web")) >= 2
        assert "decision" in logged(spotmix)

        after = there.metric(SPOT_NODES)
        mounted.write(**{**good, "log": {"level": "loud"}, "classes": {}})
        await eventually(metric(there, SUCCESSFUL), lambda value: value == 0, "the wrong file is told of")
        assert there.metric(SPOT_NODES) == after
        await eventually(events(home), lambda notes: len(notes) == 1, "an Event tells of it")
        (note,) = await events(home)()
        assert "'loud'" in note

        mounted.write(**good, metrics={"addr": "127.0.0.1:1"})
        assert spotmix._process is not None
        spotmix._process.send_signal(signal.SIGHUP)
        await eventually(metric(there, SUCCESSFUL), lambda value: value == 1, "the right one counts")
        assert there.metric("spotmix_config_restart_required{") is None, "a flag outranks it"


def metric(stage: Stage, name: str) -> Any:
    async def value() -> float:
        return stage.metric(name) or 0.0

    return value


def events(cluster: Cluster) -> Any:
    async def notes() -> list[str]:
        return [event["note"] for event in await cluster.events("ConfigInvalid")]

    return notes


def logged(spotmix: SpotmixServe) -> dict[str, dict[str, Any]]:
    """The last line of each kind."""
    lines = (line for line in spotmix.log_path.read_text().splitlines() if line.startswith("{"))
    return {line["event"]: line for line in map(json.loads, lines)}


def is_spot(labels: dict[str, str]) -> bool:
    return labels["topology.kubernetes.io/zone"] == "c" or labels.get("karpenter.sh/capacity-type") == "spot"
