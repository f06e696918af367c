"""cluster-autoscaler as its expander sees it: a client made by protoc of the proto files, and what it asks."""

import contextlib
import importlib
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_tools import protoc
from programs import ROOT

CLASS_KEY = "spotmix.io/class"


def _made() -> tuple[Any, Any, Any]:
    """Messages of the expander, its stub, and messages of Kubernetes."""
    own = Path(__file__).parent / "protos"
    names = ("grpcplugin.expander_pb2", "grpcplugin.expander_pb2_grpc", "kubernetes_pb2")
    with tempfile.TemporaryDirectory(prefix="expander-") as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python")]
        for path, file in ((ROOT / "proto", "grpcplugin/expander.proto"), (own, "kubernetes.proto")):
            assert protoc.main(["protoc", f"-I{path}", *outputs, file]) == 0
        sys.path.insert(0, folder)
        try:
            messages, stubs, kubernetes = (importlib.import_module(name) for name in names)
        finally:
            sys.path.remove(folder)
    return messages, stubs, kubernetes


pb, stubs, kubernetes = _made()


def pod(name: str, owner: str = "", capacity_class: str = "", **metadata: Any) -> bytes:
    """A pod that waits; `owner` is the UID of its controller."""
    made = kubernetes.Pod()
    meta = made.metadata
    meta.name, meta.namespace, meta.uid, meta.creationTimestamp.seconds = name, "shop", f"uid-{name}", 1
    meta.labels["app"] = "web"
    meta.ownerReferences.add(kind="Other", name="other", uid="uid-other", apiVersion="v1")
    if owner:
        meta.ownerReferences.add(kind="ReplicaSet", name="web-1", uid=owner, apiVersion="apps/v1", controller=True)
    if capacity_class:
        meta.annotations[CLASS_KEY] = capacity_class
    for key, text in metadata.items():
        meta.annotations[key] = text
    made.spec.schedulerName = "stock"
    return bytes(made.SerializeToString())


def node(**labels: str) -> bytes:
    """A node of a group."""
    made = kubernetes.Node()
    made.metadata.name = "template"
    for key, value in labels.items():
        made.metadata.labels[key] = value
    return bytes(made.SerializeToString())


def pool_node(capacity_class: str, instance_type: str = "m.large", zone: str = "a") -> bytes:
    """A node of a class and a pool, as Karpenter's labels say it."""
    labels = {"karpenter.sh/capacity-type": capacity_class}
    if instance_type:
        labels["node.kubernetes.io/instance-type"] = instance_type
    if zone:
        labels["topology.kubernetes.io/zone"] = zone
    return node(**labels)


def request(
    pods: Mapping[str, Sequence[bytes]], nodes: Mapping[str, bytes], *, before_135: bool = False, debug: str = ""
) -> Any:
    """A request with the pods that each group would take, and a node of each."""
    field, node_field = ("pod", "nodeMap") if before_135 else ("podBytes", "nodeBytesMap")
    options = [
        pb.Option(nodeGroupId=group, nodeCount=number + 1, debug=debug or f"about {group}", **{field: some})
        for number, (group, some) in enumerate(pods.items())
    ]
    return pb.BestOptionsRequest(options=options, **{node_field: dict(nodes)})


def groups(response: Any) -> list[str]:
    """The node groups of a response, in order."""
    return [option.nodeGroupId for option in response.options]


def stub(channel: grpc.aio.Channel) -> Any:
    """The expander, as its clients call it."""
    return stubs.ExpanderStub(channel)


@contextlib.asynccontextmanager
async def asking(address: tuple[str, int], credentials: grpc.ChannelCredentials | None = None) -> AsyncIterator[Any]:
    """A client of the expander at an address."""
    # Channels to one target share a connection, but for those with options of their own.
    options = (("grpc.use_local_subchannel_pool", 1),)
    where = "{}:{}".format(*address)
    if credentials is None:
        async with grpc.aio.insecure_channel(where, options=options) as channel:
            yield stub(channel)
    else:
        async with grpc.aio.secure_channel(where, credentials, options) as channel:
            yield stub(channel)
