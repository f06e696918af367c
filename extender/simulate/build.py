"""From a scenario to a virtual cluster, and the course of its events."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from extender.core.drift.rules import DriftOptions
from extender.core.model.errors import ConfigError, WireError
from extender.core.model.objects import Owner
from extender.core.model.policies import PlacementPolicy
from extender.core.model.selectors import LabelSelector
from extender.core.policy.advice import examine
from extender.core.policy.policy import Layer
from extender.core.policy.values import parse_duration
from extender.settings import Settings, default_annotations
from extender.settings.rules import drift_rules, mutation_rules, rules_of
from extender.simulate.api import PodTemplate
from extender.simulate.autoscaler import AutoscalerOptions
from extender.simulate.budgets import BudgetSpec, parse_amount
from extender.simulate.cluster import Cluster, Options, WorkloadSpec
from extender.simulate.machines import PoolSpec
from extender.simulate.policies import absent, policy_of, title_of
from extender.simulate.scenario import (
    BudgetPart,
    ClassPart,
    DeleteAct,
    EventPart,
    PolicyPart,
    PoolPart,
    Reclaim,
    Replacement,
    Scenario,
    WorkloadPart,
    parse_share,
)
from extender.simulate.scheduler import SchedulerOptions
from extender.simulate.snapshot import Snapshot
from extender.simulate.spotmix import SpotmixOptions
from extender.wire.kube_v1 import RawTaint
from extender.wire.objects_v1 import Decoders, under

CLASS_LABEL = "capacity-class"
NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_TYPE, ZONE = "node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"
MAX_PODS = 110
MAX_NOTES = 20


class Built(Struct, frozen=True):
    """A cluster that is up, with what was noticed about the policies; times in seconds.

    `workloads` are the UIDs by the name that the scenario gives, those of all copies.
    """

    cluster: Cluster
    scenario: Scenario
    workloads: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def build(
    scenario: Scenario,
    settings: Settings,
    origin: str,
    *,
    seed: int,
    snapshot: Snapshot | None = None,
    stock: bool = False,
) -> Built:
    """Put a cluster together and plan its events.

    Args:
        scenario: what to simulate.
        settings: the configuration of Spotmix.
        origin: what errors call the scenario.
        seed: of all randomness.
        snapshot: a cluster to begin with.
        stock: whether to leave Spotmix out.

    Raises:
        ConfigError: parts of the scenario do not fit together.
    """
    return _Builder(scenario, settings, origin, snapshot).build(seed, stock=stock)


class _Builder:
    def __init__(self, scenario: Scenario, settings: Settings, origin: str, snapshot: Snapshot | None) -> None:
        self.scenario = scenario
        self.settings = settings
        self.origin = origin
        self.snapshot = snapshot
        rules = rules_of(settings)
        # Where an autoscaler is seen the webhook has classes written on pods.
        self.rules = msgspec.structs.replace(rules, gates=True) if scenario.autoscaler is not None else rules
        self.pods = Decoders(settings.classes, settings.policy.prefixes).make("pods", "v1", "Pod")
        self.prefixes = tuple(f"{prefix}/" for prefix in settings.policy.prefixes)

    def build(self, seed: int, *, stock: bool) -> Built:
        scenario, snapshot = self.scenario, self.snapshot
        extender, scale_in = self.settings.extender, self.settings.scale_in
        weight = self.settings.scheduler_config.weight
        spotmix = SpotmixOptions(
            lag=parse_duration(scenario.watch_lag),
            owner_wait=parse_duration(extender.owner_wait),
            reservation_ttl=parse_duration(extender.reservation_ttl),
            half_life=parse_duration(extender.interruption_half_life),
            max_candidates=extender.max_candidates,
            best=not weight,
            deletion_cost=scale_in.deletion_cost,
            settle=parse_duration(scale_in.settle),
            mutation=mutation_rules(self.settings),
            webhook=self.settings.webhook.enabled,
            node_startup=parse_duration(self.settings.placement.node_startup),
            replaces=self.settings.placement.replace_pending,
        )
        start = snapshot.taken if snapshot is not None else scenario.start.timestamp()
        drift = self.settings.drift
        options = Options(
            self.rules,
            self.settings.classes,
            None if stock else spotmix,
            drift=DriftOptions(drift_rules(drift), parse_duration(drift.interval)) if drift.enabled else None,
            autoscaler=self._autoscaler(),
            scheduler=SchedulerOptions(weight=weight),
            start=start,
        )
        cluster = Cluster(self._pools(), options, Random(seed))
        if snapshot is not None:
            snapshot.adopt(cluster)
        for name, namespace in scenario.namespaces.items():
            labels, annotations = under(self.prefixes, namespace.labels), under(self.prefixes, namespace.annotations)
            cluster.add_namespace(name, labels, annotations, namespace.labels)
        workloads = dict(snapshot.workloads) if snapshot is not None else {}
        for number, part_of_policy in enumerate(scenario.policies):
            cluster.api.apply_policy(self._policy(part_of_policy, f"policies[{number}]"))
        cluster.start()
        for part in scenario.workloads:
            workloads[part.name] = self._add(cluster, part)
        for number, budget in enumerate(scenario.pdbs):
            self._budget(cluster, budget, workloads, number)
        self._check_size(cluster)
        built = Built(cluster, scenario, workloads, (*self._notes(cluster), *(snapshot.notes if snapshot else ())))
        for number, event in enumerate(scenario.events):
            self._plan(built, event, f"events[{number}]")
        return built

    def _fail(self, text: str) -> ConfigError:
        return ConfigError(f"{self.origin}: {text}")

    # Pools

    def _autoscaler(self) -> AutoscalerOptions | None:
        part = self.scenario.autoscaler
        if part is None:
            grown = next((pool.name for pool in self.scenario.pools if pool.max), None)
            if grown is not None:
                raise self._fail(f"pool {grown} has a max, and there is no autoscaler; add `autoscaler: {{}}`")
            return None
        return AutoscalerOptions(launch=parse_duration(part.launch), empty=parse_duration(part.empty))

    def _pools(self) -> Iterable[PoolSpec]:
        given = {self._key(part): self._pool(part, number) for number, part in enumerate(self.scenario.pools)}
        seen = self.snapshot.pools if self.snapshot is not None else {}
        for key, spec in seen.items():
            own = given.pop(key, None)
            if own is not None:
                # Its nodes are as they are; the scenario says how many, what they cost and how they end.
                yield msgspec.structs.replace(own, labels=spec.labels, allocatable=spec.allocatable, taints=spec.taints)
            else:
                yield self._completed(spec, self.scenario.classes.get(key[0], ClassPart()))
        yield from given.values()

    def _key(self, part: PoolPart) -> tuple[str, str, str]:
        return (part.capacity_class, part.instance_type or part.name, part.zone)

    def _pool(self, part: PoolPart, number: int) -> PoolSpec:
        prefix = self.settings.policy.prefixes[0]
        labels = {
            f"{prefix}/{CLASS_LABEL}": part.capacity_class,
            INSTANCE_TYPE: part.instance_type or part.name,
            ZONE: part.zone,
            **part.labels,
        }
        known = self.settings.classes.class_of(labels)
        if known != part.capacity_class:
            raise self._fail(
                f"pools[{number}] ({part.name}): class is {part.capacity_class!r}, but the labels say {known!r}; "
                "write spot or on-demand, or add a rule under settings.classes.extraRules"
            )
        taints = []
        for text in part.taints:
            pair, _, effect = text.rpartition(":")
            key, _, value = pair.partition("=")
            taints.append(RawTaint(key, effect, value))
        spec = PoolSpec(
            part.name,
            labels,
            {"pods": MAX_PODS, **part.node},
            part.size,
            taints=tuple(taints),
            refused=part.refused,
            most=part.max,
        )
        common = self.scenario.classes.get(part.capacity_class, ClassPart())
        return self._completed(
            spec,
            ClassPart(
                part.price if part.price is not None else common.price,
                part.reclaim or common.reclaim,
                part.replacement or common.replacement,
            ),
        )

    def _completed(self, spec: PoolSpec, common: ClassPart) -> PoolSpec:
        reclaim, replacement = common.reclaim or Reclaim(), common.replacement or Replacement()
        return msgspec.structs.replace(
            spec,
            price=common.price or 0.0,
            rate=parse_share("perHour", reclaim.per_hour),
            notice=parse_duration(reclaim.notice),
            delay=(parse_duration(replacement.min), parse_duration(replacement.mean)),
        )

    def _check_size(self, cluster: Cluster) -> None:
        if not cluster.api.nodes and cluster.autoscaler is None:
            raise self._fail("there are no nodes; add pools, or begin with a snapshot")
        if not cluster.api.owners:
            raise self._fail("there are no workloads; add some, or begin with a snapshot")

    # Workloads

    def _template(self, part: WorkloadPart, name: str) -> PodTemplate:
        spec = part.template or {"spec": {"containers": [{"resources": {"requests": part.requests}}]}}
        metadata = spec.get("metadata") or {}
        labels = {NAME_LABEL: name, **(metadata.get("labels") or {})}
        raw = {
            "metadata": {**metadata, "uid": "t", "namespace": part.namespace, "labels": labels},
            "spec": spec.get("spec"),
        }
        try:
            pod: Any = self.pods.page(msgspec.json.encode({"items": [raw]})).objects[0]
        except WireError as error:
            raise self._fail(f"workload {part.name}: template: {error.__cause__}") from error
        grace = (spec.get("spec") or {}).get("terminationGracePeriodSeconds")
        return PodTemplate(
            pod.requests,
            tuple(sorted(labels.items())),
            pod.constraints,
            pod.protection,
            pod.gates,
            start=parse_duration(part.startup),
            stop=parse_duration(part.shutdown),
            grace=float(grace) if isinstance(grace, int) else 30.0,
            run=parse_duration(part.run) if part.kind == "Job" else 0.0,
        )

    def _add(self, cluster: Cluster, part: WorkloadPart) -> tuple[str, ...]:
        names = [part.name] if part.copies == 1 else [f"{part.name}-{number}" for number in range(part.copies)]
        return tuple(
            cluster.add_workload(
                WorkloadSpec(
                    part.kind,
                    part.namespace,
                    name,
                    part.replicas,
                    self._template(part, name),
                    under(self.prefixes, part.labels),
                    under(self.prefixes, part.annotations),
                    part.completions,
                    part.labels,
                )
            )
            for name in names
        )

    def _named(self, workloads: Mapping[str, tuple[str, ...]], name: str, where: str) -> tuple[str, ...]:
        found = workloads.get(name)
        if found is None:
            raise self._fail(f"{where}: there is no workload {name!r}{_nearest(name, workloads)}")
        return found

    def _budget(
        self, cluster: Cluster, part: BudgetPart, workloads: Mapping[str, tuple[str, ...]], number: int
    ) -> None:
        spec = BudgetSpec(parse_amount(part.min_available), parse_amount(part.max_unavailable))
        for uid in self._named(workloads, part.workload, f"pdbs[{number}]"):
            owner = cluster.owner(uid)
            labels = dict(cluster.controllers.templates[uid].labels)
            # The labels of a snapshot's pods are theirs; a scenario's have the workload's name.
            labels = {NAME_LABEL: labels[NAME_LABEL]} if NAME_LABEL in labels else labels
            selector = LabelSelector(tuple(sorted(labels.items())))
            cluster.add_budget(owner.namespace, f"pdb-{number}-{owner.name}", selector, spec)

    # Policies

    def _notes(self, cluster: Cluster) -> Iterable[str]:
        defaults = Layer("settings policy.defaults", default_annotations(self.settings))
        texts: dict[str, None] = {}
        for thing in cluster.truth.state.workloads.objects.by_uid.values():
            said = (*thing.unbuilt, *(f"{each.key}={each.value!r} {each.fault}; {each.fix}" for each in thing.problems))
            texts.update(dict.fromkeys(f"{thing.policy.title}: {text}" for text in said))
        for owner in cluster.api.owners.values():
            if isinstance(owner, Owner) and owner.owner is None:
                namespace = cluster.api.namespaces.get(owner.namespace)
                matching = cluster.truth.state.workloads.matching(owner)
                found = examine(owner, namespace, defaults, self.rules, matching)
                texts.update(dict.fromkeys(each.text for each in found))
        notes = list(texts)
        if len(notes) > MAX_NOTES:
            notes[MAX_NOTES:] = [f"and {len(notes) - MAX_NOTES} more"]
        return notes

    def _policy(self, part: PolicyPart, where: str) -> PlacementPolicy:
        try:
            return policy_of(part)
        except (ValueError, WireError) as error:
            raise self._fail(f"{where}: {error}") from error

    def _delete(self, cluster: Cluster, act: DeleteAct, where: str) -> Callable[[], None]:
        title = title_of(act)
        coming = (self._policy(each.apply, where) for each in self.scenario.events if each.apply is not None)
        known = {each.title: each for each in (*cluster.api.policies.values(), *coming)}
        if title not in known:
            raise self._fail(f"{where}.delete: {absent(title, known)}")
        return lambda: cluster.delete_policy(title)

    # Events

    def _plan(self, built: Built, part: EventPart, where: str) -> None:
        for call in self._calls(built, part, where):
            built.cluster.later(parse_duration(self.scenario.warm_up) + parse_duration(part.at), call)

    def _calls(self, built: Built, part: EventPart, where: str) -> Iterable[Callable[[], None]]:
        cluster = built.cluster
        if part.lose is not None:
            pool = cluster.pools.get(part.lose.pool)
            if pool is None:
                name = part.lose.pool
                raise self._fail(f"{where}.lose: there is no pool {name!r}{_nearest(name, cluster.pools)}")
            seconds, notice = parse_duration(part.lose.duration), parse_duration(part.lose.notice)
            return [lambda: pool.lose(seconds, notice)]
        if part.refuse is not None:
            autoscaler, name = cluster.autoscaler, part.refuse.capacity_class
            if autoscaler is None:
                raise self._fail(f"{where}.refuse: there is no autoscaler; add `autoscaler: {{}}`")
            classes = dict.fromkeys(pool.capacity_class for pool in cluster.pools.values())
            if name not in classes:
                raise self._fail(f"{where}.refuse: there is no pool of class {name!r}{_nearest(name, classes)}")
            refused = parse_duration(part.refuse.duration)
            return [lambda: autoscaler.refuse(name, refused)]
        if part.apply is not None:
            policy = self._policy(part.apply, f"{where}.apply")
            return [lambda: cluster.api.apply_policy(policy)]
        if part.delete is not None:
            return [self._delete(cluster, part.delete, where)]
        if part.scale is not None:
            replicas = part.scale.replicas
            return [
                lambda uid=uid: cluster.scale(uid, replicas)  # type: ignore[misc]
                for uid in self._named(built.workloads, part.scale.workload, f"{where}.scale")
            ]
        if part.annotate is not None:
            annotations = part.annotate.annotations
            return [
                lambda uid=uid: cluster.annotate(uid, annotations)  # type: ignore[misc]
                for uid in self._named(built.workloads, part.annotate.workload, f"{where}.annotate")
            ]
        return [
            lambda uid=uid: cluster.controllers.roll_out(uid)  # type: ignore[misc]
            for uid in self._named(built.workloads, part.roll_out or "", f"{where}.rollOut")
        ]


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
