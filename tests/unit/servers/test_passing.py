"""Requests that are larger than any that is kept: the pods of others pass, in a cluster of any size."""

import json
from collections.abc import AsyncIterator
from hashlib import sha512
from typing import Any

import pytest
from support.doubles_servers import LIMIT, Bench, HttpClient, connected, running

from extender.core.model.errors import WireError
from extender.core.model.reasons import Reason
from extender.servers.passing import Passing

FILTER = "/scheduler/filter"
PRIORITIZE = "/scheduler/prioritize"


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[HttpClient]:
    async with running(bench.app) as server, connected(server) as client:
        yield client


def pod(namespace: str = "kube-system", owner: Any = None, **more: Any) -> dict[str, Any]:
    meta = {"name": "coredns-1", "namespace": namespace, "uid": "u-1", **more}
    if owner is not None:
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner.name, "uid": owner.uid, "controller": True}
        ]
    return {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "é"}]}}


def request(asked: dict[str, Any], count: int = 80, key: str = "Nodes") -> dict[str, Any]:
    items = [{"metadata": {"name": f"n{n}", "annotations": {"big": f"{n:05}" * 4200}}} for n in range(count)]
    pods, names = ("Pod", "NodeNames") if key == "Nodes" else ("pod", "nodenames")
    return {pods: asked, key: {"metadata": {}, "items": items}, names: None}


COMPACT: dict[str, Any] = {"separators": (",", ":")}


@pytest.mark.parametrize("style", [COMPACT, {}, {"indent": 1}, {"ensure_ascii": False}])
@pytest.mark.parametrize("key", ["Nodes", "nodes"])
async def test_every_node_passes_for_a_pod_of_others(
    client: HttpClient, bench: Bench, style: dict[str, Any], key: str
) -> None:
    asked = request(pod(annotations={"Nodes": '{"Nodes":{', "nodes": "x"}), key=key)
    body = json.dumps(asked, **style).encode()
    assert len(body) > 20 * LIMIT
    for _ in range(2):
        got = await client.send("POST", FILTER, body)
        assert (got.status, got.headers["content-type"]) == (200, "application/json")
        assert got.json()[key] == asked[key]
        assert set(got.json()) <= {key, "NodeNames", "nodenames"}
    got = await client.send("POST", PRIORITIZE, body)
    assert (got.status, got.json()) == (200, [])
    assert [decision.reason for _, decision in bench.observer.decisions] == [Reason.UNMANAGED] * 2
    assert bench.observer.scores == [(Reason.UNMANAGED, "")]
    assert bench.observer.faults == []


@pytest.mark.parametrize("namespace", ["shop", "kube-system"])
async def test_so_do_those_of_owners_without_a_policy(client: HttpClient, bench: Bench, namespace: str) -> None:
    owner = bench.world.deployment("web", 2, {})
    asked = request(pod(namespace, owner))
    assert (await client.send("POST", FILTER, json.dumps(asked).encode())).json()["Nodes"] == asked["Nodes"]


async def test_very_many_names_pass(client: HttpClient) -> None:
    asked = {"Pod": pod(), "Nodes": None, "NodeNames": [f"n{n}" for n in range(12_000)]}
    assert (await client.send("POST", FILTER, json.dumps(asked).encode())).json() == {"NodeNames": asked["NodeNames"]}


async def test_chunked_ones_pass_too(client: HttpClient) -> None:
    asked = request(pod())
    body = json.dumps(asked).encode()
    client.writer.write(f"POST {FILTER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for start in range(0, len(body), 50_000):
        part = body[start : start + 50_000]
        client.writer.write(b"%x\r\n%b\r\n" % (len(part), part))
    client.writer.write(b"0\r\n\r\n")
    assert (await client.answer()).json()["Nodes"] == asked["Nodes"]


async def test_a_managed_pod_is_not_placed_blindly(client: HttpClient, bench: Bench) -> None:
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    body = json.dumps(request(pod("shop", owner), 10)).encode()
    got = await client.send("POST", FILTER, body)
    assert f"larger than {LIMIT} bytes; raise extender.maxBody" in got.json()["Error"]
    assert bench.observer.decisions == []


async def test_nobody_guesses_before_the_cluster_is_known(client: HttpClient, bench: Bench) -> None:
    owner = bench.world.deployment("web", 2, spot_percentage=50)
    bench.obstacle = Reason.NOT_SYNCED
    got = await client.send("POST", FILTER, json.dumps(request(pod("shop", owner), 10)).encode())
    assert got.json() == {"Error": Reason.NOT_SYNCED.text}


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda body: body[:-1], "it has no end"),
        (lambda body: body[:-9] + b"\xff\xfe" + body[-7:], "not UTF-8"),
        (lambda body: body[: 2 * LIMIT] + b"\xc3\x28" + body[2 * LIMIT :], "not UTF-8"),
        (lambda body: body.replace(b"coredns-1", b"x" * 300), "does not decode"),
        (lambda body: body.replace(b"coredns-1", b"x" * 2 * LIMIT), "raise extender.maxBody"),
        (lambda body: body.replace(b'"Pod"', b'"Cod"'), "raise extender.maxBody"),
        (lambda body: b"{" * LIMIT + body, "does not decode"),
    ],
)
async def test_what_is_wrong_is_an_error(bench: Bench, damage: Any, named: str) -> None:
    body = damage(json.dumps(request(pod(), 10), **COMPACT).encode())
    async with running(bench.app) as server, connected(server) as client:
        assert named in (await client.send("POST", FILTER, body)).json()["Error"]
    async with running(bench.app) as server, connected(server) as client:
        assert (await client.send("POST", PRIORITIZE, body)).json() == []


async def test_whatever_is_damaged_the_answer_is_one(bench: Bench) -> None:
    whole = json.dumps(request(pod(), 5), **COMPACT).encode()
    places = [*range(0, 400, 9), *range(400, len(whole), 7001), *range(len(whole) - 60, len(whole), 5)]
    async with running(bench.app) as server:
        for number, at in enumerate(places):
            damage = (b"", b"\xff", b'"', b"{", b"\\ud800", b"\x00", b"]}")[number % 7]
            async with connected(server) as client:
                got = await client.send("POST", FILTER, whole[:at] + damage + whole[at + 1 :])
                assert got.status == 200
                assert got.body.decode()
                assert got.body.startswith((b'{"Error":"spotmix: ', b'{"Nodes"'))


def test_what_cannot_be_kept_small_is_not_kept() -> None:
    passing = Passing(1000)
    passing.add(b"x" * 100_000)
    noise = b"".join(sha512(b"%d" % n).hexdigest().encode() for n in range(1000))
    with pytest.raises(WireError, match="more than 1000 bytes"):
        passing.add(noise)
