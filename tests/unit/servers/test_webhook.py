"""The webhook's application: whatever it is sent, it answers, and refuses no pod for it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.doubles_servers import LIMIT, HttpClient, connected, running
from support.doubles_webhook import CONFIG, HookBench
from support.examples import examples
from support.reviews import answer, encoded, patched, pod, review

PATHS = {
    "/mutate/pods": "mutate-pods",
    "/mutate/scheduler-configs": "mutate-scheduler-configs",
    "/validate/workloads": "validate-workloads",
}
PODS = "/mutate/pods"


@pytest.fixture
def bench() -> HookBench:
    return HookBench()


@pytest.fixture
async def client(bench: HookBench) -> AsyncIterator[HttpClient]:
    async with running(bench.app) as server, connected(server) as client:
        yield client


async def test_one_connection_serves_many_reviews(client: HttpClient, bench: HookBench) -> None:
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    for _ in range(10):
        got = await client.send("POST", PODS, encoded(pod(owner)))
        assert (got.status, got.headers["content-type"]) == (200, "application/json")
        assert answer(got.body).operations
    assert bench.timed == ["mutate-pods"] * 10
    assert bench.outcomes == [("mutate-pods", "mutated")] * 10
    assert {(about.kind, about.workload, about.namespace) for about in bench.about} == {("Deployment", "web", "shop")}


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/", 404), ("POST", "/mutate", 404), ("GET", PODS, 405), ("PUT", PODS, 405)]
)
async def test_other_paths_and_methods(client: HttpClient, method: str, path: str, status: int) -> None:
    got = await client.send(method, path, b"{}")
    assert got.status == status
    if status == 405:
        assert got.headers["allow"] == "POST"
    else:
        assert all(known in got.body.decode() for known in PATHS)


@pytest.mark.parametrize("path", PATHS)
async def test_a_review_over_the_limit(bench: HookBench, path: str) -> None:
    async with running(bench.app) as server, connected(server) as client:
        got = await client.send("POST", path, b" " * (LIMIT + 1))
        assert (got.status, got.headers["connection"]) == (413, "close")
        assert f"larger than {LIMIT} bytes; raise webhook.maxBody" in got.body.decode()
    assert bench.outcomes == [(PATHS[path], "failed")]


async def test_a_bug_lets_the_object_pass_with_a_warning(bench: HookBench) -> None:
    bench.world.state.census = None  # type: ignore[assignment]  # a bug, as it were
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    _, body = await bench.post(PODS, encoded(pod(owner)))
    response = answer(body)
    assert (response.uid, response.allowed, response.operations) == ("review-1", True, [])
    assert response.warnings[0].startswith("spotmix: internal error: AttributeError: ")
    assert bench.outcomes == [("mutate-pods", "failed")]
    assert bench.faults[0][1].startswith("spotmix: internal error: ")
    labels = {"spotmix.io/inject-extender": "true"}
    thing = {"metadata": {"labels": labels}, "data": {"a": CONFIG, "b": "broken"}}
    _, body = await bench.post("/mutate/scheduler-configs", encoded(thing, "ConfigMap"))
    assert (answer(body).allowed, answer(body).operations) == (True, [])


async def test_what_failed_is_told_in_the_log(bench: HookBench) -> None:
    bench.synced = False
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    await bench.post(PODS, encoded(pod(owner)))
    assert "not synced yet" in bench.faults[0][1]


async def test_a_client_that_goes_away_harms_nobody(bench: HookBench) -> None:
    head = f"POST {PODS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    async with running(bench.app) as server:
        for sent in (head[:20], head, head + b"{"):
            async with connected(server) as other:
                other.writer.write(sent)
                await other.writer.drain()
        async with connected(server) as client:
            assert (await client.send("POST", PODS, encoded(pod()))).status == 200
    assert bench.faults == []


GOOD = review(pod())
TEXT = encoded(pod())
DEEP = b'{"request":{"uid":"u","kind":{"kind":"Pod"},"object":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}}"
HAND_PICKED = [
    b"",
    b" ",
    b"null",
    b"true",
    b"7",
    b'"x"',
    b"[]",
    b"{}",
    b"\x00",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf" + TEXT,
    b"{" * 60_000,
    b"[" * 60_000,
    DEEP,
    TEXT + b"}",
    TEXT[:-1],
    *(TEXT[:end] for end in range(0, len(TEXT), 7)),
    TEXT.replace(b"web-1-a", b"\xc3\x28"),
    TEXT.replace(b"web-1-a", b"\\ud800"),
    TEXT.replace(b"web-1-a", b"x" * 20_000),
    TEXT.replace(b'"request": {', b'"request": {"uid": "first", '),
    b'{"request":null}',
    b'{"request":[]}',
    b'{"request":{}}',
    b'{"request":{"uid":null}}',
    b'{"request":{"uid":{}}}',
    b'{"request":{"uid":"u"}}',
    b'{"request":{"uid":"u","object":null}}',
    b'{"request":{"uid":"u","kind":{"kind":"Pod","version":"v1"},"operation":"CREATE","object":{"metadata":null}}}',
    b'{"request":{"uid":"u","kind":{"kind":"Pod","version":"v1"},"operation":"CREATE","object":{"spec":[]}}}',
    *(encoded(pod(), kind, group) for kind, group in (("Pod", "metrics.k8s.io"), ("Node", ""), ("", ""), ("pod", ""))),
]


async def sane(bench: HookBench, path: str, body: bytes) -> None:
    """Whatever is sent is answered, and nothing malformed is refused."""
    status, got = await bench.post(path, body)
    if status == 200:
        response = answer(got)
        assert response.uid
        assert response.allowed
    else:
        assert status == 400
        assert got.startswith(b"spotmix: ")
        assert bench.outcomes[-1] == (PATHS[path], "failed")
    assert len(bench.timed) == len(bench.outcomes)


@pytest.mark.parametrize("path", PATHS)
async def test_hand_picked_reviews(bench: HookBench, path: str) -> None:
    for body in HAND_PICKED:
        await sane(bench, path, body)
    # It goes on as if nothing had happened.
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    _, body = await bench.post(PODS, encoded(pod(owner)))
    assert answer(body).operations


async def test_hand_picked_reviews_over_http(client: HttpClient) -> None:
    for body in HAND_PICKED:
        got = await client.send("POST", PODS, body)
        assert got.status in (200, 400)
        if got.status == 200:
            assert answer(got.body).allowed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value of a tree."""
    found = [path]
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        found += places(value, (*path, key))
    return found


