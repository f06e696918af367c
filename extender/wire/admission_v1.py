"""AdmissionReview (`admission.k8s.io/v1`): requests to core types, outcomes to answers with an RFC 6902 patch.

Decoded is what is used. The API server takes an answer only when its uid is the request's.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from extender.core.admission.mutate import Draft, Mutation
from extender.core.capacity.fit import Needs
from extender.core.model.errors import WireError
from extender.core.model.objects import Namespace, Owner, Requests
from extender.core.model.selectors import Requirement
from extender.core.placement.decide import PodView
from extender.wire.kube_v1 import Metadata, OwnerMetadata, OwnerReference, RawCustomOwner, controller_of
from extender.wire.objects_v1 import to_custom_owner, under
from extender.wire.podspec_v1 import Affinity, RawToleration, node_selector_term, raw_toleration
from extender.wire.requests_v1 import PodSpec, pod_requests

API_VERSION = "admission.k8s.io/v1"
MAX_WARNING = 1000
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
T = TypeVar("T")
Patch = dict[str, Any]
"""One operation of a JSON patch."""


class _Kind(Struct, frozen=True, gc=False):
    group: str = ""
    version: str = ""
    kind: str = ""


class _Request(Struct, Generic[T], frozen=True, rename="camel"):
    uid: str
    kind: _Kind = _Kind()
    operation: str = ""
    sub_resource: str | None = None
    name: str | None = None
    namespace: str | None = None
    dry_run: bool | None = None
    object: T | None = None
    old_object: T | None = None


class _Review(Struct, Generic[T], frozen=True):
    request: _Request[T] | None = None


class _OnlyUid(Struct, frozen=True):
    uid: str = ""


class _UidReview(Struct, frozen=True):
    request: _OnlyUid | None = None


class _PodMeta(Struct, frozen=True, rename="camel"):
    name: str | None = None
    uid: str | None = None
    owner_references: list[OwnerReference] | None = None


class _Gate(Struct, frozen=True):
    name: str = ""


class _PodSpec(Struct, frozen=True, rename="camel"):
    scheduler_name: str | None = None
    node_name: str | None = None
    node_selector: dict[str, str] | None = None
    affinity: Affinity | None = None
    tolerations: list[RawToleration] | None = None
    scheduling_gates: list[_Gate] | None = None


class _Pod(Struct, frozen=True):
    metadata: _PodMeta = _PodMeta()
    spec: _PodSpec = _PodSpec()


class _NewMetadata(OwnerMetadata, frozen=True, rename="camel"):
    generate_name: str | None = None


class _NewOwner(RawCustomOwner, frozen=True):
    metadata: _NewMetadata = _NewMetadata()


class _ConfigMap(Struct, frozen=True):
    metadata: Metadata = Metadata()
    data: dict[str, str] | None = None
    immutable: bool | None = None


class _Template(Struct, frozen=True):
    spec: PodSpec = PodSpec()


class _JobSpec(Struct, frozen=True):
    template: _Template | None = None


class _JobTemplate(Struct, frozen=True):
    spec: _JobSpec = _JobSpec()


class _Templated(Struct, frozen=True, rename="camel"):
    template: _Template | None = None
    job_template: _JobTemplate | None = None

    def pods(self) -> _Template | None:
        return self.job_template.spec.template if self.job_template is not None else self.template


_pods = msgspec.json.Decoder(_Review[_Pod])
_templates = msgspec.json.Decoder(_Templated)
_owners = msgspec.json.Decoder(_Review[_NewOwner])
_config_maps = msgspec.json.Decoder(_Review[_ConfigMap])
_uids = msgspec.json.Decoder(_UidReview)
_encode = msgspec.json.Encoder().encode


class PodReview:
    """A pod that is about to be created.

    Attributes:
        uid: of the request.
        draft: the pod; None when the request is not about one that may be mutated: no creation, a subresource, a pod
            that is bound already.
        dry_run: nothing comes of it.
    """

    def __init__(self, uid: str, draft: Draft | None, spec: _PodSpec, *, dry_run: bool) -> None:
        self.uid = uid
        self.draft = draft
        self.dry_run = dry_run
        self._spec = spec

    def patches(self, mutation: Mutation) -> list[Patch]:
        """What makes the pod what the mutation says; nothing is said twice, and missing parents are made."""
        spec, patches = self._spec, []
        if mutation.scheduler_name:
            op = "add" if spec.scheduler_name is None else "replace"
            patches.append(_patch(op, "/spec/schedulerName", mutation.scheduler_name))
        if mutation.tolerations:
            patches += _appended(
                "/spec/tolerations", [raw_toleration(t) for t in mutation.tolerations], spec.tolerations
            )
        if mutation.preferences:
            preferences = [_preferred(term, mutation.weight) for term in mutation.preferences]
            patches += _preferring(preferences, spec.affinity)
        if mutation.gate and not any(gate.name == mutation.gate for gate in spec.scheduling_gates or ()):
            patches += _appended("/spec/schedulingGates", [{"name": mutation.gate}], spec.scheduling_gates)
        return patches


class ConfigMapReview(Struct, frozen=True):
    """A ConfigMap that is about to be created or changed; `data` is empty when it cannot be."""

    uid: str
    name: str
    labels: Mapping[str, str]
    data: Mapping[str, str]


class WorkloadReview(Struct, frozen=True):
    """An object that may carry a policy. `new` is None when it goes; `old` is what it was before an update.

    `asked` is what each of its pods requests, `asked_before` what each did; None where that is not known.
    """

    uid: str
    new: Owner | Namespace | None
    old: Owner | Namespace | None
    asked: Requests | None = None
    asked_before: Requests | None = None


def _decoded(decoder: msgspec.json.Decoder[_Review[T]], body: bytes | bytearray, what: str) -> _Request[T]:
    try:
        request = decoder.decode(body).request
    except (ValueError, RecursionError) as error:
        raise WireError(f"spotmix: the AdmissionReview of a {what} does not decode: {error}") from error
    if request is None or not request.uid:
        raise WireError("spotmix: there is no request.uid; is this an AdmissionReview?")
    return request


def _expect(request: _Request[Any], group: str, kind: str) -> None:
    if (request.kind.group, request.kind.kind) != (group, kind):
        seen = f"{request.kind.kind or 'an object without a kind'} of group {request.kind.group!r}"
        raise WireError(f"spotmix: {kind} expected, seen {seen}; check the rules of the webhook's configuration")


def read_uid(body: bytes | bytearray) -> str:
    """The uid of a request, even when the rest of it does not decode; empty when it cannot be read."""
    try:
        request = _uids.decode(body).request
    except (ValueError, RecursionError):
        return ""
    return request.uid if request is not None else ""


def decode_pod(body: bytes | bytearray) -> PodReview:
    """Decode the review of a pod.

    Raises:
        WireError: it is none; the text names the field.
    """
    request = _decoded(_pods, body, "Pod")
    _expect(request, "", "Pod")
    pod = request.object
    if pod is None or request.operation != "CREATE" or request.sub_resource or pod.spec.node_name:
        return PodReview(request.uid, None, _PodSpec(), dry_run=bool(request.dry_run))
    meta, spec = pod.metadata, pod.spec
    view = PodView(
        meta.uid or "",
        request.namespace or "",
        meta.name or "",
        controller_of(meta.owner_references),
        "",
        None,
        Needs,
    )
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    asked = {r.key for term in affinity.terms() for r in term.requirements() if not r.field} if affinity else set()
    draft = Draft(
        view,
        spec.scheduler_name or "",
        tuple(t.toleration() for t in spec.tolerations or ()),
        frozenset(asked.union(spec.node_selector or ())),
    )
    return PodReview(request.uid, draft, spec, dry_run=bool(request.dry_run))


def decode_config_map(body: bytes | bytearray) -> ConfigMapReview:
    """Decode the review of a ConfigMap.

    Raises:
        WireError: it is none; the text names the field.
    """
    request = _decoded(_config_maps, body, "ConfigMap")
    _expect(request, "", "ConfigMap")
    found = request.object
    if found is None or (found.immutable and request.operation == "UPDATE"):
        return ConfigMapReview(request.uid, "", {}, {})
    name = f"{request.namespace or ''}/{request.name or found.metadata.name}"
    return ConfigMapReview(request.uid, name, found.metadata.labels or {}, found.data or {})


def data_patches(changed: Mapping[str, str]) -> list[Patch]:
    """What gives the keys of a ConfigMap's data new values."""
    return [_patch("replace", f"/data/{_escaped(key)}", value) for key, value in changed.items()]


