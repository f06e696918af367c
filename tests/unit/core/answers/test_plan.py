"""Plans as reports, as tables, and the page that explains their reasons."""

import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from support.doubles import ON_DEMAND, SPOT, make_budget, selector
from support.drifting import DriftWorld

from extender.cli.drift_text import tables
from extender.cli.wanted import Wanted
from extender.core.answers.plan import DriftReport, EvictionVerdict, doubted, report, with_verdicts
from extender.core.answers.scope import Scope
from extender.core.drift.history import WorkloadHistory
from extender.core.model.reasons import OF_STAYS, Reason

DOCS = Path(__file__).parents[4] / "docs"
ROW = re.compile(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


@pytest.fixture
def world() -> DriftWorld:
    made = DriftWorld()
    made.nodes(spot=1, on_demand=1)
    made.drifted("web", on_demand=7, spot=3)
    made.drifted("guarded")
    made.drifted("audited", policy={"mode": "audit"})
    made.up(make_budget("calm", selector(app="guarded-1"), 0))
    return made


def reported(world: DriftWorld, namespace: str = "") -> DriftReport:
    return report(world.state, world.plan(), world.history, world.now, Scope(namespace))


def shown(told: DriftReport, *, wide: bool = False, verified: bool = False, namespace: str = "") -> str:
    console = Console(file=io.StringIO(), width=400, markup=False, highlight=False)
    for part in tables(told, Wanted(namespace).where, wide=wide, verified=verified):
        console.print(part)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
    return "\n".join(line.rstrip() for line in text.splitlines())


def test_a_report_is_stable_json(world: DriftWorld) -> None:
    told = json.loads(msgspec.json.encode(reported(world)))
    assert list(told) == ["at", "paused", "moves", "stays", "inFlight", "offTarget"]
    assert (told["at"], told["paused"]) == (world.now, None)
    move, audited = told["moves"]
    assert move == {
        "pod": {"namespace": "shop", "name": "web-1-0", "uid": "web-1-0"},
        "workload": {"namespace": "shop", "kind": "Deployment", "name": "web"},
        "node": "on-demand-0",
        "from": ON_DEMAND,
        "to": SPOT,
        "target": "spot-0",
        "why": {"reason": "surplus", "text": Reason.SURPLUS.text},
    }
    assert audited["audit"]
    stays = {stay["workload"]["name"]: stay for stay in told["stays"]}
    assert stays["guarded"]["why"] == {"reason": "budget", "text": Reason.BUDGET.text, "detail": "calm"}
    off = {each["workload"]["name"]: each for each in told["offTarget"]}
    assert list(off) == ["audited", "guarded", "web"]
    assert off["web"]["wanted"] == {ON_DEMAND: 5, SPOT: 5}
    assert (off["web"]["actual"], off["web"]["surplus"], off["web"]["missing"]) == ({ON_DEMAND: 7, SPOT: 3}, 2, 0)


def test_moves_in_flight_are_told_of(world: DriftWorld) -> None:
    world.start(world.plan().moves[0])
    (ongoing,) = reported(world).in_flight
    assert (ongoing.pod.name, ongoing.workload.name, ongoing.since) == ("web-1-0", "web", world.now)
    text = shown(reported(world))
    assert "1 move in flight" in text
    assert re.search(r"web-1-0 +on-demand +spot +2026-01-05T00:00:00Z", text)


def test_one_namespace_alone(world: DriftWorld) -> None:
    world.start(world.plan().moves[0])
    assert reported(world, "shop") == reported(world)
    told = reported(world, "bank")
    assert (told.moves, told.stays, told.in_flight, told.off_target) == ((), (), (), ())
    assert shown(told, namespace="bank") == "Every managed workload in namespace bank that has pods is at its split."


def test_the_api_server_is_asked_where_it_has_a_say(world: DriftWorld) -> None:
    told = reported(world)
    asked = doubted(told)
    assert {pod.name.rpartition("-1-")[0] for pod in asked} == {"web", "audited", "guarded"}
    assert len(asked) == 3
    verdicts = {pod: EvictionVerdict("budget", 429, "Cannot evict") for pod in asked}
    verdicts[told.moves[0].pod] = EvictionVerdict("evicted", 201, "")
    text = shown(with_verdicts(told, verdicts), verified=True)
    assert "would evict" in text
    assert "budget: Cannot evict" in text


def test_tables_for_people(world: DriftWorld) -> None:
    text = shown(reported(world))
    assert text.splitlines()[0] == "2 pods would move"
    assert "2 surplus pods would stay" in text
    assert "surplus (audit: not carried out)" in text
    assert re.search(r"shop +Deployment/guarded +guarded-1-0 +on-demand +spot +budget +.*now: calm", text)
    assert re.search(r"shop +Deployment/web +10 +7/5 +3/5 +2 +0", text)
    assert "spot-0" not in text
    assert "spot-0" in shown(reported(world), wide=True)


def test_a_pause_comes_first(world: DriftWorld) -> None:
    told = report(world.state, world.plan(current=False), world.history, world.now)
    assert shown(told).startswith("Nothing is moved at all: what is known of the cluster may be out of date.\n")
    assert json.loads(msgspec.json.encode(told))["paused"]["reason"] == "stale"


def test_nothing_to_do() -> None:
    world = DriftWorld()
    world.history.workloads["gone"] = WorkloadHistory()
    assert shown(reported(world)) == "Every managed workload in the cluster that has pods is at its split."


def test_the_page_explains_every_reason_to_stay_and_no_other() -> None:
    rows = ROW.findall((DOCS / "explanation" / "drift.md").read_text())
    assert [name for name, *_ in rows] == [reason.value for reason in OF_STAYS]
    assert all(len(meaning) > 20 and len(action) > 4 for _, meaning, action in rows)
