"""Paths of the API are put together in one place, which takes no name that would lead elsewhere."""

import ast
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import ROOT

from extender.core.drift.eviction import Answer
from extender.core.model.errors import ApiError
from extender.core.model.objects import PodId
from extender.kube.discovery import Discovery, NotWatchable
from extender.kube.driftstore import DriftStore
from extender.kube.eviction import Evictor
from extender.kube.lease import Elector, LeaseLock
from extender.kube.ownpod import OwnPod
from extender.kube.patches import PodPatches
from extender.kube.paths import BAD_NAME, api_path, is_object_name, subject_of
from extender.kube.portforward import PortForward
from extender.kube.resources import PODS
from extender.kube.servicepod import find_service_pod

WAYWARD = [
    "default/configmaps/x?",
    "default/configmaps/x",
    "a/../b",
    "..",
    ".",
    "",
    "a?dryRun=All",
    "a#b",
    "a%2fb",
    "%2e%2e",
    "a b",
    "a\n",
    "A",
    "ä",
    "-a",
    "a-",
    "a..b",
    "a" * 254,
]


class NoApi:
    """Answers nothing of use, and remembers who asked for what."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    answer = b"{}"

    async def request(self, method: str, path: str, **_options: Any) -> bytes:
        self.asked.append(f"{method} {path}")
        return self.answer

    watch: Any = None
    websocket: Any = None


def test_each_shape() -> None:
    assert api_path("apps") == "/apis/apps"
    assert api_path("", "v1") == "/api/v1"
    assert api_path("", "v1", "nodes", name="n1.example.com") == "/api/v1/nodes/n1.example.com"
    assert api_path("apps", "v1", "deployments", namespace="shop") == "/apis/apps/v1/namespaces/shop/deployments"
    assert PODS.path_in("shop", "web-0") == "/api/v1/namespaces/shop/pods/web-0"
    eviction = api_path("", "v1", "pods", namespace="shop", name="web-0", subresource="eviction")
    assert eviction == "/api/v1/namespaces/shop/pods/web-0/eviction"


@pytest.mark.parametrize("text", WAYWARD)
@pytest.mark.parametrize("part", ["group", "version", "plural", "namespace", "name", "subresource"])
def test_what_leads_elsewhere_leads_nowhere(part: str, text: str) -> None:
    parts = {"group": "apps", "version": "v1", "plural": "pods", "namespace": "shop", "name": "web-0"}
    if (part, text) == ("group", ""):
        return
    with pytest.raises(ApiError) as refused:
        api_path(**{**parts, part: text})
    assert refused.value.reason == BAD_NAME


@given(st.text(max_size=300))
def test_a_name_is_one_segment_or_none(text: str) -> None:
    if not is_object_name(text):
        return
    assert not set(text) & set("/?#% \n")
    assert text not in {".", ".."}
    assert PODS.path_in("shop", text).split("/")[-1] == text


def writes(api: NoApi, namespace: str, name: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """What would send a request about an object, by who does."""
    pod = PodId(namespace, name, "uid-1")

    async def elect() -> None:
        await Elector(api, LeaseLock(namespace, name, "me"), lambda *_: None).release()

    async def remember() -> None:
        await DriftStore(api, namespace, name).read()

    async def forward() -> None:
        async with PortForward(api, namespace, name, 80).listening():
            raise AssertionError("it is not to be made")

    return {
        "annotate": lambda: PodPatches(api).annotate(pod, {"a": "b"}),
        "nominate": lambda: PodPatches(api).nominate(pod, "n1"),
        "cost": lambda: PodPatches(api).set_deletion_cost(pod, 1),
        "own pod": lambda: OwnPod(api, namespace, name, lambda *_: None).begin_term("now"),
        "lease": elect,
        "drift store": remember,
        "port-forward": forward,
    }


@pytest.mark.parametrize("who", writes(NoApi(), "shop", "web-0"))
@pytest.mark.parametrize(("namespace", "name"), [("default/configmaps/x?", "web-0"), ("shop", "../../configmaps/x?")])
async def test_nothing_is_sent_about_what_cannot_be(who: str, namespace: str, name: str) -> None:
    api = NoApi()
    with pytest.raises(ApiError) as refused:
        await writes(api, namespace, name)[who]()
    assert refused.value.reason == BAD_NAME
    assert api.asked == []


async def test_nothing_is_evicted_that_cannot_be() -> None:
    api = NoApi()
    outcome = await Evictor(api).evict(PodId("default/configmaps/x?", "web-0", "uid-1"))
    assert outcome.answer is Answer.FAILED
    assert api.asked == []


async def test_a_wayward_namespace_is_not_looked_into() -> None:
    api = NoApi()
    with pytest.raises(ApiError):
        await find_service_pod(api, "default/secrets?")
    assert api.asked == []


@pytest.mark.parametrize(
    "api_version",
    ["v1/namespaces/default/configmaps/x?", "apps/v1/../../../api/v1", "a?b/v1", "../v1", "apps/v1#", "%2e%2e/v1"],
)
async def test_an_owner_of_an_invented_api_is_of_no_kind(api_version: str) -> None:
    api = NoApi()
    found = await Discovery(api).find(api_version, "Thing")
    assert isinstance(found, NotWatchable)
    assert found.missing
    assert api.asked == []


async def test_a_resource_that_discovery_invents_is_not_followed() -> None:
    api = NoApi()
    groups = b'"groups":[{"name":"acme.io","preferredVersion":{"version":"v1"}}]'
    api.answer = b'{"resources":[{"name":"secrets?x=","kind":"Thing","verbs":["list","watch"]}],' + groups + b"}"
    assert isinstance(await Discovery(api).find("acme.io/v1", "Thing"), NotWatchable)
    assert api.asked == ["GET /apis", "GET /apis/acme.io/v1"]


BUILDS = (ast.JoinedStr, ast.BinOp)
ROOTS = ("/api/", "/apis/", "/namespaces/")


def builders() -> Iterator[str]:
    """Where the product puts a path of the API together by hand, as file:line."""
    for path in sorted((ROOT / "extender").rglob("*.py")):
        if path == ROOT / "extender/kube/paths.py":
            continue
        tree = ast.parse(path.read_text())
        docs = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            of_api = isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs
            if (of_api and any(root in node.value for root in ROOTS)) or _requested(node):  # type: ignore[attr-defined]
                yield f"{path.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]


def _requested(node: ast.AST) -> bool:
    """Whether a request is made with a path that is put together on the spot."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr not in {"request", "watch", "websocket", "_request", "wait_for_change"}:
        return False
    return any(isinstance(given, BUILDS) for given in node.args)