def decode_workload(body: bytes | bytearray, prefixes: Iterable[str]) -> WorkloadReview:
    """Decode the review of an object that may carry a policy, of any kind.

    Args:
        body: the AdmissionReview.
        prefixes: of our labels and annotations, without the slash.

    Raises:
        WireError: it is none; the text names the field.
    """
    request = _decoded(_owners, body, "workload")
    if not request.kind.kind:
        raise WireError("spotmix: request.kind is missing; is this an AdmissionReview?")
    starts = tuple(f"{prefix}/" for prefix in prefixes)
    new, old = request.object, request.old_object
    gone = new is None or request.sub_resource or new.metadata.deletion_timestamp is not None
    return WorkloadReview(
        request.uid,
        None if new is None or gone else _said(new, request, starts),
        None if old is None else _said(old, request, starts),
        _asked(new),
        _asked(old),
    )


def _asked(raw: _NewOwner | None) -> Requests | None:
    """What the pods of a workload request by its template; None where it has none that is like those we know."""
    try:
        spec = _templates.decode(raw.spec) if raw is not None and raw.spec else None
        template = spec.pods() if spec is not None else None
        return pod_requests(template.spec) if template is not None else None
    except ValueError:
        return None


def _said(raw: _NewOwner, request: _Request[_NewOwner], starts: tuple[str, ...]) -> Owner | Namespace:
    kind, meta = request.kind, raw.metadata
    name = request.name or meta.name or f"{meta.generate_name or ''}*"
    if (kind.group, kind.kind) == ("", "Namespace"):
        return Namespace(meta.uid, name, under(starts, meta.labels), under(starts, meta.annotations))
    api_version = f"{kind.group}/{kind.version}" if kind.group else kind.version
    owner = to_custom_owner(raw, "", api_version, kind.kind, starts)
    return msgspec.structs.replace(owner, name=name, namespace=request.namespace or "")


