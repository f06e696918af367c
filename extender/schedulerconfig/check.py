"""What in a KubeSchedulerConfiguration would hurt: findings, each with its line, what happens and what to do."""

import difflib
from collections.abc import Iterator

from extender.schedulerconfig.read import (
    DEFAULT_SCHEDULER,
    FIELDS,
    KIND,
    Stanza,
    alike,
    entries,
    go_seconds,
    own_entry,
    read,
    text_of,
)
from extender.schedulerconfig.scheduler import Remark, connection, leader_election, own_pods, sample
from extender.schedulerconfig.weights import in_tree_scores
from extender.schedulerconfig.yamltree import YamlNode

MAX_SCORE = 10
"""The highest score of a node; the scheduler multiplies it by weight and by 10."""
SHORT_SECONDS = 1.0
LONG_SECONDS = 30.0
MAX_UNKNOWN = 20
"""Most unknown fields that are named of an entry."""


def check(text: str, stanza: Stanza, own_scheduler_name: str = DEFAULT_SCHEDULER) -> list[Remark]:
    """Findings about a KubeSchedulerConfiguration, by line.

    Args:
        text: YAML or JSON; of several documents the scheduler reads the first.
        stanza: what our entry should say; it is what ours is told from others by.
        own_scheduler_name: `spec.schedulerName` of our own pods.

    Raises:
        WireError: the text is invalid or of another version; see `is_configuration`.
    """
    roots, configurations = read(text.removeprefix("\ufeff"))
    if not configurations:
        return [Remark("error", 1, "kind", f"there is no {KIND} here; give the file of kube-scheduler --config")]
    findings = [finding for root in configurations for finding in _check(root, stanza, own_scheduler_name)]
    findings += (
        Remark("error", root.line, "", "kube-scheduler reads the first document only, which is another; move it up")
        for root in configurations
        if root is not roots[0]
    )
    return sorted(findings, key=lambda finding: finding.line)


def _check(root: YamlNode, stanza: Stanza, own_scheduler_name: str) -> Iterator[Remark]:
    found = entries(root)
    own = own_entry(root, stanza)
    if own is None:
        own = next(((index, entry) for index, entry in enumerate(found) if alike(entry, stanza)), None)
        if own is not None:
            text = (
                f"is taken for ours by its path and verbs, but the settings say {stanza.url_prefix}; see which is true"
            )
            yield Remark("warning", own[1].line, f"extenders[{own[0]}].urlPrefix", text)
    yield from _binders(found, own[1] if own else None)
    for index, entry in enumerate(found):
        yield from _unknown_fields(index, entry)
    yield from leader_election(root)
    yield from connection(root)
    if own is None:
        node = root.find("extenders") or root
        text = "Spotmix is not among them, so it is never asked; `spotmix scheduler-config inject` adds it"
        yield Remark("error", node.line, "extenders", text)
        return
    index, entry = own
    for other_index, other in enumerate(found):
        if other_index != index and alike(other, stanza):
            text = (
                f"looks like ours too, beside extenders[{index}]; where it is, remove it: both are asked about each pod"
            )
            yield Remark("warning", other.line, f"extenders[{other_index}]", text)
    path = f"extenders[{index}]"
    yield from _verbs(entry, path, stanza.weight)
    yield from _weight(root, entry, path)
    yield from _transport(entry, path)
    yield from _availability(entry, path)
    yield from sample(root)
    yield from own_pods(root, _flag(entry, "ignorable"), own_scheduler_name)


def _line(entry: YamlNode, field: str) -> int:
    node = entry.find(field)
    return (node or entry).line


def _flag(entry: YamlNode, field: str) -> bool:
    node = entry.find(field)
    return node is not None and node.scalar is True


def _binders(found: list[YamlNode], own: YamlNode | None) -> Iterator[Remark]:
    binders = [(index, entry) for index, entry in enumerate(found) if text_of(entry, "bindVerb")]
    for index, entry in binders[1:]:
        text = f"is one more binder beside extenders[{binders[0][0]}]; kube-scheduler refuses to start with two"
        yield Remark("error", _line(entry, "bindVerb"), f"extenders[{index}].bindVerb", text)
    for index, entry in binders:
        if entry is own:
            text = "Spotmix binds no pods and answers 404, so no pod is ever bound; remove the line"
            yield Remark("error", _line(entry, "bindVerb"), f"extenders[{index}].bindVerb", text)
        elif own is not None:
            text = "another extender binds pods; it has to bind to the node it is given, or the split is lost"
            yield Remark("warning", _line(entry, "bindVerb"), f"extenders[{index}].bindVerb", text)


def _unknown_fields(index: int, entry: YamlNode) -> Iterator[Remark]:
    unknown = [key for key, _ in entry.pairs if key.target.value not in FIELDS and key.target.value != "<<"]
    for key in unknown[:MAX_UNKNOWN]:
        name = key.target.value[:60]
        near = difflib.get_close_matches(name, FIELDS, 1, 0.7)
        near = near or [field for field in FIELDS if field.lower() == name.lower()]
        fix = f"did you mean {near[0]}?" if near else "remove it, unless your Kubernetes is newer than 1.37"
        text = f"is no field of an extender, and kube-scheduler refuses what it does not know; {fix}"
        yield Remark("error" if near else "warning", key.line, f"extenders[{index}].{name}", text)


