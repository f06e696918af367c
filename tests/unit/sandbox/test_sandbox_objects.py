"""What the sandbox writes: nodes, pod status, scheduler configurations, credentials, many things at once."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from extender.core.model.errors import SandboxError
from extender.sandbox.bulk import bulk
from extender.sandbox.credentials import PlaneCredentials
from extender.sandbox.nodes import SimNode, node_pool
from extender.sandbox.podstatus import RUN_FOR, SandboxPod, ended, running
from extender.sandbox.schedulerconfig import complete
from extender.schedulerconfig.read import API_VERSION, KIND

KUBECONFIG = Path("/run/scheduler.kubeconfig")


def test_a_pool_covers_every_zone_with_every_instance_type() -> None:
    pool = node_pool(12, capacity_class="spot", zones=("a", "b", "c"), instance_types=("x", "y"), cpu="4", start=5)
    assert [node.name for node in pool][::11] == ["spot-5", "spot-16"]
    assert {(node.zone, node.instance_type) for node in pool} == {(z, t) for z in "abc" for t in "xy"}
    assert all(node.cpu == "4" for node in pool)


@pytest.mark.parametrize(
    ("platform", "spot", "on_demand", "tainted"),
    [
        ("karpenter", ("karpenter.sh/capacity-type", "spot"), ("karpenter.sh/capacity-type", "on-demand"), False),
        ("eks", ("eks.amazonaws.com/capacityType", "SPOT"), ("eks.amazonaws.com/capacityType", "ON_DEMAND"), False),
        ("gke", ("cloud.google.com/gke-spot", "true"), ("cloud.google.com/gke-provisioning", "standard"), True),
        ("aks", ("kubernetes.azure.com/scalesetpriority", "spot"), None, True),
        ("none", None, None, False),
    ],
)
def test_nodes_look_like_their_platforms(
    platform: str, spot: tuple[str, str] | None, on_demand: tuple[str, str] | None, tainted: bool
) -> None:
    for capacity_class, mark in (("spot", spot), ("on-demand", on_demand)):
        node = SimNode("n", "spot" if capacity_class == "spot" else "on-demand", platform=platform).body()
        labels = node["metadata"]["labels"]
        assert labels["kubernetes.io/hostname"] == "n"
        if mark is None:
            assert not any("spot" in key + value for key, value in labels.items())
        else:
            assert mark in labels.items()
        assert bool(node["spec"]["taints"]) == (tainted and capacity_class == "spot")


def test_a_nodes_own_labels_and_taints_are_kept() -> None:
    taint = {"key": "team", "value": "x", "effect": "NoExecute"}
    node = SimNode("n", "spot", platform="gke", taints=(taint,), labels={"topology.kubernetes.io/zone": "z"}).body()
    assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == "z"
    assert taint in node["spec"]["taints"]
    assert len(node["spec"]["taints"]) == 2


def test_an_unknown_platform_names_the_known_ones() -> None:
    with pytest.raises(SandboxError, match="'moon' is none of karpenter, eks"):
        SimNode("n", platform="moon").body()


def pod(**annotations: str) -> SandboxPod:
    given: dict[str, Any] = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "annotations": annotations or None},
        "spec": {"nodeName": "x", "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]},
        "status": {"phase": "Pending"},
    }
    return msgspec.convert(given, SandboxPod)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3s", 3.0), ("500ms", 0.5), ("1m30s", 90.0), ("0s", 0.0), ("1.5h", 5400.0)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert pod(**{RUN_FOR: text}).seconds(RUN_FOR) == seconds


@pytest.mark.parametrize("text", ["", "3", "s", "3 s", "-3s", "3s!", "3d"])
def test_other_durations_are_refused_with_pod_and_value(text: str) -> None:
    with pytest.raises(SandboxError, match=rf"pod n/p: annotation {RUN_FOR} is {text!r}"):
        pod(**{RUN_FOR: text}).seconds(RUN_FOR)


def test_no_duration_is_none() -> None:
    assert pod().seconds(RUN_FOR) is None


def conditions(patch: dict[str, Any]) -> dict[str, str]:
    return {each["type"]: each["status"] for each in patch["status"]["conditions"]}


def test_a_running_pod_is_ready_in_all_its_containers() -> None:
    patch = running(pod())
    assert patch["status"]["phase"] == "Running"
    assert set(conditions(patch).values()) == {"True"}
    assert [(each["name"], each["ready"]) for each in patch["status"]["containerStatuses"]] == [
        ("a", True),
        ("b", True),
    ]


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (143, "Failed")])
def test_an_ended_pod_is_not_ready_and_tells_its_exit_code(code: int, phase: str) -> None:
    patch = ended(pod(), exit_code=code)
    assert patch["status"]["phase"] == phase
    assert conditions(patch)["Ready"] == "False"
    assert conditions(patch)["PodScheduled"] == "True"
    assert {each["state"]["terminated"]["exitCode"] for each in patch["status"]["containerStatuses"]} == {code}


@pytest.mark.parametrize("config", [None, {}, ""])
def test_the_stock_scheduler_needs_no_configuration(config: Any) -> None:
    completed = complete(config, KUBECONFIG, None)
    assert (completed["apiVersion"], completed["kind"]) == (API_VERSION, KIND)
    assert completed["clientConnection"]["kubeconfig"] == str(KUBECONFIG)
    assert completed["leaderElection"] == {"leaderElect": False}
    assert "profiles" not in completed


def test_what_the_caller_says_is_kept_where_it_is_not_ours() -> None:
    text = """
        clientConnection: {kubeconfig: /theirs, qps: 7}
        leaderElection: {leaderElect: true}
        percentageOfNodesToScore: 5
    """
    completed = complete(text, KUBECONFIG, "second")
    assert completed["clientConnection"]["kubeconfig"] == str(KUBECONFIG)
    assert completed["clientConnection"]["qps"] == 7
    assert completed["leaderElection"] == {"leaderElect": False}
    assert completed["percentageOfNodesToScore"] == 5
    assert completed["profiles"] == [{"schedulerName": "second"}]


def test_the_callers_profiles_win_over_the_name() -> None:
    profiles = [{"schedulerName": "theirs"}]
    assert complete({"profiles": profiles}, KUBECONFIG, "second")["profiles"] == profiles


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("{", "is not YAML"),
        ("- a", "is a list, not a mapping"),
        ({"kind": "SandboxPod"}, "kind is 'SandboxPod'"),
        ({"apiVersion": "kubescheduler.config.k8s.io/v1beta3"}, "apiVersion is"),
    ],
)
def test_a_wrong_configuration_is_told(config: Any, text: str) -> None:
    with pytest.raises(SandboxError, match=text):
        complete(config, KUBECONFIG, None)


async def test_both_sides_of_tls_accept_each_other_strictly(tmp_path: Path) -> None:
    credentials = PlaneCredentials(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(credentials.ca_path))
    server_side.load_cert_chain(credentials.serving_path, credentials.serving_key_path)
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=str(credentials.ca_path))
    client_side.load_cert_chain(credentials.probe)
    for context in (server_side, client_side):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    subjects: list[Any] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subjects.append(writer.get_extra_info("peercert")["subject"])
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_side)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert (("organizationName", "system:masters"),) in subjects[0]
    assert (("commonName", "sandbox-probe"),) in subjects[0]


def test_keys_are_private_and_kubeconfigs_need_no_other_file(tmp_path: Path) -> None:
    credentials = PlaneCredentials(tmp_path)
    path = credentials.write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", "ann", ("a", "b"))
    for private in (path, credentials.serving_key_path, credentials.service_account_key_path, credentials.probe):
        assert private.stat().st_mode & 0o077 == 0
    config = yaml.safe_load(path.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


async def test_bulk_does_everything_and_bounds_what_is_under_way() -> None:
    done: list[int] = []
    under_way = most = 0

    async def action(item: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done.append(item)

    assert await bulk(range(50), action, concurrency=7) == 50
    assert sorted(done) == list(range(50))
    assert most == 7


async def test_bulk_stops_at_the_first_failure() -> None:
    begun: list[int] = []

    async def action(item: int) -> None:
        begun.append(item)
        await asyncio.sleep(0)
        if item == 3:
            raise SandboxError("three")

    with pytest.raises(SandboxError, match="three"):
        await bulk(range(1000), action, concurrency=2)
    assert len(begun) < 10
