"""`spotmix serve` with the chart's rights does all of its work; with each of them taken away, something fails."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from generate.chart import NAMESPACE, pick, template
from support.audit import Audit
from support.cluster import Cluster, pod_template, policy
from support.objects import Objects, namespace
from support.patience import eventually, stretched
from support.people import People
from support.policyobjects import cluster_policy, define, placement_policy
from support.rights import RBAC, Right, grant, rights, service_account

from extender.core.model.access import (
    GROUP,
    get_plan,
    get_pod,
    get_workload,
    list_nodes,
    list_workloads,
    simulate,
    watch_decisions,
)
from extender.sandbox import ControlPlane, SimKubelet, create_nodes, node_pool
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [
    pytest.mark.controlplane,
    pytest.mark.tools,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600),
]

# As many nodes as a scheduler offers at least when there are more (see docs/explanation/placement.md).
SAMPLE = 100
# Runs of `spotmix serve` at once.
AT_ONCE = 4
# What the chart leaves for one part of Spotmix, which that part changes.
LEADS, MOVES, SERVES, ANSWERS, LOOKS = "leads", "moves", "serves", "answers", "looks"


def _of_karpenter(kind: str) -> dict[str, Any]:
    """The definition of a kind of Karpenter's."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.karpenter.sh"},
        "spec": {
            "group": "karpenter.sh",
            "scope": "Cluster",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "spotmix", "namespace": NAMESPACE},
}
POLICIES = ("placementpolicies", "clusterplacementpolicies")
ELECTION = ("--leader-election-enabled", "true")
STORE = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "spotmix-drift", "namespace": NAMESPACE},
}
STRAY = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "spotmix-placeholder-left",
        "namespace": NAMESPACE,
        "labels": {"spotmix.io/placeholder": "left"},
    },
    "spec": {**pod_template({})["spec"], "schedulerName": "nobody"},
}
# Impatient, so that something is moved as soon as it is off its split.
DRIFT = ("--drift-min-pod-age", "0s", "--drift-dwell", "0s", "--drift-interval", "5s")
NARROW = {
    "config": {"policy": {"namespaces": ["shop"]}, "drift": {"placeholders": 0}},
    "fullnameOverride": "narrow",
    "scheduler": {"enabled": False},
}
AUTH = {"config": {"console": {"auth": "kubernetes"}}}
ASKS = ("--console-auth", "kubernetes")
CERTIFICATES = (
    *("--webhook-certificates-secret", "spotmix-webhook-tls"),
    *("--webhook-certificates-configurations", "[spotmix]"),
)
ENCRYPTION = ("--extender-certificates-secret", "spotmix-extender-tls")


