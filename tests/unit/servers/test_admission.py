"""What the webhook answers to reviews of pods, and when it leaves a pod as it is."""

import json
from typing import Any

import pytest
from support.doubles import (
    ENABLED,
    ON_DEMAND,
    SPOT,
    World,
    keys,
    make_namespace,
    make_owner,
    make_policy,
    shares,
)
from support.doubles_servers import run_virtually
from support.doubles_webhook import CONFIG, INJECTED, HookBench, inject
from support.limits import limit_policy
from support.reviews import encoded, patched, pod

from extender.core.admission.mutate import MutationRules, Mutator
from extender.core.model.objects import EMPTY, Namespace, OwnerRef
from extender.core.policy.rules import PolicyRules
from extender.servers.admission import PATIENCE, About, Admission, ReviewAnswer
from extender.servers.owners import AwaitedOwners

WEB = About("shop", "", "Deployment", "web")
INJECT = {"spotmix.io/inject-extender": "true"}


@pytest.fixture
def bench() -> HookBench:
    return HookBench()


class TestPods:
    async def test_a_pod_is_mutated_once(self, bench: HookBench) -> None:
        owner = bench.world.deployment("web", 2, spot_percentage=50, scheduler_name="second")
        thing = pod(owner)
        verdict = await bench.pod(thing)
        assert (verdict.outcome, verdict.warnings) == ("mutated", ())
        result = patched(thing, verdict.patches)
        assert result["spec"]["schedulerName"] == "second"
        assert len(result["spec"]["tolerations"]) == 5
        # Meanwhile another class may be short.
        bench.world.up(bench.world.place(owner, [SPOT, ON_DEMAND])[0])
        assert await bench.pod(result) == ReviewAnswer("review-1", about=About("shop", "web-1-a", "Deployment", "web"))

    async def test_nobodys_replica_passes_untouched(self, bench: HookBench) -> None:
        owner = bench.world.deployment("web", 2, spot_percentage=50)
        plain = bench.world.deployment("plain", 2, {})
        audited = bench.world.deployment("audited", 2, spot_percentage=50, mode="audit")
        # Nor is their owner waited for, nor that all is known.
        for synced in (True, False):
            bench.synced = synced
            for thing, request in (
                (pod(), {}),
                (pod(OwnerRef("d", "apps/v1", "DaemonSet", "agent")), {}),
                (pod(OwnerRef("n", "v1", "Node", "n1")), {}),
                (pod(owner), {"namespace": "kube-system"}),
                (pod(owner), {"operation": "UPDATE"}),
                (pod(owner, nodeName="n1"), {}),
            ):
                assert (await bench.pod(thing, **request)) == ReviewAnswer("review-1")
        bench.synced = True
        for owner_, about in ((plain, ()), (audited, ("Deployment", "audited"))):
            verdict = await bench.pod(pod(owner_))
            assert (verdict.outcome, verdict.warnings) == ("unchanged", ())
            assert (verdict.about.kind, verdict.about.workload) == (about or ("", ""))
        assert bench.owners.asked == 0

    async def test_our_own_namespace_is_protected(self) -> None:
        bench = HookBench(rules=PolicyRules(protected_namespaces=frozenset({"shop"})))
        owner = bench.world.deployment("web", 2, spot_percentage=50)
        assert await bench.pod(pod(owner)) == ReviewAnswer("review-1")
        thing = {"metadata": {"name": "web", "annotations": keys(spot_percentage="most")}}
        assert await bench.workload(thing) == ReviewAnswer("review-1")
        assert await bench.workload(thing, "Namespace", "", name="shop") == ReviewAnswer("review-1")

    async def test_outside_of_the_namespaces_that_are_managed_all_is_left_alone(self) -> None:
        bench = HookBench(rules=PolicyRules(namespaces=frozenset({"games"})))
        owner = bench.world.deployment("web", 2, spot_percentage=50)
        assert await bench.pod(pod(owner)) == ReviewAnswer("review-1")
        thing = {"metadata": {"name": "web", "annotations": keys(spot_percentage="most")}}
        assert await bench.workload(thing) == ReviewAnswer("review-1")
        assert await bench.workload(thing, "Namespace", "", name="shop") == ReviewAnswer("review-1")

    async def test_what_is_not_known_is_a_failure_that_lets_the_pod_pass(self, bench: HookBench) -> None:
        owner = make_owner("ReplicaSet", "web-1").ref
        verdict = await bench.pod(pod(owner))
        assert (verdict.outcome, verdict.patches, verdict.denied) == ("failed", (), None)
        assert verdict.warnings == (
            "spotmix: ReplicaSet web-1, which controls the pod, is not known yet; the object is left as it is",
        )
        assert bench.owners.asked == 1
        bench.synced = False
        verdict = await bench.pod(pod(owner))
        assert verdict.warnings == ("spotmix: cluster state is not synced yet; the object is left as it is",)

    async def test_a_dry_run_waits_for_nobody_and_no_review_changes_the_state(self, bench: HookBench) -> None:
        owner = bench.world.deployment("web", 2, spot_percentage=50)
        for dry in (True, False):
            assert (await bench.pod(pod(owner), dryRun=dry)).outcome == "mutated"
        await bench.pod(pod(make_owner("ReplicaSet", "new").ref), dryRun=True)
        assert bench.owners.asked == 0
        state = bench.world.state
        assert (state.reserved, state.pods, state.revisions, len(state.waiting)) == (0, {}, {}, 0)


