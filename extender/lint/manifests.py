"""What manifests hold that matters to us: workloads, namespaces and policies, each with its place in the text.

They become what the watch would make of them, so that all that judges them is what judges them in a cluster.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.objects import Namespace, Owner, group_of
from extender.core.model.policies import GROUP
from extender.core.policy.keys import KEYS
from extender.core.policy.policy import ENABLED
from extender.lint.documents import Document, line_of
from extender.lint.schema import Path
from extender.wire.kube_v1 import RawCustomOwner
from extender.wire.objects_v1 import to_custom_owner, under

WORKLOADS = frozenset(
    {
        *(("apps", kind) for kind in ("Deployment", "StatefulSet", "ReplicaSet")),
        *(("batch", kind) for kind in ("Job", "CronJob")),
        ("", "ReplicationController"),
    }
)
"""Group and kind of workloads that are built in."""
_PARTS_OF_PODS = ("template", "jobTemplate")


class Thing(Struct, frozen=True):
    """An object of a text.

    Attributes:
        file: where it is from.
        document: the number of its document, from 1 on.
        value: the object.
        line: that it begins in, 0 where that is not known.
        namespace: that it is in, or would be; empty for what is in none.
    """

    file: str
    document: int
    value: Mapping[str, Any]
    line: int
    namespace: str

    @property
    def kind(self) -> str:
        return _text(self.value.get("kind"))

    @property
    def api_version(self) -> str:
        return _text(self.value.get("apiVersion"))

    @property
    def group(self) -> str:
        return group_of(self.api_version)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Its metadata, empty where there is none of the right shape."""
        return _mapping(self.value.get("metadata"))

    @property
    def name(self) -> str:
        """Its name as people are told it: `web`, or `web-*` where one is to be made."""
        made = _text(self.metadata.get("generateName"))
        return _text(self.metadata.get("name")) or f"{made}*"

    @property
    def title(self) -> str:
        """What people call it: `Deployment shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def uid(self) -> str:
        """What tells it from others."""
        return f"{self.group}/{self.title}"

    @property
    def is_policy(self) -> bool:
        return self.group == GROUP and self.kind != "Simulation"

    @property
    def is_namespace(self) -> bool:
        return (self.group, self.kind) == ("", "Namespace")

    @property
    def is_workload(self) -> bool:
        """Whether it makes pods that may be placed, as far as can be told."""
        if (self.group, self.kind) in WORKLOADS:
            return True
        pods = _mapping(_mapping(self.value.get("spec")).get("template"))
        return self.group not in ("", "apps", "batch", GROUP) and "spec" in pods

    @property
    def is_controlled(self) -> bool:
        """Whether a controller made it, so that it says what that was told."""
        owners = self.metadata.get("ownerReferences")
        return isinstance(owners, list) and any(_mapping(each).get("controller") is True for each in owners)

    def line_of(self, path: Path) -> int:
        """The line of a field of it, or of the nearest above it that is there."""
        return line_of(self.value, path, self.line)

    def at(self, path: Path) -> Any:
        """What is at a path of it; None where nothing is."""
        value: Any = self.value
        for part in path:
            try:
                value = value[part]
            except (LookupError, TypeError):
                return None
        return value

    def path_of_key(self, key: str) -> Path:
        """The path of a label or annotation; of an annotation where there is none."""
        field = "annotations" if key in self.texts("annotations") or key not in self.texts("labels") else "labels"
        return ("metadata", field, key)

    def texts(self, field: str) -> dict[str, str]:
        """Its labels or annotations, those that are texts."""
        return {key: value for key, value in _mapping(self.metadata.get(field)).items() if isinstance(value, str)}

    def on_pods(self) -> Iterator[Path]:
        """The paths of keys of a policy on the template of its pods, under any of our prefixes."""
        path: Path = ("spec",)
        part = _mapping(self.value.get("spec"))
        if self.kind == "CronJob":
            path, part = (*path, "jobTemplate", "spec"), _mapping(_mapping(part.get("jobTemplate")).get("spec"))
        metadata = _mapping(_mapping(part.get("template")).get("metadata"))
        for field in ("labels", "annotations"):
            yield from ((*path, "template", "metadata", field, key) for key in _mapping(metadata.get(field)))

    def owner(self, prefixes: tuple[str, ...]) -> Owner:
        """It as the watch would have it; `prefixes` are those of our keys, with the slash."""
        spec = {key: value for key, value in _mapping(self.value.get("spec")).items() if key not in _PARTS_OF_PODS}
        labels, annotations = self.texts("labels"), self.texts("annotations")
        metadata = {"uid": self.uid, "name": self.name, "labels": labels, "annotations": annotations}
        raw = msgspec.json.decode(msgspec.json.encode({"metadata": metadata, "spec": spec}), type=RawCustomOwner)
        owner = to_custom_owner(raw, "", self.api_version, self.kind, prefixes)
        return replace(owner, namespace=self.namespace)

    def as_namespace(self, prefixes: tuple[str, ...]) -> Namespace:
        """It as a Namespace; see `owner`."""
        labels = self.texts("labels")
        annotations = under(prefixes, self.texts("annotations"))
        return Namespace(self.uid, self.name, under(prefixes, labels), annotations, {NAME: self.name, **labels})


NAME = "kubernetes.io/metadata.name"
"""The label that every Namespace has."""


def things(file: str, documents: Iterable[Document], namespace: str) -> Iterator[Thing | Document]:
    """The objects of a text, those of Lists one by one; a document that is none, as it is.

    Args:
        file: what the text is called.
        documents: its documents.
        namespace: that an object is in which does not say.
    """
    for document in documents:
        found = _mapping(document.value)
        if not isinstance(found.get("kind"), str) or not isinstance(found.get("apiVersion"), str):
            yield document
            continue
        items = found.get("items")
        if not (found["kind"].endswith("List") and isinstance(items, list)):
            yield _thing(file, document, namespace)
            continue
        inner = (
            Document(document.number, each, line_of(document.value, ("items", number), document.line))
            for number, each in enumerate(items)
        )
        yield from things(file, inner, namespace)


def _thing(file: str, document: Document, namespace: str) -> Thing:
    found = Thing(file, document.number, document.value, document.line, "")
    spread = found.is_namespace or (found.is_policy and found.kind.startswith("Cluster"))
    return found if spread else replace(found, namespace=_text(found.metadata.get("namespace")) or namespace)


def says(key: str, prefixes: Iterable[str]) -> str:
    """The key of a policy, or of the opt-in, that a label or annotation is; empty where it is none of ours."""
    for prefix in prefixes:
        name = key.removeprefix(f"{prefix}/")
        if name != key and name in (*KEYS, ENABLED):
            return name
    return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