class RightsScene:
    """A cluster with a scheduler that does not ask us, and workloads that give us everything to do."""

    def __init__(self, plane: ControlPlane, objects: Objects, audit: Audit) -> None:
        self.plane = plane
        self.objects = objects
        self.audit = audit
        self.cluster = Cluster(objects.api, "shop")
        self.people = People(objects.api)

    async def set(self) -> None:
        """Put up what gives work to each start anew."""
        cluster = self.cluster
        await cluster.create_namespace()
        await self.objects.apply(_of_karpenter("NodeClaim"))
        await define(self.objects)
        # Kinds that are followed once met.
        selector = {"app": "controlled"}
        await cluster.create(
            "ReplicationController", "old", {"replicas": 1, "selector": selector, "template": pod_template(selector)}
        )
        job = {"template": pod_template({}, restartPolicy="Never")}
        schedule = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}
        await cluster.create("CronJob", "nightly", schedule)
        uid = (await cluster.get("CronJob", "nightly"))["metadata"]["uid"]
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": uid, "controller": True}
        await cluster.create("Job", "tonight", job, owner=owner)
        # An Event at each start.
        await cluster.deployment("wrong", 0, policy(spot_percentage="lots"))
        # On on-demand nodes, nearly all of it: its scheduler does not ask us.
        await cluster.deployment("drifting", 4, policy(spot_percentage=100))
        # Likewise, and no spot node is for it: one is asked for.
        lacking = {"karpenter.sh/capacity-type": "on-demand"}
        await cluster.deployment(
            "lacking", 4, policy(spot_percentage=100, enforcement="affinity"), nodeSelector=lacking
        )
        # Pods with a class that no node of it takes, which are replaced.
        named = {"none": "at-all"}
        await cluster.deployment(
            "in-vain", 1, policy(spot_percentage=100, enforcement="affinity", fallback_after="0s"), nodeSelector=named
        )
        # Pods that wait for whoever asks about them.
        await cluster.deployment("waiting", 1, policy(spot_percentage=100), schedulerName="nobody")

    async def needs_costs(self, name: str) -> None:
        """Have pods bound that carry no seat yet."""
        await self.cluster.deployment(name, 3, policy(spot_percentage=50))
        await self.cluster.ready(name, 3)

    async def needs_statuses(self, name: str) -> None:
        """Have policy objects of each kind that have no status yet; they are for nobody. Others may be there first."""
        spec = {"selector": {"matchLabels": {"for": "nobody"}}, "mode": "Audit"}
        for each in (f"{name}-{number}" for number in range(5)):
            for thing in (placement_policy(each, "shop", spec), cluster_policy(each, spec)):
                await self.objects.apply(thing)

    async def needs_nomination(self, serve: SpotmixServe) -> None:
        """Ask about a pod that wants spot, with a sample that has none."""
        pods = await eventually(partial(self.cluster.pods, "waiting"), bool, "a pod that waits")
        offered = [name for name, kind in (await self.cluster.classes()).items() if kind == "on-demand"][:SAMPLE]
        assert len(offered) == SAMPLE
        await asyncio.to_thread(_post, f"{serve.url}/filter", {"Pod": pods[0], "NodeNames": offered})

    async def as_installed(self, *parts: str) -> None:
        """Have things as the chart leaves them for these parts: the Secrets empty, webhook configurations without CA,
        no store and nobody's Lease; but with a placeholder that a leader left who died.
        """
        if LEADS in parts:
            await self.objects.delete_if_there(LEASE)
        if MOVES in parts:
            await self.objects.apply(STRAY)
            await self.objects.delete_if_there(STORE)
        for each in template():
            if each["kind"] == "Secret" or "webhooks" in each:
                part = ANSWERS if each["metadata"]["name"] == "spotmix-extender-tls" else SERVES
                if part in parts:
                    await self.objects.delete_if_there(each)
                    await self.objects.apply(each)

    @contextlib.asynccontextmanager
    async def serving(self, name: str, user: str, *flags: str) -> AsyncIterator[SpotmixServe]:
        """A `spotmix serve` as this user, whether it gets ready or not."""
        pod = {"POD_NAME": name, "POD_NAMESPACE": NAMESPACE}
        serve = SpotmixServe(self.plane, "--scale-in-settle", "0.1s", *flags, name=name, user=user, **pod)
        start = asyncio.create_task(serve.start())
        try:
            yield serve
        finally:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            await serve.stop(kill=True)


def _post(url: str, body: Mapping[str, Any]) -> None:
    with urllib.request.urlopen(url, data=json.dumps(body).encode(), timeout=stretched(10)) as answer:  # noqa: S310 - http on loopback
        assert not json.loads(answer.read()).get("Error")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=stretched(10)) as answer:  # noqa: S310 - http on loopback
        text: str = answer.read().decode()
        return text