FULL = review(
    {
        "metadata": {
            "name": "web-1-a",
            "labels": {"spotmix.io/inject-extender": "true", "spotmix.io/enabled": "true"},
            "annotations": {"spotmix.io/spot-percentage": "70"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": True}
            ],
        },
        "data": {"config": CONFIG},
        "spec": {
            "replicas": 3,
            "schedulerName": "default-scheduler",
            "nodeSelector": {"a": "b"},
            "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]
                    },
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}],
                }
            },
        },
    }
)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A review with some of its values exchanged for anything, or its bytes cut, repeated or spoiled."""
    kind = draw(st.sampled_from(["Pod", "ConfigMap", "Deployment"]))
    tree = json.loads(json.dumps(FULL))
    tree["request"]["kind"] = {"group": "apps" if kind == "Deployment" else "", "version": "v1", "kind": kind}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(tree)))
        value = draw(JSON)
        if not path:
            tree = value
            break
        at = tree
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = value
    body = json.dumps(tree).encode()
    if draw(st.booleans()):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=4)) + body[draw(st.integers(at, len(body))) :]
    return body


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples."""
    with asyncio.Runner() as runner:
        yield runner


@settings(examples(500), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(PATHS)), mangled() | st.binary(max_size=50))
def test_malformed_reviews(runner: asyncio.Runner, path: str, body: bytes) -> None:
    bench = HookBench()
    bench.world.deployment("web", 2, spot_percentage=50)
    runner.run(sane(bench, path, body))
    assert bench.world.state.reserved == 0


@pytest.mark.parametrize("gates", [None, [], [{"name": "other"}], [{"name": "spotmix.io/placement"}]])
async def test_a_gate_is_added_once_and_last(bench: HookBench, gates: list[dict[str, str]] | None) -> None:
    bench.gating = True
    owner = bench.world.deployment("web", 2, spot_percentage=50, enforcement="affinity")
    thing = pod(owner)
    if gates is not None:
        thing["spec"]["schedulingGates"] = gates
    _, body = await bench.post(PODS, encoded(thing))
    after = [gate["name"] for gate in patched(thing, answer(body).operations)["spec"]["schedulingGates"]]
    others = [gate["name"] for gate in gates or () if gate["name"] != "spotmix.io/placement"]
    assert after == [*others, "spotmix.io/placement"]
