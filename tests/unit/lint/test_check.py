"""What is said of manifests before they are applied, and in which words the API server, webhook and status say it."""

from typing import Any

import pytest
import yaml

from extender.core.model.classes import ClassRule, ClassRules
from extender.core.policy import objects
from extender.core.policy.rules import PolicyRules
from extender.lint.check import check
from extender.lint.findings import LintReport

POLICY = "spotmix.io/v1alpha1"


def thing(kind: str, name: str, spec: Any = None, api: str = "apps/v1", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec or {}}


def pp(name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    return thing("PlacementPolicy", name, spec, POLICY, namespace="shop", **metadata)


def web(name: str = "web", replicas: int = 4, **metadata: Any) -> dict[str, Any]:
    return thing("Deployment", name, {"replicas": replicas}, namespace="shop", **metadata)


def shop(**metadata: Any) -> dict[str, Any]:
    return thing("Namespace", "shop", api="v1", **metadata)


def checked(*things: Any, **rules: Any) -> LintReport:
    return check([("a.yaml", yaml.safe_dump_all(things))], PolicyRules(**rules))


def said(*things: Any, **rules: Any) -> list[str]:
    return [f"{each.severity}: {each.text}" for each in checked(*things, **rules).findings]


SHARES = [{"name": "on-demand", "weight": 30}, {"name": "spot", "weight": 70}]
ON = {"spotmix.io/enabled": "true"}


def keys(**values: Any) -> dict[str, Any]:
    return {f"spotmix.io/{key.replace('_', '-')}": value for key, value in values.items()}


def test_manifests_that_are_right_and_those_of_others_are_passed_in_silence() -> None:
    right = web(labels={**ON, "tier": "web"}, annotations=keys(spot_percentage="70"))
    others = thing("Service", "web", api="v1", labels={"spotmix": "no"})
    report = checked(shop(), right, pp("web", {"classes": SHARES}), others, thing("Simulation", "x", api=POLICY))
    assert report.findings == ()
    assert (report.objects, report.workloads) == (5, 1)


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        (
            [web(labels=ON, annotations=keys(spot_percentage="lots"))],
            (
                "error: Deployment shop/web: spotmix.io/spot-percentage='lots' is not a percentage; write a whole "
                "number from 0"
                ' to 100, such as "70"'
            ),
        ),
        (
            [web(labels=ON, annotations=keys(spot_percentage=70))],
            (
                "error: Deployment shop/web: spotmix.io/spot-percentage=70 is refused: a label or annotation is a "
                "text; write '70' in quotes"
            ),
        ),
        (
            [web(labels={"spotmix.io/enabled": True})],
            (
                "error: Deployment shop/web: spotmix.io/enabled=True is refused: a label or annotation is a text; "
                "write 'true' in quotes"
            ),
        ),
        (
            [web(labels=ON, annotations=keys(spot_percent="70"))],
            (
                "warning: Deployment shop/web: spotmix.io/spot-percent='70' is not a key; "
                "did you mean spotmix.io/spot-percentage?"
            ),
        ),
        (
            [shop(), web(annotations=keys(spot_percentage="70"))],
            (
                "warning: Deployment shop/web: spotmix.io/spot-percentage='70' has no effect: neither the object nor "
                'its Namespace opts in; add the label spotmix.io/enabled: "true"'
            ),
        ),
        (
            [shop(annotations=keys(max_spot="few"))],
            (
                "error: Namespace shop: spotmix.io/max-spot='few' is not a number of replicas; write a whole "
                "number from 0 to "
                '10000, such as "2"'
            ),
        ),
        (
            [thing("DaemonSet", "agent", labels=ON, namespace="shop")],
            (
                "warning: DaemonSet shop/agent: spotmix.io/enabled='true' has no effect: pods of a DaemonSet are "
                "never managed;"
                " write it on the workload, or remove it"
            ),
        ),
        (
            [thing("Service", "web", api="v1", annotations=keys(spot_percentage="70"))],
            (
                "warning: Service default/web: spotmix.io/spot-percentage='70' has no effect on a Service; "
                "write it on the workload, or remove it"
            ),
        ),
        (
            [thing("Rollout", "web", {"template": {"spec": {}}}, "argoproj.io/v1alpha1", annotations=keys(mode="off"))],
            'error: Rollout default/web: spotmix.io/mode=\'off\' is not known; write one of "enforce", "audit"',
        ),
        (
            [pp("web", {"moves": {"schedule": "0 2 31 2 *", "duration": "1h"}})],
            (
                "error: PlacementPolicy shop/web: spec.moves.schedule='0 2 31 2 *' is not a cron expression (Bad "
                'day-of-month); write five cron fields, such as "0 2 * * 1-5"'
            ),
        ),
        (
            [pp("web", {"mode": "audit"})],
            (
                "error: PlacementPolicy shop/web: spec.mode='audit' is refused: Unsupported value: 'audit': "
                "supported values: "
                '"Enforce", "Audit"'
            ),
        ),
        (
            [{**pp("web", None), "spec": None}],
            "error: PlacementPolicy shop/web: spec is refused: Required value; add a spec",
        ),
        (
            [{**pp("web", {"mode": "Audit"}), "sepc": {}}],
            'error: PlacementPolicy shop/web: sepc is refused: unknown field "sepc"; did you mean spec?',
        ),
        (
            [pp("Web", {"mode": "Audit"})],
            (
                "error: PlacementPolicy shop/Web: metadata.name='Web' is refused: Invalid value: no name of an "
                "object; write "
                "lower case letters, digits, - and ., such as web"
            ),
        ),
        (
            [thing("PlacementPolicy", "web", {"mode": "Audit"}, "spotmix.io/v1")],
            (
                "error: PlacementPolicy default/web: apiVersion='spotmix.io/v1' is refused: there is no such version; "
                "write spotmix.io/v1alpha1"
            ),
        ),
        (
            [thing("PlacmentPolicy", "web", {"mode": "Audit"}, POLICY)],
            (
                "error: PlacmentPolicy default/web: kind='PlacmentPolicy' is refused: there is no such kind; "
                "kinds of spotmix.io are PlacementPolicy, ClusterPlacementPolicy"
            ),
        ),
        (
            [web(replicas=2), pp("web", {"classes": [{**SHARES[0], "base": 2}, SHARES[1]]})],
            (
                "warning: Deployment shop/web: spec.replicas=2 is too few: PlacementPolicy shop/web "
                "spec.classes[].weight=70 with min-on-demand=2 gives no spot replica below 3 replicas; each "
                "Deployment is counted alone: annotate those that may be on spot with spot-percentage 100"
            ),
        ),
        (
            [web(), pp("a", {"mode": "Audit"}), pp("b", {"mode": "Enforce"})],
            (
                "warning: PlacementPolicy shop/b: spec.priority=0 is that of PlacementPolicy shop/a, and both "
                "match Deployment "
                "shop/web: the one that is older will win; give one of them a higher priority"
            ),
        ),
        (
            [{"replicas": 3}],
            "warning: document 1 has no apiVersion and kind, so that it is no object of Kubernetes and is passed over",
        ),
    ],
)
def test_what_is_wrong_or_pointless(things: list[Any], expected: str) -> None:
    assert said(*things) == [expected]