def _console(url: str, token: str) -> int:
    """The status of a page that is asked for with a token."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - http on loopback
    try:
        with urllib.request.urlopen(request, timeout=stretched(30)) as answer:  # noqa: S310 - likewise
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _log(serve: SpotmixServe) -> str:
    return serve.log_path.read_text() if serve.log_path.exists() else ""


async def ready(serve: SpotmixServe) -> None:
    async def synced() -> bool:
        return '"synced"' in _log(serve)

    await eventually(synced, bool, f"{serve.name} is synced")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RightsScene]:
    audit = Audit(tmp_path_factory.mktemp("audit"))
    async with ControlPlane(apiserver_flags=audit.flags) as plane, await plane.connect() as api, SimKubelet(api):
        objects = Objects(api)
        await create_nodes(api, node_pool(SAMPLE, capacity_class="on-demand") + node_pool(2, capacity_class="spot"))
        await objects.apply(namespace(NAMESPACE))
        opened = RightsScene(plane, objects, audit)
        await opened.set()
        yield opened
        plane.check()


def stand_in(name: str) -> dict[str, Any]:
    """A pod of ours that nobody runs."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": "stand-in"}}
    spec = {**pod_template({})["spec"], "schedulerName": "nobody"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def test_the_charts_rights_are_enough(scene: RightsScene) -> None:
    rendered = template(AUTH)
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "PriorityClass")
    await scene.objects.apply_all([each for each in rendered if each["kind"] in kinds])
    await scene.as_installed(LEADS, MOVES, SERVES, ANSWERS)
    await scene.objects.apply(stand_in("enough"))
    async with scene.serving("enough", service_account("spotmix"), *ELECTION, *CERTIFICATES, *DRIFT, *ASKS) as serve:
        await ready(serve)
        await scene.needs_costs("with-costs")
        await scene.needs_nomination(serve)

        async def costs() -> list[str | None]:
            pods = await scene.cluster.pods("with-costs")
            key = "controller.kubernetes.io/pod-deletion-cost"
            return [pod["metadata"].get("annotations", {}).get(key) for pod in pods]

        async def nominated() -> list[str]:
            return [pod["status"].get("nominatedNodeName", "") for pod in await scene.cluster.pods("waiting")]

        async def followed() -> set[str]:
            text = await asyncio.to_thread(_get, f"{serve.metrics_url}/metrics")
            kinds = ("cronjobs.batch", "replicationcontrollers")
            return {kind for kind in kinds if f'spotmix_cache_synced{{resource="{kind}"}} 1.0' in text}

        await eventually(costs, lambda seen: len(seen) == 3 and all(seen), "seats are written")
        await eventually(nominated, lambda seen: seen in (["spot-0"], ["spot-1"]), "a node is nominated")
        await eventually(followed, lambda seen: len(seen) == 2, "kinds of owners are followed")
        moved = partial(scene.audit.used, service_account("spotmix"), Right("pods/eviction", "create"))
        await eventually(moved, bool, "a pod is moved")
        written = {"spec": {"template": {"metadata": {"annotations": {"spotmix.io/class": "spot"}}}}}
        await scene.cluster.patch("Deployment", "in-vain", written)
        replaced = partial(scene.audit.used, service_account("spotmix"), Right("pods", "delete"))
        await eventually(replaced, bool, "a pod is replaced")
        await scene.needs_statuses("enough")
        for kind in POLICIES:
            right = Right(f"{kind}/status", "patch", "spotmix.io")
            await eventually(
                partial(scene.audit.used, service_account("spotmix"), right), bool, f"{kind} have a status"
            )
        for verb in ("create", "delete"):
            held = partial(scene.audit.used, service_account("spotmix"), Right("pods", verb, local=True))
            await eventually(held, bool, f"a placeholder: {verb}")
        assert await eventually(partial(scene.cluster.events, "PolicyInvalid"), bool, "an Event")

        async def leads() -> bool:
            pod = await scene.objects.get(stand_in("enough")) or {}
            return bool(pod["metadata"]["labels"].get("spotmix.io/leader") == "true")

        async def trusted() -> list[bool]:
            hooks = [await scene.objects.get(each) or {} for each in rendered if "webhooks" in each]
            return ["caBundle" in hook["clientConfig"] for each in hooks for hook in each["webhooks"]]

        await eventually(leads, bool, "the leader is labelled")
        await eventually(trusted, all, "the CA is known to the API server")
        # Whoever may view a namespace sees what Spotmix does in it.
        viewer = await scene.people.arrive("viewer")
        subject = {"kind": "ServiceAccount", "name": "viewer", "namespace": "default"}
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "viewer", "namespace": "shop"},
            "subjects": [subject],
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        }
        await scene.objects.apply(binding)
        page = f"{serve.metrics_url}/console"
        sees = partial(asyncio.to_thread, _console, f"{page}?namespace=shop", viewer)
        await eventually(sees, lambda status: status == 200, "the viewer sees the namespace")
        assert await asyncio.to_thread(_console, page, viewer) == 403
        # The other replica follows.
        await scene.objects.apply(stand_in("follower"))
        async with scene.serving("follower", service_account("spotmix"), *ELECTION, *CERTIFICATES) as follower:
            await ready(follower)
            followed_lease = partial(scene.audit.used, service_account("spotmix"), _LEASES("watch", name="spotmix"))
            await eventually(followed_lease, bool, "the Lease is followed")
            assert '"api fault"' not in _log(follower)
        assert await scene.audit.refused(service_account("spotmix")) == set()
        assert '"api fault"' not in _log(serve)


Stimulus = Callable[[RightsScene, SpotmixServe], Awaitable[None]]


async def nothing(_scene: RightsScene, _serve: SpotmixServe) -> None:
    """A start is all it takes."""