def _verbs(entry: YamlNode, path: str, weight: int) -> Iterator[Remark]:
    if not text_of(entry, "filterVerb"):
        text = (
            "is missing, so Spotmix decides nothing: the class of a pod is chosen in filter; write filterVerb: filter"
        )
        yield Remark("error", _line(entry, "filterVerb"), f"{path}.filterVerb", text)
    if weight and not text_of(entry, "prioritizeVerb"):
        text = (
            f"is missing though schedulerConfig.weight is {weight}: classes are kept, but pods are not spread over "
            "spot pools; write prioritizeVerb: prioritize, or set that weight to 0"
        )
        yield Remark("warning", _line(entry, "prioritizeVerb"), f"{path}.prioritizeVerb", text)
    elif not weight and text_of(entry, "prioritizeVerb"):
        text = (
            "costs a request for each pod and changes nothing: schedulerConfig.weight is 0, with which filter leaves "
            "the best nodes alone; remove it and weight"
        )
        yield Remark("info", _line(entry, "prioritizeVerb"), f"{path}.prioritizeVerb", text)
    if text_of(entry, "preemptVerb"):
        text = "Spotmix has no say in preemption and answers 404, which makes preemption fail; remove the line"
        yield Remark("error", _line(entry, "preemptVerb"), f"{path}.preemptVerb", text)
    resources = entry.find("managedResources")
    if resources is not None and resources.items:
        text = (
            "Spotmix is asked only about pods that request one of these resources, all others go unsteered; remove it"
        )
        yield Remark("error", resources.line, f"{path}.managedResources", text)
    if not _flag(entry, "nodeCacheCapable"):
        said = "is false" if entry.find("nodeCacheCapable") else "is missing, which is false"
        text = f"{said}: every node then looks empty to the scheduler's own scoring, of all pods; write true"
        yield Remark("error", _line(entry, "nodeCacheCapable"), f"{path}.nodeCacheCapable", text)


def _weight(root: YamlNode, entry: YamlNode, path: str) -> Iterator[Remark]:
    if not text_of(entry, "prioritizeVerb"):
        return
    node = entry.find("weight")
    scalar = node.scalar if node is not None else None
    weight = int(scalar) if isinstance(scalar, int | float) else 0
    line, field = _line(entry, "weight"), f"{path}.weight"
    if weight <= 0:
        text = f"is {weight if node else 'missing'} though prioritizeVerb is set; kube-scheduler refuses that; write 15"
        yield Remark("error", line, field, text)
        return
    plain, claims = in_tree_scores(root)
    reach = weight * MAX_SCORE * 10
    if reach <= plain:
        least = plain // (MAX_SCORE * 10) + 1
        text = (
            f"is {weight}: {reach} points against up to {plain} of the plugins; write {least} or more to outweigh them"
        )
        yield Remark("warning", line, field, text)
    elif reach <= claims:
        text = f"is {weight}: {reach} points, but up to {claims} of the plugins for pods with resource claims"
        yield Remark("info", line, field, text)


def _transport(entry: YamlNode, path: str) -> Iterator[Remark]:
    scheme = text_of(entry, "urlPrefix").partition("://")[0].lower()
    enabled, tls = _flag(entry, "enableHTTPS"), entry.find("tlsConfig")
    line, field = _line(entry, "enableHTTPS"), f"{path}.enableHTTPS"
    verified = tls is not None and any(text_of(tls, key) for key in ("caFile", "caData"))
    if scheme not in ("http", "https"):
        text = "is no http:// or https:// address, so that no request arrives; write one, such as http://host:8888/scheduler"
        yield Remark("error", _line(entry, "urlPrefix"), f"{path}.urlPrefix", text)
    if enabled and scheme == "http":
        text = "does not make http:// encrypted, the address alone says how we are reached; write https:// in urlPrefix"
        yield Remark("error", line, field, text)
    insecure = tls is not None and _flag(tls, "insecure")
    if insecure and verified:
        text = "kube-scheduler refuses to start with both insecure and a CA; remove insecure"
        yield Remark("error", _line(entry, "tlsConfig"), f"{path}.tlsConfig.insecure", text)
    elif insecure or (enabled and not verified):
        text = "whoever answers at that address is believed: no certificate is verified; set tlsConfig.caFile or caData"
        yield Remark("error", line, field, text)
    elif scheme == "https" and not verified:
        text = "is off and there is no CA: the authorities of the scheduler's own system are used; set caFile or caData"
        yield Remark("info", line, field, text)
    if tls is not None and bool(_pair_half(tls, "cert")) != bool(_pair_half(tls, "key")):
        text = "has only one of client certificate and key, so that none is shown; give both or neither"
        yield Remark("warning", tls.line, f"{path}.tlsConfig", text)


def _pair_half(tls: YamlNode, which: str) -> str:
    return text_of(tls, f"{which}Data") or text_of(tls, f"{which}File")


def _availability(entry: YamlNode, path: str) -> Iterator[Remark]:
    seconds = go_seconds(text_of(entry, "httpTimeout") or "0")
    line, field = _line(entry, "httpTimeout"), f"{path}.httpTimeout"
    if not seconds:
        yield Remark("warning", line, field, "is 0 or missing, which means 5 s; write what you mean, such as 5s")
    elif seconds < SHORT_SECONDS:
        text = f"is {seconds:g} s: a slow answer fails the pod's attempt, or its scoring in silence; write 1s to 30s"
        yield Remark("warning", line, field, text)
    elif seconds > LONG_SECONDS:
        text = f"is {seconds:g} s: while Spotmix hangs no pod at all is scheduled, one waits at a time; write 1s to 30s"
        yield Remark("warning", line, field, text)
    if _flag(entry, "ignorable"):
        text = "is true: while Spotmix is away pods are placed at once, but anywhere, and stay there"
    else:
        text = "is false: while Spotmix is away no pod of this scheduler is placed; splits stay exact"
    yield Remark("info", _line(entry, "ignorable"), f"{path}.ignorable", text)
