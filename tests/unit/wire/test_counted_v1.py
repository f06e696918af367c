"""What of a watched pod is counted, and what keeps it where it is: requests while it is resized, fields not counted."""

import json
from typing import Any

import pytest

from extender.core.model.classes import ClassRules
from extender.core.model.errors import WireError
from extender.core.model.modelled import POD_SPEC, VOLUME_SOURCES, Treatment, stays
from extender.core.model.objects import Pod, Requests
from extender.wire.objects_v1 import Decoders
from extender.wire.unknown_v1 import with_unknown

DECODER = Decoders(ClassRules(), ("spotmix.io",)).make("pods", "v1", "Pod")
META = {"name": "web-0", "namespace": "shop", "uid": "u"}


def body(status: dict[str, Any] | None = None, **spec: Any) -> bytes:
    return json.dumps({"metadata": META, "spec": spec, "status": status or {}}).encode()


def pod(status: dict[str, Any] | None = None, **spec: Any) -> Pod:
    found = DECODER.one(body(status, **spec))
    assert isinstance(found, Pod)
    return found


def container(cpu: str, name: str = "c", **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}


def holds(has: str, promised: str | None = None, name: str = "c") -> dict[str, Any]:
    status: dict[str, Any] = {"name": name, "resources": {"requests": {"cpu": has}}}
    return status | ({"allocatedResources": {"cpu": promised}} if promised is not None else {})


@pytest.mark.parametrize(
    ("asks", "status", "cpu"),
    [
        ("100m", [holds("3", "3")], 3000),
        ("3", [holds("100m", "100m")], 3000),
        ("100m", [holds("100m", "3")], 3000),
        ("100m", [{"name": "c", "allocatedResources": {"cpu": "3"}}], 3000),
        ("100m", [holds("3", name="another")], 100),
        ("100m", [], 100),
    ],
)
def test_a_pod_takes_the_most_of_what_it_asks_for_has_and_was_promised(
    asks: str, status: list[dict[str, Any]], cpu: int
) -> None:
    others = [container("1", "other")] if status and status[0]["name"] == "another" else []
    found = pod({"containerStatuses": status}, containers=[container(asks), *others])
    assert found.requests == Requests(cpu=cpu + 1000 * len(others))


def test_what_is_asked_for_does_not_count_once_it_is_infeasible() -> None:
    pending = {"type": "PodResizePending", "status": "True", "reason": "Infeasible"}
    for reason, cpu in (("Infeasible", 500), ("Deferred", 9000)):
        status = {"containerStatuses": [holds("500m", "200m")], "conditions": [{**pending, "reason": reason}]}
        assert pod(status, containers=[container("9")]).requests == Requests(cpu=cpu)
        promised = {"name": "c", "allocatedResources": {"cpu": "500m"}}
        status["containerStatuses"] = [promised]
        assert pod(status, containers=[container("9")]).requests == Requests(cpu=9000)


def test_sidecars_and_other_init_containers_are_resized() -> None:
    status = {"containerStatuses": [holds("1")], "initContainerStatuses": [holds("2", name="first")]}
    sidecar = container("100m", "first", restartPolicy="Always")
    assert pod(status, containers=[container("1")], initContainers=[sidecar]).requests == Requests(cpu=3000)
    once = container("100m", "first")
    assert pod(status, containers=[container("1")], initContainers=[once]).requests == Requests(cpu=2000)


def test_a_pod_as_a_whole_is_resized_too() -> None:
    spec: dict[str, Any] = {
        "containers": [container("1")],
        "resources": {"requests": {"cpu": "2", "example.com/a": "1"}},
    }
    whole = {"resources": {"requests": {"cpu": "4"}}, "allocatedResources": {"cpu": "5"}}
    assert pod({"containerStatuses": [holds("1")], **whole}, **spec).requests == Requests(cpu=5000)
    assert pod({"containerStatuses": [holds("1")]}, **spec).requests == Requests(cpu=2000)
    # Kubelets may say it of pods that ask for nothing as a whole.
    del spec["resources"]
    assert pod({"containerStatuses": [holds("1")], **whole}, **spec).requests == Requests(cpu=5000)
    assert pod({"containerStatuses": [holds("9")], **whole}, **spec).requests == Requests(cpu=9000)


def test_gates_keep_every_scheduler_away() -> None:
    assert pod(schedulerName="one").scheduler == "one"
    assert pod(schedulerName="one", schedulingGates=[{"name": "wait"}]).scheduler is None
    assert pod(schedulerName="one", schedulingGates=[]).scheduler == "one"


RULES = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}]


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"resourceClaims": [{"name": "g"}]}, ("spec.resourceClaims",)),
        ({"evictionResponders": [{"name": "r", "priority": 1}]}, ("spec.evictionResponders",)),
        ({"schedulingGroup": {"podGroupName": "g"}}, ("spec.schedulingGroup",)),
        ({"workloadRef": {"name": "w"}}, ("spec.workloadRef",)),
        ({"hostUsers": False, "hostNetwork": True}, ("spec.hostUsers",)),
        ({"hostUsers": False}, ()),
        ({"containers": [container("1", restartPolicyRules=RULES)]}, ("spec.containers[].restartPolicyRules",)),
        ({"containers": [container("1", restartPolicyRules=[{"action": "Restart"}])]}, ()),
        ({"resourceClaims": [], "workloadRef": None}, ()),
        *(
            ({"volumes": [{"name": "v", name: {}}, {"name": "w", name: {}}]}, (f"spec.volumes[].{name}",))
            for name in stays(VOLUME_SOURCES)
        ),
        *(
            ({"volumes": [{"name": "v", name: {}}]}, ())
            for name, field in VOLUME_SOURCES.items()
            if field.treatment is Treatment.FREE
        ),
        *(
            ({name: 1}, ())
            for name, field in POD_SPEC.items()
            if field.treatment is Treatment.FREE and name != "hostUsers"
        ),
    ],
)
def test_what_is_not_counted_is_named(spec: dict[str, Any], fields: tuple[str, ...]) -> None:
    found = pod(**spec)
    assert found.constraints.unmodelled == fields
    assert with_unknown(found, body(**spec)) is found


def test_what_claims_of_the_scheduler_give_is_not_counted() -> None:
    status = {"extendedResourceClaimStatus": {"resourceClaimName": "x"}}
    assert pod(status).constraints.unmodelled == ("status.extendedResourceClaimStatus",)


def test_fields_of_a_newer_kubernetes_are_not_counted() -> None:
    spec: dict[str, Any] = {
        "orbit": "low",
        "resourceClaims": [{"name": "g"}],
        "volumes": [{"name": "v", "tape": {}}, {"name": "w", "emptyDir": {}}, {"name": "x", "tape": {}}],
    }
    found = with_unknown(pod(**spec), body(**spec))
    assert found.constraints.unmodelled == ("spec.resourceClaims", "spec.orbit", "spec.volumes[].tape")
    with pytest.raises(WireError, match="a pod does not decode"):
        with_unknown(found, b'{"spec": {"volumes": 1}}')
