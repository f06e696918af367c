"""A look at a cluster: what is waited for, what is done without, what is an error."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from unit.kube.fake_api import VirtualTime

from extender.core.answers.overview import overview
from extender.core.model.errors import ApiError
from extender.core.model.policies import GROUP as GROUP_OF_POLICIES
from extender.kube.resources import BUILT_IN, DEPLOYMENTS, DRIFT_ONLY, NODES, PODS, POLICIES, VOLUMES
from extender.listing import ATTEMPTS, Listing, list_cluster
from extender.settings import Settings

ROLLOUTS = "/apis/argoproj.io/v1alpha1/rollouts"
GROUP = "/apis/argoproj.io/v1alpha1"


def refusal(status: int) -> ApiError:
    return ApiError(f"{status} told to", status=status, reason="Told")


class Lists:
    """An API that has lists and nothing else. `told` are answers that come first, by path."""

    def __init__(self) -> None:
        self.items: dict[str, list[Mapping[str, Any]]] = {r.path: [] for r in (*BUILT_IN, *DRIFT_ONLY)}
        self.told: dict[str, list[ApiError | bytes]] = {}
        self.documents: dict[str, Mapping[str, Any]] = {}
        self.asked: list[str] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,  # noqa: ARG002 - the port's signature
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",  # noqa: ARG002 - likewise
    ) -> bytes:
        assert (method, body) == ("GET", None)
        self.asked.append(path)
        told = self.told.get(path)
        if told:
            answer = told.pop(0) if len(told) > 1 else told[0]
            if isinstance(answer, ApiError):
                raise answer
            return answer
        if path in self.documents:
            return json.dumps(self.documents[path]).encode()
        if path not in self.items:
            raise refusal(404)
        return json.dumps({"metadata": {"resourceVersion": "7"}, "items": self.items[path]}).encode()

    def serve_rollouts(self, *names: str) -> None:
        version = {"version": "v1alpha1"}
        self.documents["/apis"] = {
            "groups": [{"name": "argoproj.io", "preferredVersion": version, "versions": [version]}]
        }
        self.documents[GROUP] = {"resources": [{"name": "rollouts", "kind": "Rollout", "verbs": ["list", "watch"]}]}
        self.items[ROLLOUTS] = [
            {
                "metadata": {
                    "name": name,
                    "namespace": "shop",
                    "uid": f"uid-{name}",
                    "labels": {"spotmix.io/enabled": "true"},
                    "annotations": {"spotmix.io/spot-percentage": "100"},
                },
                "spec": {"replicas": 1},
            }
            for name in names
        ]

    def add_pod(self, name: str, kind: str, owner: str) -> None:
        reference = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": kind,
            "name": owner,
            "uid": f"uid-{owner}",
            "controller": True,
        }
        metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "ownerReferences": [reference]}
        self.items[PODS.path].append({"metadata": metadata, "spec": {"containers": []}, "status": {}})

    async def look(self) -> Listing:
        return await list_cluster(self, Settings(), VirtualTime().timing())


@pytest.fixture
def lists() -> Lists:
    return Lists()


async def test_everything_is_listed_once_and_nothing_watched(lists: Lists) -> None:
    metadata = {"name": "n1", "uid": "uid-n1", "labels": {"karpenter.sh/capacity-type": "spot"}}
    lists.items[NODES.path] = [{"metadata": metadata, "spec": {}, "status": {}}]
    sight = await lists.look()
    assert sorted(lists.asked) == sorted(resource.path for resource in (*BUILT_IN, *DRIFT_ONLY, *POLICIES))
    assert overview(sight.state, 0.0).totals.nodes == {"spot": 1}
    assert sight.missing == {}
    assert sight.state.outbox.effects == []


async def test_kinds_that_own_pods_are_waited_for(lists: Lists) -> None:
    lists.serve_rollouts("web")
    lists.add_pod("p", "Rollout", "web")
    sight = await lists.look()
    (row,) = overview(sight.state, 0.0).workloads
    assert (row.kind, row.name, row.wanted["spot"], row.pending) == ("Rollout", "web", 1, 1)


async def test_a_kind_without_objects_is_not_waited_for(lists: Lists) -> None:
    lists.serve_rollouts()
    lists.add_pod("p", "Rollout", "gone")
    sight = await lists.look()
    assert "uid-gone" not in sight.state.workloads.owners


async def test_kinds_that_cannot_be_found_or_listed_are_done_without(lists: Lists) -> None:
    lists.add_pod("p", "Widget", "w")
    sight = await lists.look()
    assert ("argoproj.io", "Widget") in sight.state.workloads.unavailable
    lists.serve_rollouts("web")
    lists.add_pod("q", "Rollout", "web")
    # Discovery asks for one object, and may; then the list is refused.
    lists.told[ROLLOUTS] = [json.dumps({"metadata": {}, "items": []}).encode(), refusal(403)]
    sight = await lists.look()
    assert set(sight.missing) == {"rollouts.argoproj.io"}
    assert "403" in sight.missing["rollouts.argoproj.io"]


async def test_what_moves_alone_depend_on_may_be_missing(lists: Lists) -> None:
    for resource in DRIFT_ONLY:
        lists.told[resource.path] = [refusal(403)]
    sight = await lists.look()
    assert set(sight.missing) == {resource.key for resource in DRIFT_ONLY}


async def test_policy_objects_speak_where_they_are_served(lists: Lists) -> None:
    metadata = {"name": "web", "namespace": "shop", "uid": "uid-web", "labels": {"tier": "web"}}
    lists.items[DEPLOYMENTS.path] = [{"metadata": metadata, "spec": {"replicas": 10}, "status": {}}]
    assert overview((await lists.look()).state, 0.0).workloads == ()
    spec = {
        "selector": {"matchLabels": {"tier": "web"}},
        "classes": [{"name": "spot", "weight": 7}, {"name": "on-demand", "weight": 3}],
    }
    lists.items[POLICIES[0].path] = [{"metadata": {"name": "p", "namespace": "shop", "uid": "uid-p"}, "spec": spec}]
    sight = await lists.look()
    (row,) = overview(sight.state, 0.0).workloads
    assert (row.wanted, sight.missing) == ({"spot": 7, "on-demand": 3}, {})
    lists.told[POLICIES[1].path] = [refusal(403)]
    # Whoever may not list them is refused whether or not there are such kinds.
    assert (await lists.look()).missing == {}
    lists.documents[f"/apis/{GROUP_OF_POLICIES}"] = {"kind": "APIGroup"}
    assert set((await lists.look()).missing) == {POLICIES[1].key}


@pytest.mark.parametrize("resource", BUILT_IN)
async def test_what_is_needed_may_not(lists: Lists, resource: Any) -> None:
    lists.told[resource.path] = [refusal(403)]
    with pytest.raises(ApiError, match="Spotmix has to list nodes, namespaces") as told:
        await lists.look()
    assert told.value.status == 403


async def test_a_server_that_cannot_be_reached_is_not_asked_again(lists: Lists) -> None:
    for resource in BUILT_IN:
        lists.told[resource.path] = [ApiError("no route", reason="ClientConnectorError")]
    with pytest.raises(ApiError, match="no route"):
        await lists.look()
    assert len(lists.asked) == len(set(lists.asked))


@pytest.mark.parametrize("status", [410, 429])
async def test_a_list_may_have_to_be_begun_anew(lists: Lists, status: int) -> None:
    empty = json.dumps({"metadata": {"resourceVersion": "7"}, "items": []}).encode()
    lists.told[NODES.path] = [refusal(status), empty]
    sight = await lists.look()
    assert lists.asked.count(NODES.path) == 2
    assert sight.missing == {}


async def test_what_does_not_decode_at_all_is_given_up(lists: Lists) -> None:
    lists.told[NODES.path] = [b"<html>"]
    with pytest.raises(ApiError, match="nodes cannot be listed"):
        await lists.look()
    assert lists.asked.count(NODES.path) == ATTEMPTS


async def test_one_object_that_does_not_decode_is_no_reason_to_give_up(lists: Lists) -> None:
    broken = {"metadata": {"name": "bad", "uid": "uid-bad"}, "spec": {"taints": 7}, "status": {}}
    fine = {"metadata": {"name": "n1", "uid": "uid-n1"}, "spec": {}, "status": {}}
    lists.items[NODES.path] = [broken, fine]
    lists.items[VOLUMES.path] = [{"metadata": {"name": "v", "uid": "uid-v"}, "spec": 7}]
    sight = await lists.look()
    assert list(sight.state.nodes) == ["n1"]
    assert sight.missing == {}