def test_a_policy_that_cannot_act(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = "spec.mode='Audit' is not supported yet; write Enforce"
    monkeypatch.setattr(objects, "_unbuilt", lambda _: [sentence])
    report = checked(pp("web", {"mode": "Audit"}), web())
    (found,) = report.findings
    assert (found.field, found.value, found.fix, report.policies) == ("spec.mode", "'Audit'", "write Enforce", ())
    assert found.fault == "is not supported yet, so that the policy does not act at all"


def test_a_class_that_no_rule_knows() -> None:
    thing = pp("web", {"classes": [{"name": "reserved", "max": 4}, *SHARES]})
    (found,) = said(thing)
    assert "names reserved, a class that no rule of the cluster knows" in found
    assert said(thing, classes=ClassRules(extra_rules=(ClassRule("tier", "reserved", ("reserved",)),))) == []


def test_keys_on_pods() -> None:
    template = {"template": {"metadata": {"annotations": keys(spot_percentage="70", do_not_disrupt="true")}}}
    told = "has no effect on the template of pods; write it under metadata.annotations of the"
    (found,) = said(thing("StatefulSet", "db", template))
    assert found.endswith(f"spec.template.metadata.annotations.spotmix.io/spot-percentage {told} StatefulSet itself")
    (found,) = said(thing("CronJob", "db", {"jobTemplate": {"spec": template}}, "batch/v1"))
    assert f"spec.jobTemplate.spec.template.metadata.annotations.spotmix.io/spot-percentage {told} CronJob" in found


def test_what_a_controller_made_and_protected_namespaces_are_left_alone() -> None:
    wrong: dict[str, Any] = {"labels": ON, "annotations": keys(spot_percentage="lots")}
    owned = thing("ReplicaSet", "web-1", ownerReferences=[{"controller": True}], **wrong)
    assert said(owned, thing("Deployment", "dns", namespace="kube-system", **wrong)) == []


def test_policies_of_the_input_speak_for_its_workloads() -> None:
    first = pp("first", {"selector": {"matchLabels": {"tier": "web"}}, "priority": 1, "mode": "Audit"})
    second = pp("second", {"classes": SHARES})
    wide = {"namespaceSelector": {"matchLabels": {"team": "a"}}, "mode": "Audit"}
    cluster = thing("ClusterPlacementPolicy", "wide", wide, POLICY)
    out = web("out", labels={"spotmix.io/enabled": "false"})
    things = [web(labels={"tier": "web"}), web("api"), out, first, second, cluster]
    report = checked(*things, shop(labels={"team": "a"}))
    assert {each.policy: each.speaks_for for each in report.policies} == {
        "PlacementPolicy shop/first": ("Deployment shop/web",),
        "PlacementPolicy shop/second": ("Deployment shop/api",),
        "ClusterPlacementPolicy wide": ("Deployment shop/web", "Deployment shop/api"),
    }
    assert [each.loses for each in report.policies if each.loses] == [
        {"Deployment shop/web": "PlacementPolicy shop/first"}
    ]
    # Of a Namespace that is not there the name alone is known.
    assert [each.speaks_for for each in checked(*things).policies][2] == ()


def test_lists_files_and_lines() -> None:
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [web(annotations=keys(mode="off"))]})
    texts = [("b.yaml", text), ("a.yaml", "---\n# none\n---\nx: 1\n")]
    report = check(texts, PolicyRules())
    line = next(number for number, each in enumerate(text.split("\n"), 1) if "spotmix.io/mode" in each)
    assert [(each.file, each.line, each.field) for each in report.findings] == [
        ("b.yaml", line, "spotmix.io/mode"),
        ("a.yaml", 4, "document 2"),
    ]
    assert report.findings[0].object == "Deployment shop/web"


def test_other_prefixes_and_defaults() -> None:
    (found,) = said(web(annotations={"acme.io/mode": "off"}), prefixes=("acme.io",))
    assert "acme.io/mode='off'" in found