def _escaped(key: str) -> str:
    """A key as a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _patch(op: str, path: str, value: Any) -> Patch:
    return {"op": op, "path": path, "value": value}


def _appended(path: str, values: list[Any], present: list[Any] | None) -> list[Patch]:
    """What appends to a list, which is made when it is missing or null."""
    if present is None:
        return [_patch("add", path, values)]
    return [_patch("add", f"{path}/-", value) for value in values]


def _preferred(term: Iterable[Requirement], weight: int) -> dict[str, Any]:
    return {"weight": weight, "preference": node_selector_term(term)}


def _preferring(preferences: list[Any], affinity: Affinity | None) -> list[Patch]:
    if affinity is None:
        return [_patch("add", "/spec/affinity", {"nodeAffinity": {_PREFERRED: preferences}})]
    if affinity.node_affinity is None:
        return [_patch("add", "/spec/affinity/nodeAffinity", {_PREFERRED: preferences})]
    path = f"/spec/affinity/nodeAffinity/{_PREFERRED}"
    return _appended(path, preferences, affinity.node_affinity.preferred)


def encode_answer(
    uid: str, *, patches: Iterable[Patch] = (), warnings: Iterable[str] = (), denied: str | None = None
) -> bytes:
    """An AdmissionReview that answers request `uid`.

    Args:
        uid: the request's.
        patches: what to change in the object.
        warnings: what to tell whoever made the request.
        denied: why the object is refused; None allows it.
    """
    response: dict[str, Any] = {"uid": uid, "allowed": denied is None}
    if denied is not None:
        response["status"] = {"code": 422, "reason": "Invalid", "message": denied}
    operations = list(patches)
    if operations and denied is None:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(_encode(operations)).decode()}
    told = [_printable(text) for text in warnings]
    if told:
        response["warnings"] = told
    return _encode({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})


def _printable(text: str) -> str:
    """A warning travels in an HTTP header of some kilobytes: no control characters, no novels."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= MAX_WARNING else line[: MAX_WARNING - 3] + "..."