def waiting_bench(world: World, arrive: dict[str, float], patience: float = PATIENCE) -> tuple[ReviewAnswer, float]:
    """The verdict on a Deployment's pod whose ReplicaSet and Deployment come later (seconds), and when it came."""
    top = make_owner("Deployment", "web", 2, labels=ENABLED, annotations=keys(spot_percentage=50))
    below = make_owner("ReplicaSet", "web-1", 2, owner=top.ref)

    async def run() -> tuple[ReviewAnswer, float]:
        import asyncio  # noqa: PLC0415 - the loop of virtual time

        loop = asyncio.get_running_loop()
        gate = AwaitedOwners(lambda _ref: None, patience, loop.time)
        mutator = Mutator(world.state, MutationRules())
        admission = Admission(world.state, gate, lambda: True, mutator, inject, False, loop.time)

        def come(name: str) -> None:
            thing = top if name == "Deployment" else below
            world.up(thing)
            gate.arrived(thing.uid)

        for name, after in arrive.items():
            loop.call_later(after, come, name)
        verdict = await admission.mutate_pod(encoded(pod(below.ref)))
        return verdict, loop.time()

    return run_virtually(run)


class TestWaiting:
    def test_owners_that_come_in_time(self) -> None:
        verdict, at = waiting_bench(World(), {"ReplicaSet": 0.2, "Deployment": 0.3})
        assert (verdict.outcome, at) == ("mutated", 0.3)

    @pytest.mark.parametrize(
        ("arrive", "latest"),
        [({}, PATIENCE), ({"ReplicaSet": 0.59}, 0.59 + PATIENCE), ({"ReplicaSet": 0.61, "Deployment": 0.61}, PATIENCE)],
    )
    def test_the_api_servers_patience_is_not_used_up(self, arrive: dict[str, float], latest: float) -> None:
        verdict, at = waiting_bench(World(), arrive)
        assert verdict.outcome == "failed"
        assert at == pytest.approx(latest)
        assert at < 2


class TestSchedulerConfigs:
    async def test_only_configurations_change(self, bench: HookBench) -> None:
        data = {"a": CONFIG, "b": "kind: Other\n", "c": CONFIG, "d": ""}
        verdict = await bench.config(data, INJECT)
        assert verdict.outcome == "mutated"
        assert patched({"data": data}, verdict.patches)["data"] == {**data, "a": INJECTED, "c": INJECTED}
        assert [patch["op"] for patch in verdict.patches] == ["replace"] * 2
        assert await bench.config({**data, "a": INJECTED, "c": INJECTED}, INJECT) == ReviewAnswer("review-1")

    @pytest.mark.parametrize(
        "labels", [None, {}, {"spotmix.io/inject-extender": "false"}, {"example.org/inject-extender": "true"}]
    )
    async def test_only_where_the_label_asks_for_it(self, bench: HookBench, labels: dict[str, str] | None) -> None:
        assert await bench.config({"a": CONFIG, "b": "wrong"}, labels) == ReviewAnswer("review-1")

    async def test_kube_system_is_where_schedulers_have_theirs(self, bench: HookBench) -> None:
        assert (await bench.config({"a": CONFIG}, INJECT, namespace="kube-system")).outcome == "mutated"

    async def test_an_invalid_one_is_refused_with_its_place(self, bench: HookBench) -> None:
        verdict = await bench.config({"a": CONFIG, "b.yaml": "wrong"}, INJECT)
        assert (verdict.outcome, verdict.patches) == ("denied", ())
        assert verdict.denied == "ConfigMap shop/config: data['b.yaml']: line 2: extenders is wrong; write a list"

    async def test_one_that_there_is_no_time_for_passes_as_it_came(self, bench: HookBench) -> None:
        verdict = await bench.config({"a": CONFIG, "b": "busy"}, INJECT)
        assert (verdict.outcome, verdict.patches, verdict.denied) == ("failed", (), None)
        assert verdict.warnings == (
            "spotmix: ConfigMap shop/config: there is no time for it; the object is left as it is",
        )

    @pytest.mark.parametrize("data", [None, {}])
    async def test_no_data(self, bench: HookBench, data: dict[str, str] | None) -> None:
        assert await bench.config(data, INJECT) == ReviewAnswer("review-1")


def workload(labels: dict[str, str] | None = None, replicas: int = 5, **policy: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "labels": labels if labels is not None else ENABLED, "annotations": keys(**policy)},
        "spec": {"replicas": replicas},
    }


