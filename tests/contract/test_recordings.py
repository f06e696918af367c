"""Requests of a real kube-scheduler, replayed; answers decoded as Go decodes them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from support.doubles import ENABLED, World, keys, make_node, make_owner
from support.doubles_servers import Bench

from extender.core.model.classes import ClassRules
from extender.core.model.objects import Node, Owner
from extender.core.model.reasons import Reason
from extender.core.state.events import Upsert
from extender.wire.extender_v1 import decode_args
from extender.wire.objects_v1 import Decoders

RECORDINGS = sorted(Path(__file__).with_name("recordings").glob("*.json"))
FILTERS = [path for path in RECORDINGS if path.stem.endswith("-filter")]
PRIORITIZES = [path for path in RECORDINGS if path.stem.endswith("-prioritize")]
SORTS = {"deployment", "statefulset", "job", "bare", "late", "retried", "nominated"}


class FilterResult(Struct, forbid_unknown_fields=True, rename="pascal"):
    """`ExtenderFilterResult`: any key may be absent or null, none may be misspelt."""

    node_names: list[str] | None = None
    nodes: dict[str, Any] | None = None
    failed_nodes: dict[str, str] | None = None
    failed_and_unresolvable_nodes: dict[str, str] | None = None
    error: str = ""

    def passed(self, request: dict[str, Any]) -> list[str]:
        """The nodes that pass, checked against what was offered and asked for."""
        if request["NodeNames"] is not None:
            assert self.nodes is None
            passed = self.node_names
        else:
            assert self.node_names is None
            assert self.nodes is not None
            by_name = {node["metadata"]["name"]: node for node in request["Nodes"]["items"]}
            passed = [node["metadata"]["name"] for node in self.nodes["items"]]
            assert all(node == by_name[node["metadata"]["name"]] for node in self.nodes["items"])
        # Null would reject every node, and show no error.
        assert passed is not None
        assert set(passed) <= set(offered(request))
        return passed


class HostPriority(Struct, forbid_unknown_fields=True, rename="pascal"):
    host: str
    score: int


def offered(request: dict[str, Any]) -> list[str]:
    if request["NodeNames"] is not None:
        return list(request["NodeNames"])
    return [node["metadata"]["name"] for node in request["Nodes"]["items"]]


def know(world: World, request: dict[str, Any], **policy: Any) -> None:
    """Make known the nodes and owners that a request speaks of, the owners under a policy."""
    decoder = Decoders(ClassRules(), ("spotmix.io",)).make("nodes", "v1", "Node")
    for name in ("spot-0", "spot-1", "on-demand-0"):
        world.up(make_node(name, name.rpartition("-")[0]))
    for node in (request["Nodes"] or {}).get("items", ()):
        change = decoder.change(json.dumps({"type": "ADDED", "object": node}).encode())
        assert isinstance(change.object, Node)
        assert change.object.capacity_class == node["metadata"]["name"].rpartition("-")[0]
        world.up(change.object)
    for ref in request["Pod"]["metadata"].get("ownerReferences", ()):
        owner = make_owner(
            ref["kind"], ref["name"], 4, uid=ref["uid"], namespace=request["Pod"]["metadata"]["namespace"],
            labels=ENABLED, annotations=keys(**policy),
        )  # fmt: skip
        assert isinstance(owner, Owner)
        world.state.apply(Upsert(owner), world.now)


def load(path: Path) -> tuple[bytes, dict[str, Any]]:
    body = path.read_bytes()
    request: dict[str, Any] = json.loads(body)
    return body, request


async def ask_filter(bench: Bench, body: bytes) -> FilterResult:
    return msgspec.json.decode(await bench.extender.filter(body), type=FilterResult)


def test_every_sort_was_recorded() -> None:
    assert {path.stem for path in FILTERS} == {f"{mode}-{sort}-filter" for mode in ("names", "nodes") for sort in SORTS}
    assert len(PRIORITIZES) >= 8


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_what_is_read_is_what_was_sent(path: Path) -> None:
    body, request = load(path)
    pod = request["Pod"]
    args = decode_args(body)
    assert (args.pod.uid, args.pod.name) == (pod["metadata"]["uid"], pod["metadata"]["name"])
    assert args.pod.namespace == pod["metadata"]["namespace"]
    assert args.offered() == offered(request)
    assert (args.pod.owner is None) is ("-bare-" in path.name)
    assert args.pod.needs().requests.cpu == 10
    assert len(args.pod.needs().constraints.tolerations) == 2
    assert (args.pod.unscheduled_since is not None) is ("-retried-" in path.name or "-nominated-" in path.name)
    if "-nominated-" in path.name:
        assert [args.pod.nominated] == args.offered()


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("percentage", [0, 100])
async def test_filter_keeps_the_class(path: Path, percentage: int) -> None:
    bench = Bench()
    body, request = load(path)
    know(bench.world, request, spot_percentage=percentage, when_unsatisfiable="wait")
    result = await ask_filter(bench, body)
    assert result.error == ""
    wanted = [n for n in offered(request) if "-bare-" in path.name or n.startswith("spot") is (percentage == 100)]
    assert result.passed(request) == wanted
    if wanted:
        assert not result.failed_nodes
        assert not result.failed_and_unresolvable_nodes
    else:
        assert result.failed_and_unresolvable_nodes == dict.fromkeys(offered(request), Reason.WAIT_NOMINATED.text)


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
async def test_unmanaged_pods_get_all_nodes_back(path: Path) -> None:
    bench = Bench()
    body, request = load(path)
    know(bench.world, request)
    for uid in list(bench.world.state.workloads.owners):
        owner = bench.world.state.workloads.owners[uid]
        bench.world.up(msgspec.structs.replace(owner, labels={}))
    assert (await ask_filter(bench, body)).passed(request) == offered(request)


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
async def test_before_all_is_known_it_is_an_error(path: Path) -> None:
    bench = Bench()
    bench.obstacle = Reason.NOT_SYNCED
    body, request = load(path)
    result = await ask_filter(bench, body)
    if "-bare-" in path.name:
        assert result.passed(request) == offered(request)
    else:
        assert result == FilterResult(error=Reason.NOT_SYNCED.text)


@pytest.mark.parametrize("path", PRIORITIZES, ids=lambda path: path.stem)
async def test_prioritize_scores_offered_nodes_in_whole_numbers(path: Path) -> None:
    bench = Bench()
    body, request = load(path)
    know(bench.world, request, spot_percentage=100)
    answer = await bench.extender.prioritize(body)
    scores = msgspec.json.decode(answer, type=list[HostPriority])
    assert all(0 < entry.score <= 10 for entry in scores)
    wanted = set() if "-bare-" in path.name else {name for name in offered(request) if name.startswith("spot")}
    assert {entry.host for entry in scores} == wanted