async def costs(scene: RightsScene, serve: SpotmixServe) -> None:
    await ready(serve)
    await scene.needs_costs("without-costs")


async def nomination(scene: RightsScene, serve: SpotmixServe) -> None:
    await ready(serve)
    await scene.needs_nomination(serve)


async def in_vain(scene: RightsScene, serve: SpotmixServe) -> None:
    """Have a pod come with a class that nobody can give it."""
    await ready(serve)
    annotations = {"spotmix.io/class": "spot", "by": serve.name}
    await scene.cluster.patch(
        "Deployment", "in-vain", {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    )


async def statuses(scene: RightsScene, serve: SpotmixServe) -> None:
    await ready(serve)
    await scene.needs_statuses(serve.name)


async def looked_at(scene: RightsScene, serve: SpotmixServe) -> None:
    """Have somebody look at the console."""
    await ready(serve)
    token = await scene.people.arrive(serve.name)
    await asyncio.to_thread(_console, f"{serve.metrics_url}/console", token)


async def repetition(scene: RightsScene, serve: SpotmixServe) -> None:
    """Tell the same twice: that a pod waits for which there is no node at all."""
    await ready(serve)
    pods = await eventually(partial(scene.cluster.pods, "waiting"), bool, "a pod that waits")
    for _ in range(2):
        await asyncio.to_thread(_post, f"{serve.url}/filter", {"Pod": pods[0], "NodeNames": []})


async def another_leads(scene: RightsScene, _serve: SpotmixServe) -> None:
    """Have the Lease held by somebody else, now if need be: the replica follows."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}
    await scene.objects.apply({**LEASE, "spec": spec})


async def pools(scene: RightsScene, _serve: SpotmixServe) -> None:
    """Have NodePools served."""
    await scene.objects.apply(_of_karpenter("NodePool"))


@dataclass(frozen=True)
class Probe:
    """What makes the API server refuse.

    Attributes:
        stimulus: what happens once it is started.
        flags: of the start.
        after: the part of which things are as installed; those of one part come one after the other, when all that
            have none are over.
        lacks: with the same text (and verb), rights are taken away together: each of them is asked for, whatever
            becomes of the others.
    """

    stimulus: Stimulus = nothing
    # Others would write the costs that the one which may not shall want to write.
    flags: tuple[str, ...] = ("--scale-in-deletion-cost", "false", "--drift-enabled", "false")
    after: str = ""
    lacks: str = ""


def _followed() -> dict[Right, Probe]:
    resources = {
        "karpenter.sh": ("nodeclaims",),
        "spotmix.io": POLICIES,
        "": (
            *("events", "nodes", "namespaces", "pods", "replicationcontrollers"),
            *("persistentvolumeclaims", "persistentvolumes"),
        ),
        "apps": ("deployments", "replicasets", "statefulsets"),
        "batch": ("jobs", "cronjobs"),
        "policy": ("poddisruptionbudgets",),
        "storage.k8s.io": ("csinodes",),
    }
    # Pods are listed once the others are, and these once pods are known.
    late = ("replicationcontrollers", "cronjobs", "nodeclaims", "events")
    return {
        Right(resource, verb, group): Probe(
            lacks="pods" if resource == "pods" else "what follows pods" if resource in late else "what goes before pods"
        )
        for group, names in resources.items()
        for resource in names
        for verb in ("list", "watch")
    }


_LEASES = partial(Right, "leases", group="coordination.k8s.io", local=True)
_HOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_KEEP = ("get", "watch", "patch")
_STILL = ("--drift-enabled", "false")
_ELECTED = Probe(flags=(*ELECTION, *_STILL), after=LEADS)
_CERTIFIED = Probe(flags=(*CERTIFICATES, *_STILL), after=SERVES)
_TRUSTED = Probe(flags=(*CERTIFICATES, *_STILL), after=SERVES, lacks="where the CA is told")
_ENCRYPTED = Probe(flags=(*ENCRYPTION, *_STILL), after=ANSWERS)
_DRIFTS = Probe(flags=DRIFT, after=MOVES)
_ASKS = Probe(looked_at, flags=(*ASKS, *_STILL))
_TOLD = Probe(statuses, flags=_STILL, lacks="how policies are doing")
# By the right that is taken away. A right of the chart without a row fails below.
PROBES: dict[Right, Probe] = {
    **_followed(),
    Right("pods", "patch"): Probe(costs, flags=_STILL),
    Right("pods/status", "patch"): Probe(nomination),
    Right("events", "create", "events.k8s.io"): Probe(),
    Right("events", "patch", "events.k8s.io"): Probe(repetition),
    Right("tokenreviews", "create", "authentication.k8s.io"): _ASKS,
    Right("subjectaccessreviews", "create", "authorization.k8s.io"): _ASKS,
    _LEASES("create"): _ELECTED,
    _LEASES("get", name="spotmix"): _ELECTED,
    _LEASES("patch", name="spotmix"): _ELECTED,
    _LEASES("watch", name="spotmix"): Probe(another_leads, flags=(*ELECTION, *_STILL), after=LEADS),
    Right("pods", "get"): Probe(in_vain, flags=_STILL),
    Right("pods", "delete"): Probe(in_vain, flags=_STILL),
    Right("pods/eviction", "create"): _DRIFTS,
    Right("configmaps", "create", local=True): _DRIFTS,
    Right("pods", "create", local=True): _DRIFTS,
    **{Right("configmaps", verb, name="spotmix-drift", local=True): _DRIFTS for verb in ("get", "patch")},
    **{Right("secrets", verb, name="spotmix-webhook-tls", local=True): _CERTIFIED for verb in _KEEP},
    **{Right("secrets", verb, name="spotmix-extender-tls", local=True): _ENCRYPTED for verb in _KEEP},
    **{Right(f"{kind}/status", "patch", "spotmix.io"): _TOLD for kind in POLICIES},
    **{Right(hook, verb, "admissionregistration.k8s.io", "spotmix"): _TRUSTED for hook in _HOOKS for verb in _KEEP},
    # Late: where NodePools are served no node is nominated, which others need.
    **{Right("nodepools", verb, "karpenter.sh"): Probe(pools, flags=_STILL, after=LOOKS) for verb in ("list", "watch")},
}


async def test_every_right_has_a_probe() -> None:
    rendered = template(AUTH)
    assert rights(pick(rendered, "ClusterRole")) | rights(pick(rendered, "Role")) == set(PROBES)


@pytest.mark.parametrize(
    ("api", "asks"), [({"auth": "kubernetes"}, True), ({"auth": "kubernetes", "enabled": False}, False)]
)
async def test_the_api_asks_with_the_same_rights(api: Mapping[str, Any], asks: bool) -> None:
    rendered = template({"api": api})
    assert (rights(pick(rendered, "ClusterRole")) == rights(pick(template(AUTH), "ClusterRole"))) is asks
    assert any(each["metadata"]["name"] == "spotmix-reader" for each in rendered) is asks


async def test_whoever_asks_nobody_needs_no_right_to() -> None:
    rendered = template()
    asks = {Right("tokenreviews", "create", "authentication.k8s.io")} | {
        Right("subjectaccessreviews", "create", "authorization.k8s.io")
    }
    assert rights(pick(rendered, "ClusterRole")) == rights(pick(template(AUTH), "ClusterRole")) - asks
    for_policies = ["spotmix-policy-viewer", "spotmix-policy-editor"]
    names = [each["metadata"]["name"] for each in rendered if each["kind"] == "ClusterRole"]
    assert names == [*for_policies, "spotmix"]


async def test_pods_of_others_may_be_deleted_only_where_they_are_replaced() -> None:
    rendered = template({"config": {"placement": {"replacePending": False}}})
    assert Right("pods", "delete") not in rights(pick(rendered, "ClusterRole"))
    assert Right("pods", "delete", local=True) in rights(pick(rendered, "Role"))


async def test_with_namespaces_named_the_same_may_be_written_in_these_alone() -> None:
    everywhere = {right for right in rights(pick(template(), "ClusterRole")) if not right.name}
    narrow = template(NARROW)
    read = {right for right in rights(pick(narrow, "ClusterRole", "narrow")) if not right.name}
    status = Right("clusterplacementpolicies/status", "patch", "spotmix.io")
    assert {right.verb for right in read - {status}} == {"list", "watch"}
    managed = rights(pick(narrow, "Role", "narrow-managed"))
    assert {replace(right, local=False) for right in managed} == everywhere - read
    roles = [each for each in narrow if each["kind"] == "Role" and each["metadata"]["name"].endswith("-managed")]
    assert [each["metadata"]["namespace"] for each in roles] == ["shop"]
    assert not any(each["metadata"]["name"].endswith("-managed") for each in template() if each["kind"] == "Role")


async def test_with_namespaces_named_nothing_outside_is_touched(scene: RightsScene) -> None:
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    await scene.objects.apply_all([each for each in template(NARROW) if each["kind"] in kinds])
    user = service_account("narrow")
    outside = Cluster(scene.objects.api, "games")
    await outside.create_namespace()
    await outside.deployment("drifting", 4, policy(spot_percentage=100))
    await outside.deployment("wrong", 0, policy(spot_percentage="lots"))
    spec = {"selector": {"matchLabels": {"for": "nobody"}}, "mode": "Audit"}
    await scene.objects.apply(placement_policy("outside", "games", spec))
    await scene.objects.apply(placement_policy("narrow-inside", "shop", spec))
    await outside.ready("drifting", 4)
    await scene.cluster.deployment("narrowly", 4, policy(spot_percentage=100))
    flags = ("--policy-namespaces", "[shop]", "--drift-store", "narrow-drift", "--drift-placeholders", "0", *DRIFT)
    async with scene.serving("narrow", user, *flags) as serve:
        await ready(serve)
        await scene.needs_costs("narrow-costs")
        for right in (
            Right("pods/eviction", "create"),
            Right("pods", "patch"),
            Right("placementpolicies/status", "patch", "spotmix.io"),
            Right("events", "create", "events.k8s.io"),
        ):
            await eventually(partial(scene.audit.used, user, right), bool, f"{right} is used")
    written = [each for each in scene.audit.events(user) if each["verb"] not in ("get", "list", "watch")]
    assert {each["objectRef"].get("namespace", "") for each in written} <= {"shop", NAMESPACE, "default"}
    assert await scene.audit.refused(user) == set()
    for namespace_, allowed in (("shop", True), ("games", False)):
        for resource, verb in (("pods", "patch"), ("pods", "delete"), ("pods/eviction", "create")):
            assert await may(scene, user, namespace_, resource, verb) is allowed


async def may(scene: RightsScene, user: str, namespace_: str, resource: str, verb: str) -> bool:
    """What the API server says of a right."""
    name, _, sub = resource.partition("/")
    attributes = {"namespace": namespace_, "verb": verb, "resource": name, "subresource": sub}
    body = {"spec": {"user": user, "resourceAttributes": attributes}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(json.loads(await scene.objects.api.request("POST", path, body=body))["status"]["allowed"])


async def test_readers_get_every_right_that_can_be_asked_for() -> None:
    given = rights(pick(template(AUTH), "ClusterRole", "spotmix-reader"))
    asked = (list_workloads(), get_workload("a", "b"), get_pod("a", "b"), get_plan(), simulate(), watch_decisions())
    assert given == {Right(each.resource, each.verb, GROUP) for each in (*asked, list_nodes())}


def taken_away() -> dict[tuple[Right, ...], Probe]:
    """The rights that one start of `spotmix serve` is without, and how it is probed."""
    groups: dict[tuple[object, ...], list[Right]] = {}
    for right, probe in PROBES.items():
        key: tuple[object, ...] = (probe.lacks, right.verb) if probe.lacks else (right,)
        groups.setdefault(key, []).append(right)
    return {tuple(group): PROBES[group[0]] for group in groups.values()}


async def test_no_right_is_spare(scene: RightsScene) -> None:
    slots = asyncio.Semaphore(AT_ONCE)
    starts = list(taken_away().items())

    async def missed(number: int) -> None:
        group, probe = starts[number]
        # A refusal does not tell of which right by its name or place.
        assert len({right.kind for right in group}) == len(group)
        name = f"without-{number}"
        user = await grant(scene.objects, name, set(PROBES) - set(group))
        async with slots, scene.serving(name, user, *probe.flags) as serve:
            await probe.stimulus(scene, serve)
            for right in group:
                await eventually(partial(scene.audit.lacked, user, right), bool, f"without {right} something fails")

    async def one_after_the_other(part: str) -> None:
        for number, (_, probe) in enumerate(starts):
            if probe.after == part:
                await scene.as_installed(part)
                await missed(number)

    await asyncio.gather(*(missed(number) for number, (_, probe) in enumerate(starts) if not probe.after))
    await asyncio.gather(*(one_after_the_other(part) for part in (LEADS, MOVES, SERVES, ANSWERS, LOOKS)))
