"""How a scenario becomes a simulated cluster."""

import pytest

from extender.core.model.errors import ConfigError
from extender.settings.load import settings_of
from extender.simulate.build import Built, build
from extender.simulate.report import Report
from extender.simulate.run import run
from extender.simulate.scenario import parse_scenario

BASE = """
apiVersion: spotmix.io/v1alpha1
kind: Simulation
duration: 2h
classes:
  spot: {price: 0.1, reclaim: {perHour: 20%}}
  on-demand: {price: 0.4}
pools:
  - {name: spot-a, class: spot, size: 4, price: 0.2, taints: ["spot=true:NoSchedule"]}
  - {name: od, class: on-demand, size: 4}
"""
WEB = """
  - name: web
    namespace: shop
    replicas: 6
    labels: {spotmix.io/enabled: "true"}
    annotations: {spotmix.io/spot-percentage: "50"}
    template:
      metadata: {labels: {app: web}}
      spec:
        terminationGracePeriodSeconds: 45
        tolerations: [{key: spot, operator: Exists}]
        containers: [{resources: {requests: {cpu: 250m, memory: 1Gi}}}]
"""


def made(text: str, *, stock: bool = False) -> Built:
    scenario = parse_scenario(BASE + text, "day.yaml")
    settings = settings_of(scenario.settings, "day.yaml: settings")
    return build(scenario, settings, "day.yaml", seed=scenario.seed, stock=stock)


def ran(text: str, *, stock: bool = False) -> Report:
    return run(made(text, stock=stock), 1, lambda _done: None)


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        made(text)
    return str(caught.value)


def test_a_workload_is_as_its_template_says() -> None:
    built = made("workloads:" + WEB)
    (uid,) = built.workloads["web"]
    template = built.cluster.controllers.templates[uid]
    assert (template.requests.cpu, template.requests.memory, template.grace) == (250, 1 << 30, 45.0)
    assert dict(template.labels)["app"] == "web"
    built.cluster.run(600.0)
    assert built.cluster.split(uid) == {"spot": 3, "on-demand": 3}


def test_pools_inherit_from_their_class() -> None:
    pools = made("workloads: [{name: web}]").cluster.pools
    assert (pools["spot-a"].spec.price, pools["spot-a"].spec.rate, pools["od"].spec.price) == (0.2, 0.2, 0.4)
    assert pools["od"].spec.rate == 0.0


def test_events_happen_when_their_time_has_come() -> None:
    built = made(
        "workloads:"
        + WEB
        + """
events:
  - {at: 10m, scale: {workload: web, replicas: 10}}
  - {at: 20m, annotate: {workload: web, annotations: {spotmix.io/spot-percentage: "0"}}}
  - {at: 30m, rollOut: web}
  - {at: 60m, lose: {pool: od, for: 30m}}
"""
    )
    cluster, (uid,) = built.cluster, built.workloads["web"]
    start, sizes = cluster.clock.now + 600.0, []
    for minutes in (9, 11, 21, 31):
        cluster.clock.run(start + 60 * minutes)
        sizes.append((cluster.owner(uid).replicas, dict(cluster.owner(uid).annotations).popitem()[1]))
    assert sizes == [(6, "50"), (10, "50"), (10, "0"), (10, "0")]
    cluster.run(1200.0)
    assert cluster.split(uid) == {"on-demand": 10}
    cluster.run(1200.0)
    assert cluster.split(uid) == {}


def test_copies_have_names_and_budgets_of_their_own() -> None:
    built = made("workloads: [{name: web, copies: 3, replicas: 2}]\npdbs: [{workload: web, maxUnavailable: 50%}]")
    assert len(built.workloads["web"]) == 3
    built.cluster.run(60.0)
    assert [budget.allowed for budget in built.cluster.api.budgets.values()] == [1, 1, 1]
    names = [owner.name for owner in built.cluster.api.owners.values() if owner.kind == "Deployment"]
    assert names == ["web-0", "web-1", "web-2"]


