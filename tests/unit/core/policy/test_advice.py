"""What the webhook says of a policy: what is wrong, and what is of no use."""

from typing import Any

import pytest
from support.doubles import ENABLED, RULES, keys, make_owner

from extender.core.model.objects import EMPTY, Namespace, Owner
from extender.core.policy.advice import examine
from extender.core.policy.policy import Layer, Problem

DEFAULTS = Layer("configuration policy.defaults", EMPTY)


def said(
    annotations: dict[str, str],
    replicas: int | None = None,
    *,
    labels: dict[str, str] | None = None,
    namespace: Namespace | None = None,
    defaults: dict[str, str] | None = None,
) -> tuple[Problem, ...]:
    thing = make_owner(
        "Deployment", "web", replicas, labels=ENABLED if labels is None else labels, annotations=annotations
    )
    return examine(thing, namespace, Layer(DEFAULTS.source, defaults or EMPTY), RULES)


def home(annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> Namespace:
    return Namespace("ns", "shop", labels or EMPTY, annotations or EMPTY)


@pytest.mark.parametrize(
    ("annotations", "replicas", "texts"),
    [
        (
            keys(spot_percentage=70),
            1,
            ["spot-percentage='70' gives no spot replica below 2 replicas; all are on-demand until then"],
        ),
        (
            keys(spot_percentage="20%"),
            4,
            ["spot-percentage='20%' gives no spot replica below 5 replicas; all are on-demand until then"],
        ),
        (
            keys(spot_percentage=70, min_on_demand=2),
            1,
            ["spot-percentage='70' with min-on-demand=2 gives no spot replica below 3 replicas; all are"],
        ),
        (
            keys(spot_percentage=100, min_on_demand=3),
            3,
            ["spot-percentage='100' with min-on-demand=3 gives no spot replica below 4 replicas; all are"],
        ),
        (
            keys(spot_percentage=50, on_demand_base=5),
            3,
            ["spot-percentage='50' with on-demand-base=5 gives no spot replica below 7 replicas; all are"],
        ),
        (
            keys(spot_percentage=50, on_demand_base=5),
            6,
            ["spot-percentage='50' with on-demand-base=5 gives no spot replica below 7 replicas; all are"],
        ),
        (
            keys(spot_percentage=70, max_spot=0),
            10,
            ["max-spot='0' with spot-percentage=70 gives no spot replica at any size; all are on-demand: raise"],
        ),
        (
            keys(min_on_demand=2, fallback_after="5m"),
            10,
            [
                "min-on-demand='2' has no effect without spot-percentage: all replicas are on-demand; set",
                "fallback-after='5m' has no effect without spot-percentage",
            ],
        ),
        (
            keys(spot_percentage=70, when_unsatisfiable="wait", fallback_after="5m"),
            10,
            ["fallback-after='5m' has no effect with when-unsatisfiable=wait: nothing stands in, ever; remove it"],
        ),
        (
            keys(spot_percentage=70, disruption_schedule="0 2 * * *", disruption_duration="1h", max_moves_per_hour=0),
            10,
            ["disruption-schedule='0 2 * * *' has no effect: max-moves-per-hour is 0, so nothing is moved; allow"],
        ),
        (
            keys(spot_percentage=70, timezone="Asia/Tokyo"),
            10,
            ["timezone='Asia/Tokyo' has no effect without disruption-schedule; add one, or remove it"],
        ),
        (keys(spot_percentage=70), 10, []),
        (keys(spot_percentage=70), 0, []),
        (keys(spot_percentage=70), None, []),
        (keys(min_on_demand=2, when_unsatisfiable="any"), 2, []),
        (keys(), 1, []),
    ],
)
def test_what_is_pointless(annotations: dict[str, str], replicas: int | None, texts: list[str]) -> None:
    problems = said(annotations, replicas)
    assert [
        p.text.startswith(f"Deployment shop/web: spotmix.io/{t}") for p, t in zip(problems, texts, strict=True)
    ] == [True] * len(texts)
    assert all(problem.warning for problem in problems)


def test_what_is_wrong_is_told_as_the_core_tells_it_and_not_what_is_pointless() -> None:
    problems = said(keys(spot_percentage="seventy", min_on_demand=5, max_spto=1), 1)
    assert [(p.key, p.warning) for p in problems] == [
        ("spotmix.io/spot-percentage", False),
        ("spotmix.io/max-spto", True),
    ]
    assert problems[0].text == (
        "Deployment shop/web: spotmix.io/spot-percentage='seventy' is not a percentage; "
        'write a whole number from 0 to 100, such as "70"'
    )


def test_the_opt_in_label() -> None:
    (problem,) = said({}, labels={"spotmix.io/enabled": "yes"})
    assert (problem.warning, problem.fault) == (False, "is neither true nor false")
    assert said(keys(spot_percentage=70), labels={"spotmix.io/enabled": "false"}, namespace=home()) == ()


def test_a_policy_nobody_asked_for() -> None:
    annotations = keys(spot_percentage=70)
    (problem,) = said(annotations, labels={}, namespace=home())
    assert problem.text.endswith(
        'neither the object nor its Namespace opts in; add the label spotmix.io/enabled: "true"'
    )
    assert said(annotations, labels={}, namespace=home(labels=ENABLED)) == ()
    # Nobody knows what the Namespace says.
    assert said(annotations, labels={}) == ()


def test_keys_written_as_labels() -> None:
    (problem,) = said({}, labels={**ENABLED, "spotmix.io/spot-percentage": "70"})
    assert problem.text.endswith("spot-percentage='70' is a label; write it as an annotation")


class TestLayers:
    def test_the_namespace_completes_what_the_object_says(self) -> None:
        window = keys(disruption_duration="2h")
        assert said(window, namespace=home(keys(disruption_schedule="0 2 * * *"))) == ()
        assert [p.key for p in said(window, namespace=home())] == ["spotmix.io/disruption-duration"]

    def test_an_object_does_not_answer_for_others(self) -> None:
        wrong = keys(spot_percentage="most")
        assert said(keys(min_on_demand=1), namespace=home(wrong)) == ()
        assert said(keys(min_on_demand=1), 5, defaults=keys(spot_percentage=50)) == ()
        # .. but for what its own word does together with another's.
        (problem,) = said(keys(min_on_demand=3), 3, namespace=home(keys(spot_percentage=50)))
        assert problem.text == (
            "Deployment shop/web: spotmix.io/min-on-demand='3' with spot-percentage=50 gives no spot replica "
            "below 4 replicas; all are on-demand until then"
        )
        # The Namespace's percentage comes to nothing here, which its author knows.
        assert said(EMPTY_ANNOTATIONS, 1, namespace=home(keys(spot_percentage=50))) == ()

    def test_a_namespace_answers_for_itself(self) -> None:
        def judged(annotations: dict[str, str], labels: Any = EMPTY) -> list[str]:
            return [p.key for p in examine(Namespace("ns", "shop", labels, annotations), None, DEFAULTS, RULES)]

        assert judged(keys(spot_percentage="most")) == ["spotmix.io/spot-percentage"]
        assert judged({}, {"spotmix.io/enabled": "maybe"}) == ["spotmix.io/enabled"]
        # Workloads may say the rest.
        assert judged(keys(min_on_demand=2, timezone="Asia/Tokyo")) == []


EMPTY_ANNOTATIONS: dict[str, str] = {}


def test_a_size_that_means_nothing() -> None:
    owner: Owner = make_owner("CronJob", "cron", labels=ENABLED, annotations=keys(spot_percentage=1))
    assert examine(owner, None, DEFAULTS, RULES) == ()