def test_nobody_else_puts_paths_together() -> None:
    assert list(builders()) == []


@pytest.mark.parametrize("name", ["a" * 253, "web-0." + "b" * 100, "kwok-" + "-".join(["part"] * 20)])
def test_a_part_of_a_name_may_be_longer_than_a_label_of_dns(name: str) -> None:
    """The API limits the whole name of a Pod or Node to 253 characters, and its parts not apart."""
    assert is_object_name(name)
    assert api_path("", "v1", "nodes", name=name).endswith(f"/{name}")


@pytest.mark.parametrize(
    ("path", "resource", "named"),
    [
        (api_path("", "v1", "pods"), "pods", False),
        (api_path("", "v1", "pods", namespace="shop"), "pods", False),
        (api_path("", "v1", "pods", namespace="shop", name="web-0"), "pods", True),
        (api_path("", "v1", "pods", namespace="shop", name="web-0", subresource="eviction"), "pods/eviction", True),
        (api_path("apps", "v1", "deployments", namespace="shop", name="web"), "deployments.apps", True),
        (api_path("apps", "v1", "deployments", namespace="pods", name="status"), "deployments.apps", True),
        (api_path("", "v1", "namespaces"), "namespaces", False),
        (api_path("", "v1", "namespaces", name="shop"), "namespaces", True),
        (api_path("", "v1", "namespaces", name="shop", subresource="status"), "namespaces/status", True),
        (api_path("", "v1", "nodes", name="a"), "nodes", True),
        (api_path("karpenter.sh", "v1"), "", False),
        (api_path("", "v1"), "", False),
        ("/api", "", False),
        ("/apis", "", False),
        ("/version", "", False),
        ("/", "", False),
    ],
)
def test_a_path_tells_what_it_leads_to(path: str, resource: str, *, named: bool) -> None:
    assert subject_of(path) == (resource, named)
