"""A placeholder as the API takes it: made of the pod in whose name it asks for a node.

It is in a namespace of ours, so what the pod says of other pods of its own namespace names that; and it has none of the
pod's labels, so that nothing that selects the pod's selects it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from extender.core.drift.placeholder import Ask, placeholder_label
from extender.core.model.errors import WireError
from extender.core.model.objects import OwnerRef, Requests
from extender.wire.podspec_v1 import node_selector_term, raw_toleration

PRIORITY_CLASS = "spotmix-placeholder"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# A label's value; a workload of a longer name is told by the annotation alone.
_LONGEST_VALUE = 63
_NOBODY = 65535
Part = Mapping[str, Any]


class Making(Struct, frozen=True):
    """How placeholders are made: in which namespace, of which image, under which prefix, and whose they are."""

    namespace: str
    image: str
    prefix: str = "spotmix.io"
    owner: OwnerRef | None = None


class _Affinity(Struct, frozen=True, rename="camel"):
    pod_affinity: dict[str, Any] | None = None
    pod_anti_affinity: dict[str, Any] | None = None


class _Spec(Struct, frozen=True, rename="camel"):
    scheduler_name: str = ""
    tolerations: list[dict[str, Any]] | None = None
    affinity: _Affinity | None = None
    topology_spread_constraints: list[dict[str, Any]] | None = None


class _Metadata(Struct, frozen=True):
    namespace: str = ""
    uid: str = ""


class _Pod(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: _Spec = _Spec()


_pods = msgspec.json.Decoder(_Pod)


def placeholder(body: bytes, ask: Ask, making: Making) -> dict[str, Any]:
    """The body of the request that makes a placeholder.

    Args:
        body: the pod that it asks for, as the API server has it.
        ask: what it asks for.
        making: how it is made.

    Raises:
        WireError: the body is no pod, or another one of its name.
    """
    try:
        pod = _pods.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(f"the pod does not decode: {error}") from error
    wish = ask.wish
    if pod.metadata.uid != wish.pod.uid:
        raise WireError(f"Pod {wish.pod.namespace}/{wish.pod.name} was made anew")
    workload, spec = wish.workload, pod.spec
    label = placeholder_label(making.prefix)
    labels = {label: wish.pod.uid, f"{making.prefix}/capacity-class": wish.capacity_class}
    if len(workload.name) <= _LONGEST_VALUE:
        labels[f"{making.prefix}/workload"] = workload.name
    kin = f"{making.prefix}/revision"
    labels[kin] = workload.revision.partition("/")[0]
    siblings = {"matchLabels": {kin: labels[kin]}}
    metadata: dict[str, Any] = {
        "name": ask.name,
        "namespace": making.namespace,
        "labels": labels,
        "annotations": {
            f"{making.prefix}/placeholder-for": f"{workload.kind} {workload.namespace}/{workload.name}",
            f"{making.prefix}/placeholder-pod": f"{wish.pod.namespace}/{wish.pod.name}",
            # A pod without a controller keeps cluster-autoscaler from removing its node.
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
        },
    }
    if making.owner is not None:
        owner = making.owner
        metadata["ownerReferences"] = [
            {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "schedulerName": spec.scheduler_name or "default-scheduler",
            "priorityClassName": PRIORITY_CLASS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(ask, making.image)],
            "tolerations": [*(spec.tolerations or ()), *map(raw_toleration, ask.tolerations)],
            "nodeSelector": dict(ask.selector),
            "affinity": _affinity(spec.affinity or _Affinity(), ask, wish.pod.namespace, siblings),
            "topologySpreadConstraints": [
                _spread(each, siblings)
                for each in spec.topology_spread_constraints or ()
                if each.get("whenUnsatisfiable") == "DoNotSchedule"
            ],
        },
    }


def _container(ask: Ask, image: str) -> dict[str, Any]:
    requests, extended = _quantities(ask.requests)
    return {
        "name": "placeholder",
        "image": image,
        # Of an extended resource nothing can be asked for that is not the limit too.
        "resources": {"requests": {**requests, **extended}, "limits": extended},
        "ports": [
            {
                "containerPort": port.port,
                "hostPort": port.port,
                "protocol": port.protocol,
                **({"hostIP": port.ip} if port.ip else {}),
            }
            for port in ask.host_ports
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _quantities(asked: Requests) -> tuple[dict[str, str], dict[str, str]]:
    plain = {"cpu": f"{asked.cpu}m", "memory": str(asked.memory), "ephemeral-storage": str(asked.ephemeral)}
    given = {"cpu": asked.cpu, "memory": asked.memory, "ephemeral-storage": asked.ephemeral}
    extended = {name: str(amount) for name, amount in asked.extended}
    return {name: text for name, text in plain.items() if given[name]}, extended


def _affinity(said: _Affinity, ask: Ask, namespace: str, siblings: Part) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if ask.terms:
        terms = [node_selector_term(term) for term in ask.terms]
        made["nodeAffinity"] = {_REQUIRED: {"nodeSelectorTerms": terms}}
    near = [_abroad(term, namespace) for term in _terms(said.pod_affinity)]
    if near:
        made["podAffinity"] = {_REQUIRED: near}
    apart = list(_terms(said.pod_anti_affinity))
    if apart:
        # Pods that keep off each other keep off each other's placeholders.
        keys = dict.fromkeys(str(term.get("topologyKey", "")) for term in apart)
        made["podAntiAffinity"] = {
            _REQUIRED: [
                *(_abroad(term, namespace) for term in apart),
                *({"topologyKey": key, "labelSelector": siblings} for key in keys),
            ]
        }
    return made


def _terms(said: Part | None) -> Sequence[Part]:
    required = (said or {}).get(_REQUIRED)
    return [term for term in required if isinstance(term, dict)] if isinstance(required, list) else []


def _abroad(term: Part, namespace: str) -> dict[str, Any]:
    """A term as it is said from another namespace; what `matchLabelKeys` add is in its selector already."""
    kept = _without(term, ("matchLabelKeys", "mismatchLabelKeys"))
    if not term.get("namespaces") and term.get("namespaceSelector") is None:
        kept["namespaces"] = [namespace]
    return kept


def _spread(constraint: Part, siblings: Part) -> dict[str, Any]:
    """A constraint, which counts pods of its own namespace alone: the placeholders of the same pods."""
    return {**_without(constraint, ("matchLabelKeys",)), "labelSelector": siblings}


def _without(said: Part, keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key not in keys}
