"""What the webhook writes into a pod: its scheduler, tolerations, and preference for a class."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, keys, make_node, make_owner, make_view

from extender.core.admission.mutate import Draft, Mutation, MutationRules, Mutator
from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.objects import EMPTY, Namespace, OwnerRef
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint, Toleration
from extender.core.placement.tolerations import SPOT_TOLERATIONS, parse_taint
from extender.core.policy.managed import Managed
from extender.core.policy.policy import Layer, parse_policy
from extender.core.policy.rules import PolicyRules
from extender.core.policy.stand_ins import may_run_on

RULES = MutationRules()
LABEL = "karpenter.sh/capacity-type"
EKS = "eks.amazonaws.com/capacityType"
DEFAULT = "default-scheduler"


def with_nodes(world: World, **taints: tuple[Taint, ...]) -> None:
    """A node of each class, labelled; `spot` and `on_demand` are their taints."""
    for name in (SPOT, ON_DEMAND):
        world.up(make_node(name, name, marks=((LABEL, name),), taints=taints.get(name.replace("-", "_"), ())))


@pytest.fixture
def world() -> World:
    world = World()
    with_nodes(world)
    return world


def ask(world: World, owner: OwnerRef, rules: MutationRules = RULES, name: str = "p", **draft: Any) -> Mutation:
    managed = world.state.workloads.resolve("shop", owner)
    assert isinstance(managed, Managed)
    return Mutator(world.state, rules).mutate(managed, Draft(make_view("", owner, name=name), **draft))


def prefers(mutation: Mutation) -> list[str]:
    return [value for term in mutation.preferences for requirement in term for value in requirement.values]


class TestScheduler:
    @pytest.mark.parametrize(
        ("workload", "namespace", "default", "present", "given"),
        [
            ("mine", None, "", DEFAULT, "mine"),
            ("mine", "theirs", "general", "", "mine"),
            (None, "theirs", "general", DEFAULT, "theirs"),
            (None, None, "general", DEFAULT, "general"),
            (None, None, "", DEFAULT, ""),
            # The pod's own word stands.
            ("mine", None, "", "other", ""),
            ("mine", None, "", "mine", ""),
            # A workload can ask for the default one.
            ("", "theirs", "general", DEFAULT, ""),
            (DEFAULT, "theirs", "general", DEFAULT, ""),
            # What is no name counts as not said.
            ("no name", None, "general", DEFAULT, "general"),
        ],
    )
    def test_the_most_specific_word_counts(  # noqa: PLR0917 - a row of the table
        self, world: World, workload: str | None, namespace: str | None, default: str, present: str, given: str
    ) -> None:
        said = keys(scheduler_name=namespace) if namespace is not None else EMPTY
        world.up(Namespace("ns", "shop", EMPTY, said))
        own: dict[str, Any] = {"scheduler_name": workload} if workload is not None else {}
        owner = world.deployment("web", 2, **own)
        rules = MutationRules(default_scheduler=default)
        assert ask(world, owner, rules, scheduler_name=present).scheduler_name == given

    def test_an_invalid_policy_does_not_lose_the_scheduler(self, world: World) -> None:
        owner = world.deployment("web", 2, spot_percentage="half", scheduler_name="mine")
        assert ask(world, owner).scheduler_name == "mine"


class TestTolerations:
    @pytest.mark.parametrize(
        ("policy", "allowed"),
        [
            ({"spot_percentage": 50}, True),
            ({"spot_percentage": 1, "min_on_demand": 100}, True),
            ({"spot_percentage": 0}, False),
            ({}, False),
            ({"spot_percentage": 50, "max_spot": 0}, False),
            ({"when_unsatisfiable": "any"}, True),
            ({"when_unsatisfiable": "wait"}, False),
            ({"spot_percentage": "most"}, False),
        ],
    )
    def test_where_spot_is_allowed(self, world: World, policy: Mapping[str, Any], allowed: bool) -> None:
        owner = world.deployment("web", 2, **policy)
        assert ask(world, owner).tolerations == (SPOT_TOLERATIONS if allowed else ())
        assert may_run_on(world.workload(owner).policy, ON_DEMAND)

    @pytest.mark.parametrize(
        "present",
        [
            Toleration(operator="Exists"),
            Toleration(operator="Exists", effect="NoSchedule"),
            Toleration(key="cloud.google.com/gke-spot", operator="Exists"),
            Toleration(key="cloud.google.com/gke-spot", operator="Equal", value="true"),
            SPOT_TOLERATIONS[0],
        ],
    )
    def test_what_is_tolerated_is_not_repeated(self, world: World, present: Toleration) -> None:
        owner = world.deployment("web", 2, spot_percentage=50)
        added = ask(world, owner, tolerations=(present,)).tolerations
        assert added == (() if not present.key else SPOT_TOLERATIONS[1:])

    def test_a_narrower_toleration_is_not_enough(self, world: World) -> None:
        owner = world.deployment("web", 2, spot_percentage=50)
        for present in (
            Toleration("scheduling.cast.ai/spot", "Equal", "true", "NoSchedule"),
            Toleration("scheduling.cast.ai/spot", "Exists", "", "NoExecute"),
        ):
            assert SPOT_TOLERATIONS[3] in ask(world, owner, tolerations=(present,)).tolerations

    def test_taints_seen_on_spot_nodes_if_they_say_spot(self) -> None:
        world = World()
        says_spot = (
            Taint(EKS, "SPOT", "NoSchedule"),
            Taint("cloud.google.com/gke-spot", "true", "NoExecute"),
            Taint("cheap", "very", "PreferNoSchedule"),
        )
        says_else = (
            Taint("dedicated", "db", "NoSchedule"),
            Taint("node.kubernetes.io/not-ready", "", "NoExecute"),
            Taint("eks.amazonaws.com/capacityType", "ON_DEMAND", "NoSchedule"),
        )
        with_nodes(world, spot=says_spot + says_else, on_demand=(Taint("scheduling.cast.ai/spot", "", "NoExecute"),))
        owner = world.deployment("web", 2, spot_percentage=50)
        extra = parse_taint("cheap:NoSchedule")
        world.state.workloads.go_by(PolicyRules(spot_tolerations=(extra,)))
        added = ask(world, owner).tolerations
        assert added[:6] == (*SPOT_TOLERATIONS, extra)
        assert set(added[6:]) == {Toleration(t.key, "Equal", t.value, t.effect) for t in says_spot}

    def test_taints_of_every_interruptible_class(self) -> None:
        rules = ClassRules(extra_rules=(ClassRule("tier", "cheap"),), interruptible=(SPOT, "cheap"))
        world = World(PolicyRules(classes=rules))
        taint = Taint("tier", "cheap", "NoSchedule")
        world.up(make_node("cheap-0", "cheap", interruptible=True, taints=(taint,)))
        owner = world.deployment("web", 2, classes="cheap weight=1", fallback_to="on-demand")
        added = ask(world, owner).tolerations
        assert added[-1] == Toleration("tier", "Equal", "cheap", "NoSchedule")
        alone = ClassRules(extra_rules=rules.extra_rules)
        world.state.workloads.go_by(PolicyRules(classes=alone))
        assert ask(world, owner).tolerations == ()

    def test_with_spot_as_the_default_class_no_taint_says_spot_by_itself(self) -> None:
        world = World()
        with_nodes(world, spot=(Taint("dedicated", "db", "NoSchedule"),))
        owner = world.deployment("web", 2, spot_percentage=50)
        world.state.workloads.go_by(PolicyRules(classes=ClassRules(default_class=SPOT)))
        assert ask(world, owner).tolerations == SPOT_TOLERATIONS

    def test_what_says_that_a_node_goes_away_is_never_tolerated(self) -> None:
        world = World()
        key = SPOT_TOLERATIONS[0].key
        classes = ClassRules(extra_going_away_taints=(key, "cheap"))
        with_nodes(world, spot=(Taint(key, "true", "NoExecute"), Taint("karpenter.sh/disrupted", "", "NoSchedule")))
        owner = world.deployment("web", 2, spot_percentage=50)
        cheap = (parse_taint("cheap:NoSchedule"),)
        world.state.workloads.go_by(PolicyRules(classes=classes, spot_tolerations=cheap))
        assert ask(world, owner).tolerations == SPOT_TOLERATIONS[1:]


class TestPreference:
    def test_towards_the_class_that_is_short(self, world: World) -> None:
        owner = world.deployment("web", 2, spot_percentage=50)
        mutation = ask(world, owner)
        assert mutation.preferences == ((Requirement(LABEL, "In", (ON_DEMAND,)),),)
        assert mutation.weight == 50
        world.up(world.place(owner, [SPOT, ON_DEMAND])[0])
        assert prefers(ask(world, owner)) == [SPOT]
        # Nothing was reserved by asking.
        assert prefers(ask(world, owner)) == [SPOT]

    def test_a_statefulsets_ordinal_has_its_seat(self, world: World) -> None:
        top = make_owner("StatefulSet", "db", 4, labels=ENABLED, annotations=keys(spot_percentage=50))
        world.up(top)
        assert [prefers(ask(world, top.ref, name=f"db-{n}")) for n in range(4)] == [[ON_DEMAND], [SPOT]] * 2

    @pytest.mark.parametrize(
        ("weight", "labels", "wanted"),
        [
            (0, set(), False),
            (1, set(), True),
            (50, {"kubernetes.io/arch"}, True),
            (50, {LABEL}, False),
            # The pod speaks of capacity, if in the words of a platform that is not here.
            (50, {"eks.amazonaws.com/capacityType", "kubernetes.io/arch"}, False),
        ],
    )
    def test_only_where_the_pod_says_nothing(self, world: World, weight: int, labels: set[str], wanted: bool) -> None:
        owner = world.deployment("web", 2, spot_percentage=50)
        mutation = ask(world, owner, MutationRules(weight=weight), node_labels=frozenset(labels))
        assert (bool(mutation.preferences), mutation.weight) == (wanted, weight if wanted else 0)


def test_what_is_kept_follows_the_nodes(world: World) -> None:
    owner = world.deployment("web", 2, spot_percentage=100)
    managed = world.state.workloads.resolve("shop", owner)
    assert isinstance(managed, Managed)
    mutator, draft = Mutator(world.state, RULES), Draft(make_view("", owner))
    first = mutator.mutate(managed, draft)
    assert mutator.mutate(managed, draft) == first
    tainted = Taint(EKS, "SPOT", "NoSchedule")
    world.up(make_node(SPOT, SPOT, marks=(("tier", "cheap"), (LABEL, "spot")), taints=(tainted,)))
    assert mutator.mutate(managed, draft).tolerations[5:] == (Toleration(EKS, "Equal", "SPOT", "NoSchedule"),)
    world.gone("nodes", f"uid-{ON_DEMAND}")
    assert mutator.mutate(managed, draft).preferences == ()


def test_audit_changes_nothing(world: World) -> None:
    owner = world.deployment("web", 2, spot_percentage=50, mode="audit", scheduler_name="mine")
    assert ask(world, owner, MutationRules(default_scheduler="general")) == Mutation()


TOLERATIONS = st.builds(
    Toleration,
    st.sampled_from(["", LABEL, "cheap", *(t.key for t in SPOT_TOLERATIONS)]),
    st.sampled_from(["Exists", "Equal", "Gt"]),
    st.sampled_from(["", "true", "spot", "5"]),
    st.sampled_from(["", "NoSchedule", "NoExecute"]),
)
TAINTS = st.builds(
    Taint,
    st.sampled_from([LABEL, "cheap", "karpenter.sh/disrupted", *(t.key for t in SPOT_TOLERATIONS)]),
    st.sampled_from(["", "true", "spot"]),
    st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]),
)
POLICIES = st.fixed_dictionaries(
    {"spot_percentage": st.integers(0, 101)},
    optional={
        "scheduler_name": st.sampled_from(["mine", "", DEFAULT, "no name"]),
        "when_unsatisfiable": st.sampled_from(["any", "wait", "fallback"]),
        "max_spot": st.integers(0, 3),
        "mode": st.sampled_from(["audit", "enforce"]),
    },
)


@given(
    POLICIES,
    st.lists(TOLERATIONS, max_size=4),
    st.lists(TAINTS, max_size=4),
    st.sampled_from(["", DEFAULT, "other"]),
    st.frozensets(st.sampled_from([LABEL, "zone"])),
    st.lists(TOLERATIONS.filter(lambda t: t.operator != "Gt" and bool(t.key)), max_size=2),
    st.booleans(),
)
def test_what_was_mutated_is_not_mutated_again(  # noqa: PLR0917 - drawn by name above
    policy: dict[str, Any],
    present: list[Toleration],
    taints: list[Taint],
    scheduler: str,
    labels: frozenset[str],
    extra: list[Toleration],
    more: bool,
) -> None:
    known = PolicyRules(spot_tolerations=tuple(extra))
    world = World(known)
    with_nodes(world, spot=tuple(taints))
    owner = world.deployment("web", 5, **policy)
    rules = MutationRules(default_scheduler="general")
    before = Draft(make_view("", owner), scheduler, tuple(present), labels)
    first = ask(world, owner, rules, scheduler_name=scheduler, tolerations=before.tolerations, node_labels=labels)
    after = msgspec.structs.replace(
        before,
        scheduler_name=first.scheduler_name or scheduler,
        tolerations=(*before.tolerations, *first.tolerations),
        node_labels=labels | {r.key for term in first.preferences for r in term},
    )
    if more:
        # Another class may be short by now.
        world.up(world.place(owner, [SPOT, ON_DEMAND])[0])
    again = ask(
        world,
        owner,
        rules,
        scheduler_name=after.scheduler_name,
        tolerations=after.tolerations,
        node_labels=after.node_labels,
    )
    assert again == Mutation()
    assert not {t.key for t in first.tolerations} & known.classes.going_away_keys
    assert len(set(first.tolerations)) == len(first.tolerations)
    for toleration in first.tolerations:
        if toleration.operator == "Equal":
            taint = Taint(toleration.key, toleration.value, toleration.effect)
            assert not any(held.tolerates(taint) for held in present)


@pytest.mark.parametrize(
    ("text", "toleration"),
    [
        ("spot=true:NoSchedule", Toleration("spot", "Equal", "true", "NoSchedule")),
        (" example.org/spot:NoExecute ", Toleration("example.org/spot", "Exists", "", "NoExecute")),
        ("spot=:PreferNoSchedule", Toleration("spot", "Equal", "", "PreferNoSchedule")),
    ],
)
def test_taints_as_kubectl_writes_them(text: str, toleration: Toleration) -> None:
    assert parse_taint(text) == toleration


@pytest.mark.parametrize("text", ["", "spot", "spot=true", "spot:Never", ":NoSchedule", "=x:NoSchedule"])
def test_what_is_no_taint(text: str) -> None:
    with pytest.raises(ValueError, match="is no taint; write key=value:effect"):
        parse_taint(text)


def test_a_policy_with_no_spot_for_ever() -> None:
    layer = Layer("Deployment shop/web", keys(spot_percentage=100, max_spot=0))
    policy = parse_policy([layer], ("spotmix.io",)).policy
    assert not may_run_on(policy, SPOT)


class TestGate:
    """A pod whose class is to be written on it is kept from every scheduler until it is."""

    def asked(self, world: World, owner: OwnerRef, *, led: bool = True, **draft: Any) -> Mutation:
        managed = world.state.workloads.resolve("shop", owner)
        assert isinstance(managed, Managed)
        return Mutator(world.state, RULES, lambda: led).mutate(managed, Draft(make_view("", owner), **draft))

    def test_it_is_gated_and_prefers_nothing(self, world: World) -> None:
        owner = world.deployment("web", 2, spot_percentage=50, enforcement="affinity")
        mutation = self.asked(world, owner)
        assert (mutation.gate, mutation.preferences) == ("spotmix.io/placement", ())
        assert mutation.tolerations

    @pytest.mark.parametrize(
        ("policy", "led", "labels"),
        [
            ({"enforcement": "extender"}, True, ()),
            ({}, True, ()),
            ({"enforcement": "affinity", "mode": "audit"}, True, ()),
            ({"enforcement": "affinity"}, False, ()),
            ({"enforcement": "affinity"}, True, (LABEL,)),
        ],
    )
    def test_who_is_not(self, world: World, policy: dict[str, Any], led: bool, labels: tuple[str, ...]) -> None:
        owner = world.deployment("web", 2, spot_percentage=50, **policy)
        assert self.asked(world, owner, led=led, node_labels=frozenset(labels)).gate == ""