class TestWorkloads:
    async def test_wrong_is_warned_about_or_denied(self, bench: HookBench) -> None:
        thing = workload(spot_percentage="seventy", max_spto=3)
        verdict = await bench.workload(thing)
        assert verdict.outcome == "warned"
        assert "'seventy' is not a percentage" in verdict.warnings[0]
        assert "did you mean" in verdict.warnings[1]
        denying = HookBench(deny=True)
        refused = await denying.workload(thing)
        assert (refused.outcome, refused.denied) == ("denied", verdict.warnings[0])
        assert refused.warnings == verdict.warnings[1:]
        # What is merely pointless is no reason.
        assert (await denying.workload(workload(replicas=1, spot_percentage=70))).outcome == "warned"

    async def test_right_is_not_spoken_of(self, bench: HookBench) -> None:
        assert await bench.workload(workload(spot_percentage=70)) == ReviewAnswer("review-1", about=WEB)
        assert await bench.workload({"metadata": {"name": "x", "labels": {"app": "x"}}}) == ReviewAnswer("review-1")

    @pytest.mark.parametrize(
        ("kind", "group"),
        [
            ("StatefulSet", "apps"),
            ("ReplicaSet", "apps"),
            ("Job", "batch"),
            ("CronJob", "batch"),
            ("Namespace", ""),
            ("Rollout", "argoproj.io"),
        ],
    )
    async def test_every_kind(self, bench: HookBench, kind: str, group: str) -> None:
        verdict = await bench.workload(workload(spot_percentage="seventy"), kind, group)
        name = "Namespace web" if kind == "Namespace" else f"{kind} shop/web"
        assert verdict.warnings[0].startswith(f"{name}: spotmix.io/spot-percentage='seventy'")

    async def test_what_a_controller_made_or_nobody_changed_is_not_nagged_about(self) -> None:
        bench = HookBench(deny=True)
        thing = workload(spot_percentage="seventy")
        assert (await bench.workload(thing, oldObject=workload(spot_percentage="70"))).outcome == "denied"
        scaled = {**thing, "spec": {"replicas": 9}}
        assert await bench.workload(scaled, operation="UPDATE", oldObject=thing) == ReviewAnswer("review-1")
        controller = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": True}
        thing["metadata"]["ownerReferences"] = [controller]
        assert await bench.workload(thing, "ReplicaSet") == ReviewAnswer("review-1")

    async def test_the_namespace_is_asked_when_it_is_known(self, bench: HookBench) -> None:
        thing = workload({}, spot_percentage=70)
        assert await bench.workload(thing) == ReviewAnswer("review-1", about=WEB)
        bench.world.up(Namespace("ns", "shop", EMPTY, EMPTY))
        assert "neither the object nor its Namespace opts in" in (await bench.workload(thing)).warnings[0]
        bench.world.up(Namespace("ns", "shop", ENABLED, EMPTY))
        assert await bench.workload(thing) == ReviewAnswer("review-1", about=WEB)

    async def test_who_cannot_fit_into_a_limit_is_told_which_by_how_much_and_what_to_do(self, bench: HookBench) -> None:
        bench.world.up(make_namespace(), limit_policy("team", "on-demand cpu 2", "spot cpu 2"))

        def asking(cpu: str, replicas: int, **policy: Any) -> dict[str, Any]:
            thing = workload(replicas=replicas, **policy)
            container = {"name": "app", "resources": {"requests": {"cpu": cpu}}}
            thing["spec"]["template"] = {"spec": {"containers": [container]}}
            return thing

        (told,) = (await bench.workload(asking("750m", 9, spot_percentage=70, min_on_demand=3))).warnings
        assert told == (
            "ClusterPlacementPolicy team: spec.limits[0].max='2' lets namespace shop hold 2 cpu of on-demand, and of "
            "Deployment web there are 3 on-demand replicas of 750m, 2250m in all: 1 of them will never get there; "
            "raise it, or let the Deployment have fewer replicas, smaller requests or a lower floor"
        )
        # By `any` others stand in, but for the floor.
        assert (await bench.workload(asking("500m", 9, when_unsatisfiable="any"))).warnings == ()
        (told,) = (
            await bench.workload(asking("500m", 9, min_on_demand=5, when_unsatisfiable="any", spot_percentage=20))
        ).warnings
        assert "the floor alone is 5 on-demand replicas of 500m, 2500m in all: 1 of them" in told
        # Whoever scales it is told, and nobody who changes something else.
        small, large = asking("500m", 3), asking("500m", 5)
        assert (await bench.workload(small)).warnings == ()
        grown = await bench.workload(large, operation="UPDATE", oldObject=small)
        assert len(grown.warnings) == 1
        assert (await bench.workload(large, operation="UPDATE", oldObject=large)) == ReviewAnswer("review-1")
        # It is a warning whatever is denied, also to one that a policy object alone opts in.
        silent = {"metadata": {"name": "web"}, "spec": large["spec"]}
        assert (await bench.workload(silent)).warnings == ()
        bench.world.up(make_policy("all", **shares(0)))
        assert (await bench.workload(silent)).outcome == "warned"


def test_an_answer_says_what_the_verdict_says() -> None:
    verdict = ReviewAnswer("u", ({"op": "add", "path": "/x", "value": 1},), ("careful",))
    assert json.loads(verdict.encoded())["response"]["warnings"] == ["careful"]
    assert verdict.outcome == "mutated"