def test_settings_are_those_of_the_service() -> None:
    built = made("workloads: [{name: web}]\nsettings: {drift: {interval: 10s, circuitMoves: 7}, scaleIn: {settle: 9s}}")
    assert built.cluster.drift is not None
    assert built.cluster.drift.options.interval == 10.0
    assert built.cluster.drift.options.rules.circuit_moves == 7
    assert made("workloads: [{name: web}]\nsettings: {drift: {enabled: false}}").cluster.drift is None
    assert made("workloads: [{name: web}]", stock=True).cluster.spotmix is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "day.yaml: there are no workloads; add some, or begin with a snapshot"),
        (
            "workloads: [{name: web}]\npdbs: [{workload: wep, minAvailable: 1}]",
            "pdbs[0]: there is no workload 'wep'; did you mean web?",
        ),
        ("workloads: [{name: web}]\nevents: [{at: 1h, rollOut: api}]", "events[0].rollOut: there is no workload 'api'"),
        (
            "workloads: [{name: web}]\nevents: [{at: 1h, lose: {pool: spot}}]",
            "events[0].lose: there is no pool 'spot'; did you mean spot-a?",
        ),
        (
            "workloads: [{name: web, template: {spec: {containers: [{resources: {requests: {cpu: 1x}}}]}}}]",
            "workload web: template: '1x' is not",
        ),
        (
            "workloads: [{name: web}]\nsettings: {drift: {interval: 1 min}}",
            "day.yaml: settings: drift.interval='1 min' is not a duration",
        ),
    ],
)
def test_what_does_not_fit_together(text: str, wanted: str) -> None:
    assert wanted in fault(text)


def test_a_class_that_no_rule_knows() -> None:
    scenario = parse_scenario(BASE + "  - {name: x, class: spott, size: 1}\nworkloads: [{name: web}]", "day.yaml")
    with pytest.raises(ConfigError, match=r"pools\[2\] \(x\): class is 'spott', but the labels say 'on-demand'"):
        build(scenario, settings_of({}, "x"), "day.yaml", seed=1)


def test_what_is_odd_about_policies_is_noted() -> None:
    built = made('workloads: [{name: web, annotations: {spotmix.io/spot-percentage: "7O"}}]')
    assert any("spot-percentage='7O' is not a percentage" in note for note in built.notes)


def test_the_report_adds_up() -> None:
    report = ran("workloads:" + WEB + "  - {name: batch, kind: Job, replicas: 2, completions: 6, run: 5m}")
    assert {row.name: row.managed for row in report.workloads} == {"web": True, "batch": False}
    assert report.interruptions == sum(pool.interruptions for pool in report.pools) > 0
    assert report.total_cost == pytest.approx(sum(report.cost.values()), abs=1e-5)
    assert report.on_demand_cost == pytest.approx(sum(row.on_demand_cost for row in report.workloads), abs=1e-5)
    assert report.saving is not None
    assert 0 < report.saving < 0.5
    assert report.evictions == sum(row.evictions for row in report.workloads) == report.drift.evictions
    on_demand = next(pool for pool in report.pools if pool.name == "od")
    assert on_demand.node_hours == pytest.approx(8.0 + 4 / 6, abs=1e-5)
    assert on_demand.cost == pytest.approx(0.4 * on_demand.node_hours, abs=1e-5)
    assert 0.9 < (report.availability or 0) <= 1.0


def test_the_stock_behaviour_knows_no_split() -> None:
    text = "workloads:" + WEB
    with_us, without = ran(text), ran(text, stock=True)
    assert with_us.misplaced < 0.5 < without.misplaced
    assert without.evictions == 0
    assert [pool.interruptions for pool in with_us.pools] == [pool.interruptions for pool in without.pools]


def test_the_webhook_lets_pods_tolerate_what_spot_nodes_carry() -> None:
    text = (
        'workloads: [{name: web, replicas: 4, requests: {cpu: 100m}, labels: {spotmix.io/enabled: "true"}, '
        'annotations: {spotmix.io/spot-percentage: "50"}}]'
    )
    for webhook, wanted in ((False, {"on-demand": 4}), (True, {"spot": 2, "on-demand": 2})):
        taints = "{extraSpotTaints: ['spot=true:NoSchedule'], enabled: " + str(webhook).lower() + "}"
        built = made(f"{text}\nsettings: {{webhook: {taints}}}")
        built.cluster.run(300.0)
        assert built.cluster.split(built.workloads["web"][0]) == wanted
