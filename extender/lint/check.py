"""What would be said of a set of manifests when they are applied, by the API server, the webhook and a policy's status.

Nothing is judged here that is not judged there too: `schema` has what the API server says, `core.policy.objects` what a
policy object can have, `core.policy.advice` what the webhook says. What only a cluster knows is not told of:
Namespaces, workloads and policies that are not among the manifests.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from extender.core.model.errors import WireError
from extender.core.model.objects import Namespace
from extender.core.model.policies import GROUP, VERSION
from extender.core.policy.advice import examine
from extender.core.policy.matching import NOTHING
from extender.core.policy.objects import PolicyObject
from extender.core.policy.owners import NEVER_MANAGED
from extender.core.policy.policy import Problem, find_key
from extender.core.policy.rules import PolicyRules
from extender.core.policy.shortfall import alone, shortfall
from extender.core.policy.workloads import Workloads
from extender.lint.documents import Document, documents
from extender.lint.findings import ERROR, REFUSED, SHOWN, WARNING, Finding, LintReport, Spoken
from extender.lint.manifests import NAME, Thing, says, things
from extender.lint.schema import Flaw, Path, Schema, flaws, named, path_of, unknown_field
from extender.wire.placementpolicy_v1 import RawPlacementPolicy, to_placement_policy

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_FIELD = re.compile(r"spec[\w.\[\]]*")
LONGEST = 253
"""Characters of a name."""


def definitions() -> Mapping[str, Schema]:
    """The schema of `spec` of each kind of policies."""
    found: Mapping[str, Schema] = json.loads((files("extender.lint") / "definitions.json").read_text())
    return found


def check(texts: Iterable[tuple[str, str]], rules: PolicyRules, namespace: str = "default") -> LintReport:
    """Check manifests that are applied together.

    Args:
        texts: each with the name of its file.
        rules: how policies are read.
        namespace: that objects are in which do not say.

    Raises:
        WireError: a text is neither YAML nor JSON; it names file and line.
    """
    checker = _Checker(rules)
    for file, text in texts:
        try:
            checker.take(file, documents(text), namespace)
        except WireError as error:
            raise WireError(f"{file}: {error}") from error
    return checker.report()


class _Checker:
    """Collects objects, then what is to be said of each."""

    def __init__(self, rules: PolicyRules) -> None:
        self.rules = rules
        self.things: list[Thing] = []
        self.findings: list[Finding] = []
        self.known = Workloads(rules)
        self._schemas = definitions()
        self._prefixes = tuple(f"{prefix}/" for prefix in rules.prefixes)
        self._given: dict[str, Namespace] = {}
        self._files: list[str] = []

    def take(self, file: str, found: Iterable[Document], namespace: str) -> None:
        """Take in the documents of a file."""
        self._files.append(file)
        for each in things(file, found, namespace):
            if isinstance(each, Document):
                self._no_object(file, each)
            else:
                self.things.append(each)

    def _no_object(self, file: str, document: Document) -> None:
        fault = "has no apiVersion and kind, so that it is no object of Kubernetes and is passed over"
        self.findings.append(
            Finding(WARNING, file, document.number, document.line, "", f"document {document.number}", "", fault)
        )

    def report(self) -> LintReport:
        spaces = [each for each in self.things if each.is_namespace]
        policies = [each for each in self.things if each.is_policy]
        workloads = [each for each in self.things if each.is_workload and not each.is_controlled]
        for space in spaces:
            self._given[space.name] = space.as_namespace(self._prefixes)
        for name in {each.namespace for each in workloads}:
            # Of one that is not here the name alone is known.
            unknown = Namespace(f"/Namespace {name}", name, {}, {}, {NAME: name})
            self.known.upsert_namespace(self._given.get(name, unknown))
        for policy in policies:
            self._policy(policy)
        for each in self.things:
            if not each.is_policy:
                self._strings(each)
        for space in spaces:
            found = examine(self._given[space.name], None, self.known.default_layer, self.rules)
            self._problems(space, found)
        for workload in workloads:
            self._workload(workload)
        self._no_workloads()
        spoken = tuple(self._spoken(policies, workloads))
        self.findings.sort(key=lambda each: (self._files.index(each.file), each.document, each.line))
        return LintReport(tuple(dict.fromkeys(self.findings)), len(self.things), len(workloads), spoken)

    def _tell(self, severity: str, thing: Thing, path: Path, *said: str, value: Any = None) -> None:
        shown = "" if value is None or isinstance(value, dict | list) else repr(value)
        shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
        place = thing.file, thing.document, thing.line_of(path)
        field = str(path[-1]) if path[:1] == ("metadata",) and len(path) == 3 else named(path)
        self.findings.append(Finding(severity, *place, thing.title, field, shown, *said))

    # Policies

    def _policy(self, thing: Thing) -> None:
        schema = self._schemas.get(thing.kind)
        if schema is None:
            fix = f"kinds of {GROUP} are {', '.join(self._schemas)}"
            self._tell(ERROR, thing, ("kind",), f"{REFUSED}there is no such kind", fix, value=thing.kind)
            return
        if thing.api_version != f"{GROUP}/{VERSION}":
            fix = f"write {GROUP}/{VERSION}"
            self._tell(
                ERROR, thing, ("apiVersion",), f"{REFUSED}there is no such version", fix, value=thing.api_version
            )
            return
        wrong = [*self._outer(thing), *self._spec(thing, schema)]
        for each in wrong:
            self._tell(ERROR, thing, each.path, f"{REFUSED}{each.text}", each.fix, value=each.value)
        if not wrong:
            self._take(thing)

    def _outer(self, thing: Thing) -> Iterator[Flaw]:
        """What is wrong with an object beside its spec."""
        for key, value in thing.value.items():
            if key not in _TOP:
                yield unknown_field((key,), value, _TOP)
        name: Any = thing.metadata.get("name")
        if name is None and not thing.metadata.get("generateName"):
            yield Flaw(("metadata", "name"), None, "Required value: name or generateName is required", "add a name")
        elif name is not None and not (isinstance(name, str) and len(name) <= LONGEST and _NAME.fullmatch(name)):
            fix = "write lower case letters, digits, - and ., such as web"
            yield Flaw(("metadata", "name"), name, "Invalid value: no name of an object", fix)
        for field in ("labels", "annotations"):
            texts = thing.metadata.get(field)
            for key, value in texts.items() if isinstance(texts, dict) else ():
                if not isinstance(value, str):
                    yield Flaw(("metadata", field, key), value, "not a text", "write it in quotes")

    @staticmethod
    def _spec(thing: Thing, schema: Schema) -> Iterable[Flaw]:
        spec = thing.value.get("spec")
        if spec is None:
            return [Flaw(("spec",), None, "Required value", "add a spec")]
        return flaws(schema, spec, ("spec",))

    def _take(self, thing: Thing) -> None:
        """Take in a policy that the API server takes, and tell what its status would say."""
        metadata = {"uid": thing.uid, "name": thing.name, "namespace": thing.namespace}
        body = msgspec.json.encode({"metadata": metadata, "spec": thing.value["spec"]})
        self.known.put_policy(to_placement_policy(msgspec.json.decode(body, type=RawPlacementPolicy)))
        found = self.known.objects.by_uid[thing.uid]
        for sentence in found.unbuilt:
            match = _FIELD.match(sentence)
            path = path_of(match[0]) if match else ("spec",)
            fault, _, fix = sentence.partition("; ")
            # The sentence names field and value: they stand before it anyway.
            rest = re.sub(rf"^{_FIELD.pattern}(=\S+)?\s*", "", fault)
            self._tell(ERROR, thing, path, f"{rest}, so that the policy does not act at all", fix, value=thing.at(path))
        self._problems(thing, found.problems)

    # Workloads and namespaces

    def _problems(self, thing: Thing, problems: Iterable[Problem]) -> None:
        for each in problems:
            path = path_of(each.key) if each.key.startswith("spec.") else thing.path_of_key(each.key)
            self._tell(WARNING if each.warning else ERROR, thing, path, each.fault, each.fix, value=each.value)

    def _strings(self, thing: Thing) -> None:
        """Labels and annotations of ours that are no texts: the API server takes none of the object then."""
        for field in ("labels", "annotations"):
            values = thing.metadata.get(field)
            for key, value in values.items() if isinstance(values, dict) else ():
                if key.startswith(self._prefixes) and not isinstance(value, str):
                    seen = json.dumps(value)
                    fault = f"{REFUSED}a label or annotation is a text"
                    self._tell(ERROR, thing, ("metadata", field, key), fault, f"write '{seen}' in quotes", value=value)

    def _workload(self, thing: Thing) -> None:
        if self.rules.outside(thing.namespace, None) is not None:
            return
        owner = thing.owner(self._prefixes)
        self.known.upsert_owner(owner)
        matching = self.known.matching(owner)
        space = self._given.get(thing.namespace)
        self._problems(thing, examine(owner, space, self.known.default_layer, self.rules, matching or NOTHING))
        self._out_of_reach(thing)
        for path in thing.on_pods():
            if says(str(path[-1]), self.rules.prefixes):
                fault = "has no effect on the template of pods"
                self._tell(
                    WARNING, thing, path, fault, f"write it under metadata.{path[-2]} of the {thing.kind} itself"
                )

    def _out_of_reach(self, thing: Thing) -> None:
        """Where others say what gives a workload no spot at its size: of itself `examine` says so."""
        workload, owner = self.known.by_uid.get(thing.uid), self.known.owners[thing.uid]
        found = shortfall(workload.policy, owner.replicas) if workload is not None and workload.parsed.valid else None
        if found is None:
            return
        layers = [*(layer for layer, _ in self.known.layers(owner)), self.known.default_layer]
        sources = {key: find_key(layers, self.rules.prefixes, key) for key, _ in found.keys}
        if any(each is not None and each[0].source == thing.title for each in sources.values()):
            return
        key = found.keys[0][0]
        said = sources[key]
        by = f"{said[0].source} {said[1]}={said[2]}" if said is not None else key
        path: Path = ("spec", "replicas")
        fault = f"is too few: {by} {found.of(key)}"
        fix = found.consequence if found.first is None else alone(thing.kind)
        self._tell(WARNING, thing, path, fault, fix, value=owner.replicas)

    def _no_workloads(self) -> None:
        """Keys of a policy on what has no pods of its own to place."""
        for thing in self.things:
            if thing.is_workload or thing.is_namespace or thing.is_policy or thing.is_controlled:
                continue
            never = thing.kind in (*NEVER_MANAGED, "Pod")
            if not never and thing.group not in ("", "apps", "batch"):
                continue
            why = f"pods of a {thing.kind} are" if thing.kind != "Pod" else "a pod without a controller is"
            fault = f"has no effect: {why} never managed" if never else f"has no effect on a {thing.kind}"
            for field in ("labels", "annotations"):
                for key, value in thing.texts(field).items():
                    if says(key, self.rules.prefixes):
                        path = ("metadata", field, key)
                        self._tell(WARNING, thing, path, fault, "write it on the workload, or remove it", value=value)

    # Who speaks for whom

    def _spoken(self, policies: Sequence[Thing], workloads: Sequence[Thing]) -> Iterator[Spoken]:
        speaks: dict[str, list[str]] = {each.uid: [] for each in policies}
        loses: dict[str, dict[str, str]] = {each.uid: {} for each in policies}
        ties: set[tuple[str, str]] = set()
        for workload in workloads:
            if workload.uid not in self.known.by_uid:
                continue
            matching = self.known.matching(self.known.owners[workload.uid])
            for level in (matching.own, matching.cluster):
                for number, each in enumerate(level):
                    if not number:
                        speaks[each.policy.uid].append(workload.title)
                        continue
                    loses[each.policy.uid][workload.title] = level[0].policy.title
                    pair = (each.policy.uid, level[0].policy.uid)
                    if each.policy.priority == level[0].policy.priority and pair not in ties:
                        ties.add(pair)
                        self._tie(policies, level[0], each, workload)
        for policy in policies:
            found = self.known.objects.by_uid.get(policy.uid)
            if found is not None and found.acts:
                yield Spoken(policy.title, tuple(speaks[policy.uid]), loses[policy.uid])

    def _tie(self, policies: Sequence[Thing], first: PolicyObject, second: PolicyObject, workload: Thing) -> None:
        thing = next(each for each in policies if each.uid == second.policy.uid)
        fault = f"is that of {first.policy.title}, and both match {workload.title}: the one that is older will win"
        fix = "give one of them a higher priority"
        self._tell(WARNING, thing, ("spec", "priority"), fault, fix, value=second.policy.priority)
