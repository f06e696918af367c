"""Dashboards and rules against a real Prometheus that looks on while spot capacity is taken away."""

import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
import pytest_asyncio
import yaml
from programs import ROOT
from support.dashboards import Target, filled, targets
from support.patience import stretched
from support.prometheus import Series
from support.storm import TAKEN, Storm, storm

pytestmark = [pytest.mark.controlplane, pytest.mark.tools]

RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
# What an alert compares with stands last.
_COMPARISON = re.compile(r"\s(>|<|==)\s[\d.* ]+$")
_ABSENT = re.compile(r"^absent\(([^()]*)\).*$", re.DOTALL)
# What the storm is there to show: by dashboard panel and legend, the least that must have been seen.
SEEN: Mapping[tuple[str, str], float] = {
    ("Interruptions", ""): len(TAKEN),
    ("Replicas that fell back", ""): 9,
    ("On-demand floor breaches", ""): 1,
    ("Pods waiting", ""): 1,
    ("Wrong policies", ""): 1,
    ("Replica-hours beyond wanted", ""): 0.001,
    ("Leaders", ""): 1,
    ("Replicas", ""): 2,
    ("Moves", "enforce moved"): 1,
    ("Moves", "enforce started"): 1,
    ("What keeps surplus pods where they are", "budget"): 1,
    ("What keeps surplus pods where they are", "no-node"): 1,
    ("Nodes going away", "spot m.large a"): 1,
    ("Objects at the webhook", "mutate-pods mutated"): 0.01,
}
FIRING = {
    "SpotmixPolicyInvalid",
    "SpotmixBelowFloor",
    "SpotmixWorkloadOffTarget",
    "SpotmixManyOffTarget",
    "SpotmixPodsWaiting",
    "SpotmixSpotStorm",
    "SpotmixMovesBlocked",
    # The test's own certificates live for an hour.
    "SpotmixCertificateEnds",
}
# Not SpotmixSlow and SpotmixHeldUp: how fast a busy machine answers is not what this is about.
QUIET = {"SpotmixDown", "SpotmixTwoLeaders", "SpotmixNoLeader", "SpotmixDriftFaults"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Storm]:
    async with storm(tmp_path_factory.mktemp("storm"), RULES) as happened:
        yield happened


async def ask(seen: Storm, target: Target, workload: str = "web") -> Sequence[Series]:
    """As Grafana does: what shows a moment at the storm's peak, what shows time over all of it."""
    end = seen.peak if target.instant else seen.end
    seconds = int(end - seen.start)
    variables = {
        **seen.variables,
        "__rate_interval": "5s",
        "__interval": "1s",
        "__range": f"{seconds}s",
        "__range_s": str(seconds),
        "namespace": seen.namespace,
        "workload": workload,
    }
    expr = filled(target.expr, variables)
    return await seen.prometheus.at(expr, end) if target.instant else await seen.prometheus.over(expr, seen.start, end)


def values(series: Series) -> list[float]:
    samples = series["values"] if "values" in series else [series["value"]]
    return [float(value) for _, value in samples]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(240)
async def test_every_panel_shows_what_it_is_there_for(seen: Storm) -> None:
    shown: dict[tuple[str, str], float] = {}
    for target in targets():
        found = await ask(seen, target)
        if not found:
            # Of a workload whose annotations are right nothing is wrong.
            found = await ask(seen, target, "wrong")
        assert found, f"no data: {target}\n{target.expr}"
        names = [target.named(series["metric"]) for series in found]
        if target.kind != "table":
            assert len(names) == len(set(names)), f"two series of one name: {target}: {names}"
        for name, series in zip(names, found, strict=True):
            lacking = target.labels - set(series["metric"])
            # Who does not lead, and is asked as the lead changes, decides on no class.
            refused = series["metric"].get("outcome") == "refused"
            assert lacking <= ({"capacity_class"} if refused else set()), f"{target}: {series['metric']}"
            known = [value for value in values(series) if not math.isnan(value)]
            # Of a verb that nobody used there is no percentile.
            assert known or "histogram_quantile" in target.expr, f"no number: {target} {name}"
            assert all(value >= 0 for value in known), f"{target} {name}: {min(known)}"
            key = (target.panel, name)
            shown[key] = max([shown.get(key, 0.0), *known])
    missed = {key: (shown.get(key), least) for key, least in SEEN.items() if not shown.get(key, 0.0) >= least}
    assert not missed
    for verb in ("filter", "prioritize"):
        assert 0 < shown[f"Time to answer: {verb}", "99 %"] < stretched(1)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_rule_is_evaluated_and_finds_what_it_looks_for(seen: Storm) -> None:
    groups = (await seen.prometheus.get("rules"))["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    written = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert set(rules) == {rule.get("alert") or rule["record"] for rule in written}
    assert {name: rule.get("lastError") for name, rule in rules.items() if rule["health"] != "ok"} == {}
    firing = set()
    for rule in written:
        if "record" in rule:
            found = await seen.prometheus.at(rule["record"], seen.peak)
            assert found, rule["record"]
            assert all(series["metric"]["job"] == seen.variables["job"] for series in found)
            continue
        expr = rule["expr"].strip()
        if await seen.prometheus.at(expr, seen.peak):
            firing.add(rule["alert"])
        compared, count = _COMPARISON.subn("", expr)
        watched = _ABSENT.sub(r"\1", expr) if expr.startswith("absent(") else compared
        assert count or expr.startswith("absent("), expr
        found = await seen.prometheus.at(watched, seen.peak)
        assert found, f"{rule['alert']} looks at nothing: {watched}"
        told = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        for series in found:
            assert told <= set(series["metric"]), f"{rule['alert']} tells of labels that are not there"
    assert firing >= FIRING
    assert not firing & QUIET
