"""What the API server takes as a policy object and what it refuses, in which words; defaults, columns, two managers."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from generate import pages
from programs import kubectl
from support.cluster import Cluster
from support.commands import run
from support.objects import APPLY, Objects
from support.policyobjects import cluster_policy, placement_policy, shares
from support.stage import Stage

from extender.core.model.errors import ApiError
from extender.core.policy.rules import PolicyRules
from extender.lint.check import check

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

SPOT, ON_DEMAND = {"name": "spot", "weight": 70}, {"name": "on-demand", "weight": 30}
BOTH = [ON_DEMAND, SPOT]
AUDIT = {"mode": "Audit"}


def spot(**fields: Any) -> dict[str, Any]:
    return {"classes": [ON_DEMAND, {**SPOT, **fields}]}


def expression(**fields: Any) -> dict[str, Any]:
    return {**AUDIT, "selector": {"matchExpressions": [fields]}}


def window(**fields: Any) -> dict[str, Any]:
    return {"moves": {"schedule": "0 2 * * *", "duration": "4h", **fields}}


def limit(**fields: Any) -> dict[str, Any]:
    return {"limits": [{"class": "on-demand", "resource": "cpu", "max": "100", **fields}]}


VALID: list[dict[str, Any]] = [
    AUDIT,
    {"mode": "Enforce"},
    {"classes": BOTH},
    {"classes": [SPOT]},
    {"classes": [ON_DEMAND]},
    {
        "classes": [
            {"name": "reserved", "max": 4},
            {**ON_DEMAND, "base": 2},
            {**SPOT, "max": "80%", "maxPerPool": "25%"},
        ]
    },
    {"classes": [{**ON_DEMAND, "weight": 0, "base": 2}, {**SPOT, "weight": 1}]},
    spot(max=0),
    spot(max=10000),
    spot(max="0%"),
    spot(max="100%"),
    {"classes": [{**ON_DEMAND, "max": "40%"}, {**SPOT, "max": 4}, {"name": "gold", "max": 4}]},
    spot(maxPerPool=1),
    spot(maxPerPool="1%"),
    spot(base=3, max=3),
    {"classes": BOTH, "selector": {}},
    {"classes": BOTH, "selector": {"matchLabels": {"tier": "web"}}},
    expression(key="tier", operator="In", values=["web", "api"]),
    expression(key="tier", operator="Exists"),
    {**AUDIT, "priority": -5},
    {**AUDIT, "count": "Policy"},
    {**AUDIT, "count": "Runs"},
    {"unsatisfiable": {"action": "Fallback", "after": "3m", "to": ["on-demand", "reserved"]}},
    {"unsatisfiable": {"action": "Any", "after": "1h30m5.5s"}},
    {"unsatisfiable": {"action": "Wait"}},
    {"unsatisfiable": {"after": "0"}},
    {"moves": {"maxPerHour": 0}},
    window(),
    window(timeZone="Europe/Berlin", maxPerHour=6),
    window(schedule="*/5 0-6 1,15 * MON-FRI", duration="87600h", timeZone="UTC"),
    {"interruptions": {"onDemandAfter": 2}},
]
VALID_OF_CLUSTER: list[dict[str, Any]] = [
    {**AUDIT, "namespaceSelector": {"matchLabels": {"team": "a"}}},
    limit(),
    limit(max=100),
    limit(resource="memory", max="64Gi"),
]

POSITIVE = "should be greater than or equal to"
MOST = "should be less than or equal to"
# What is wrong, and a part of what is said of it.
INVALID: list[tuple[Any, str]] = [
    ({}, "the policy says nothing: write classes"),
    ({"selector": {"matchLabels": {"tier": "web"}}}, "the policy says nothing"),
    ({"priority": 3}, "the policy says nothing"),
    (None, "spec: Required value"),
    ([], "must be of type object"),
    ({**AUDIT, "spotPercentage": 70}, 'unknown field "spec.spotPercentage"'),
    ({**AUDIT, "limits": []}, 'unknown field "spec.limits"'),
    ({**AUDIT, "namespaceSelector": {}}, 'unknown field "spec.namespaceSelector"'),
    ({"mode": "audit"}, 'supported values: "Enforce", "Audit"'),
    ({"mode": "Off"}, 'supported values: "Enforce", "Audit"'),
    ({**AUDIT, "count": "Job"}, 'supported values: "Workload", "Policy", "Runs"'),
    ({**AUDIT, "priority": 1000001}, MOST),
    ({**AUDIT, "priority": "high"}, "must be of type integer"),
    ({"classes": []}, "should have at least 1 items"),
    ({"classes": [{"weight": 70}]}, "name: Required value"),
    ({"classes": [{"name": "Spot", "weight": 70}]}, "write the name of a class in lower case, such as spot"),
    ({"classes": [{"name": "on_demand", "weight": 70}]}, "write the name of a class in lower case"),
    ({"classes": [{"name": "", "weight": 70}]}, "write the name of a class in lower case"),
    ({"classes": [SPOT, SPOT]}, "Duplicate value"),
    ({"classes": [{"name": "spot"}]}, "one class has to take what is left: give it a weight"),
    ({"classes": [{"name": "spot", "max": 4}, {"name": "on-demand", "base": 2}]}, "one class has to take what is left"),
    ({"classes": [{"name": "spot", "weight": 0}]}, "one class has to take what is left"),
    (spot(weight=-1), POSITIVE),
    (spot(weight=10001), MOST),
    (spot(weight="70"), "must be of type integer"),
    (spot(weight=0.5), "must be of type integer"),
    (spot(base=-1), POSITIVE),
    (spot(base=10001), MOST),
    (spot(max=-1), "should be greater than or equal to 0"),
    (spot(max=10001), "should be less than or equal to 10000"),
    (spot(max="80"), "should match '^(100|[1-9]?[0-9])%$'"),
    (spot(max="101%"), "should match '^(100|[1-9]?[0-9])%$'"),
    (spot(max="-5%"), "should match '^(100|[1-9]?[0-9])%$'"),
    (spot(max="all"), "should match '^(100|[1-9]?[0-9])%$'"),
    (spot(maxPerPool=0), "should be greater than or equal to 1"),
    (spot(maxPerPool="0%"), "should match '^(100|[1-9][0-9]?)%$'"),
    (spot(maxPerPool="a quarter"), "should match '^(100"),
    (spot(base=5, max=4), "base is above max; lower base, or raise max"),
    (
        {"classes": [{**ON_DEMAND, "max": "40%"}, {**SPOT, "max": "80%"}]},
        "only one class may have a max in percent; write the others in replicas, such as max 4",
    ),
    (spot(percent=70), 'unknown field "spec.classes[1].percent"'),
    ({"unsatisfiable": {"action": "fallback"}}, 'supported values: "Fallback", "Any", "Wait"'),
    ({"unsatisfiable": {"after": ""}}, 'write hours, minutes and seconds, such as "30s"'),
    ({"unsatisfiable": {"after": "3 min"}}, "write hours, minutes and seconds"),
    ({"unsatisfiable": {"after": "3"}}, "write hours, minutes and seconds"),
    ({"unsatisfiable": {"after": "-3m"}}, "write hours, minutes and seconds"),
    ({"unsatisfiable": {"after": "5m3h"}}, "write hours, minutes and seconds"),
    ({"unsatisfiable": {"after": "87601h"}}, 'write at most "87600h"'),
    ({"unsatisfiable": {"after": 180}}, "must be of type string"),
    ({"unsatisfiable": {"action": "Any", "to": ["on-demand"]}}, "to says what stands in by action Fallback"),
    ({"unsatisfiable": {"to": ["on-demand"]}}, "to says what stands in by action Fallback"),
    ({"unsatisfiable": {"action": "Fallback", "to": []}}, "should have at least 1 items"),
    ({"unsatisfiable": {"action": "Wait", "after": "3m"}}, "by action Wait nothing stands in, ever: remove after"),
    ({"moves": {"schedule": "0 2 * * *"}}, "schedule and duration go together: write both"),
    ({"moves": {"duration": "4h"}}, "schedule and duration go together"),
    ({"moves": {"timeZone": "UTC"}}, "timeZone says nothing without schedule; add one, or remove it"),
    (window(schedule="0 2 * *"), 'write five cron fields, such as "0 2 * * 1-5"'),
    (window(schedule="@daily"), "write five cron fields"),
    (window(schedule="0 0 2 * * *"), "write five cron fields"),
    (window(duration="a night"), "write hours, minutes and seconds"),
    (window(timeZone="Europe/"), "write an IANA name, such as Europe/Berlin"),
    (window(timeZone="+01:00"), "write an IANA name"),
    (window(maxPerHour=-1), POSITIVE),
    ({"interruptions": {}}, "onDemandAfter: Required value"),
    ({"interruptions": {"onDemandAfter": 0}}, POSITIVE),
    (expression(key="tier", operator="Is", values=["web"]), 'supported values: "In"'),
    (expression(key="tier", operator="In"), "In and NotIn compare with values; add values"),
    (expression(key="tier", operator="Exists", values=["web"]), "Exists and DoesNotExist compare with nothing"),
    (expression(operator="Exists"), "key: Required value"),
    ({**AUDIT, "selector": {"tier": "web"}}, 'unknown field "spec.selector.tier"'),
]
INVALID_OF_CLUSTER: list[tuple[Any, str]] = [
    ({"namespaceSelector": {}}, "the policy says nothing: write classes, unsatisfiable, moves, limits or mode"),
    (limit(max="lots"), "should match '^"),
    (limit(max="-1"), "should match '^"),
    (limit(max=-1), "should be greater than or equal to 0"),
    ({"limits": [{"class": "spot", "max": 1}]}, "resource: Required value"),
]


async def create(objects: Objects, thing: Mapping[str, Any]) -> str:
    """Have the API server judge an object; what it says against it, empty where it takes it."""
    path = (await objects.path(thing)).rpartition("/")[0]
    params = {"dryRun": "All", "fieldValidation": "Strict"}
    try:
        await objects.api.request("POST", path, params=params, body=thing)
    except ApiError as error:
        return str(error)
    return ""


def thing_of(spec: Any, namespace: str, *, of_cluster: bool) -> dict[str, Any]:
    thing = cluster_policy("judged", spec) if of_cluster else placement_policy("judged", namespace, spec)
    if spec is None:
        del thing["spec"]
    return thing


async def judged(objects: Objects, namespace: str, specs: list[Any], *, of_cluster: bool) -> list[str]:
    things = [thing_of(spec, namespace, of_cluster=of_cluster) for spec in specs]
    return list(await asyncio.gather(*(create(objects, each) for each in things)))


async def test_objects_that_are_right_are_taken(objects: Objects, cluster: Cluster) -> None:
    assert len(VALID) >= 30
    said = await judged(objects, cluster.namespace, VALID, of_cluster=False)
    assert [pair for pair in zip(VALID, said, strict=True) if pair[1]] == []
    of_cluster = [*VALID, *VALID_OF_CLUSTER]
    said = await judged(objects, "", of_cluster, of_cluster=True)
    assert [pair for pair in zip(of_cluster, said, strict=True) if pair[1]] == []


async def test_objects_that_are_wrong_are_refused_with_the_fix(objects: Objects, cluster: Cluster) -> None:
    assert len(INVALID) >= 60
    for wrong, of_cluster in ((INVALID, False), (INVALID_OF_CLUSTER, True)):
        said = await judged(objects, cluster.namespace, [spec for spec, _ in wrong], of_cluster=of_cluster)
        assert [(spec, text) for (spec, part), text in zip(wrong, said, strict=True) if part not in text] == []


def foretold(thing: Mapping[str, Any]) -> bool:
    """Whether `spotmix lint` says that the API server refuses an object."""
    found = check([("judged.yaml", json.dumps(thing))], PolicyRules()).findings
    return any(each.is_refusal for each in found)


async def test_lint_foretells_each_verdict(objects: Objects, cluster: Cluster) -> None:
    specs = [*VALID, *(spec for spec, _ in (*INVALID, *INVALID_OF_CLUSTER)), *VALID_OF_CLUSTER]
    for of_cluster in (False, True):
        said = await judged(objects, cluster.namespace, specs, of_cluster=of_cluster)
        assert len(specs) >= 95
        assert 30 <= sum(map(bool, said)) < len(specs)
        expected = [foretold(thing_of(spec, cluster.namespace, of_cluster=of_cluster)) for spec in specs]
        assert [each for each in zip(specs, said, expected, strict=True) if bool(each[1]) != each[2]] == []


async def test_kubectl_explains_lists_and_waits(stage: Stage, objects: Objects, cluster: Cluster) -> None:
    await objects.apply(
        placement_policy("nobody", cluster.namespace, {**AUDIT, "selector": {"matchLabels": {"a": "b"}}})
    )

    async def ask(*arguments: str) -> str:
        ran = await run(kubectl(), "--kubeconfig", str(stage.plane.kubeconfig), "-n", cluster.namespace, *arguments)
        assert ran.code == 0, ran.err
        return ran.out

    told = await ask("explain", "placementpolicy.spec.classes")
    assert "maxPerPool" in told
    assert "most replicas in one pool" in " ".join(told.split())
    await ask("wait", "--for=condition=Converged", "placementpolicy/nobody", "--timeout=120s")
    assert "placementpolicy.spotmix.io/nobody" in await ask("get", "spotmix", "-o", "name")
    assert "nobody" in await ask("get", "pp")


async def test_the_example_of_the_how_to_is_taken(objects: Objects, cluster: Cluster) -> None:
    page = (pages.DOCS / "how-to" / "write-a-policy.md").read_text()
    example = yaml.safe_load(next(block.text for block in pages.blocks(page) if block.info == "yaml"))
    example["metadata"]["namespace"] = cluster.namespace
    assert await create(objects, example) == ""


async def test_defaults_are_those_that_say_nothing_of_their_own(objects: Objects, cluster: Cluster) -> None:
    applied = await objects.apply(placement_policy("bare", cluster.namespace, AUDIT), dry_run=True)
    assert applied["spec"] == {"mode": "Audit", "selector": {}, "priority": 0, "count": "Workload"}


async def test_columns(objects: Objects, cluster: Cluster) -> None:
    thing = placement_policy("web", cluster.namespace, {"classes": shares(70)})
    await objects.apply(thing)
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = json.loads(await objects.api.request("GET", await objects.path(thing), headers=headers))
    names = [column["name"] for column in table["columnDefinitions"] if not column["priority"]]
    assert names == ["Name", "Workloads", "Replicas", "Split", "Wanted", "Ready", "Age"]


async def test_two_managers_share_a_policy(objects: Objects, cluster: Cluster) -> None:
    path = await objects.path(placement_policy("shared", cluster.namespace, AUDIT))

    async def apply(manager: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps(placement_policy("shared", cluster.namespace, spec)).encode()
        answer = await objects.api.request(
            "PATCH", path, params={"fieldManager": manager}, body=body, content_type=APPLY
        )
        applied: dict[str, Any] = json.loads(answer)
        return applied["spec"]  # type: ignore[no-any-return]  # it is JSON

    await apply("platform", {"classes": [ON_DEMAND]})
    spec = await apply("team", {"classes": [{"name": "spot", "weight": 70}], "mode": "Audit"})
    assert {each["name"]: each["weight"] for each in spec["classes"]} == {"on-demand": 30, "spot": 70}
    with pytest.raises(ApiError, match="conflict"):
        await apply("team", {"classes": [{"name": "on-demand", "weight": 10}, SPOT]})
    spec = await apply("team", {"mode": "Audit"})
    assert [each["name"] for each in spec["classes"]] == ["on-demand"]
