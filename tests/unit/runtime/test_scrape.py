"""What a scrape says of a cluster."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.doubles import ENABLED, ON_DEMAND, SPOT, World, keys, make_namespace, make_node, make_owner, make_pod
from support.doubles_drift import DriftRoom
from support.limits import limit_policy

from extender import __version__
from extender.core.model.objects import Requests
from extender.kube.reflector import Health
from extender.runtime.connections import PortConnections
from extender.runtime.drift import drift_readings
from extender.runtime.gauges import cache_readings, process_readings, state_readings
from extender.runtime.grpc import api_readings
from extender.runtime.reloading import Reloading
from extender.runtime.scrape import SLICE, Scrapes
from extender.settings import ConfigSource, Settings, load_settings
from extender.telemetry.catalogue import FAMILIES
from extender.telemetry.metrics import Metrics
from extender.telemetry.readings import Reading

Series = dict[tuple[str, ...], float]
WELL = Health(synced=True, last_contact=90.0, failures=1, relists=2, rewatches=3, events=4, undecodable=5)


class ScrapeScene:
    """A world that is scraped. Made within an event loop."""

    def __init__(self, limit: int = 100) -> None:
        self.world = World()
        self.room = DriftRoom()
        self.health = {"pods": WELL, "rollouts.argoproj.io": Health()}
        metrics = Metrics()
        self.connections = PortConnections(metrics)
        changed = load_settings(environ={"SPOTMIX_METRICS_ADDR": ":1"})
        self.reloading = Reloading(Settings(), ConfigSource(lambda: changed), lambda _: None, metrics.reloaded)
        self.reloading.ask()
        self.reloading.look()
        self.scrapes = Scrapes(self.world.state, metrics, self._read, limit)

    def _read(self) -> Iterator[Reading]:
        yield from process_readings(True, {"webhook": 1e9, "extender": None})
        yield from self.connections.readings()
        yield from self.reloading.readings()
        yield from cache_readings(self.health, 100.0)
        yield from state_readings(self.world.state)
        yield from api_readings(3)
        yield from drift_readings(self.room.drift, self.room.world.state, self.room.now())

    async def text(self) -> str:
        parts, _ = await self.scrapes.render()
        return b"".join(parts).decode()

    async def scrape(self) -> dict[str, Series]:
        """Values by name, and by label values in the order of the labels' names."""
        found: dict[str, Series] = {}
        for family in text_string_to_metric_families(await self.text()):
            for sample in family.samples:
                key = tuple(value for _, value in sorted(sample.labels.items()))
                mine = found.setdefault(sample.name, {})
                assert key not in mine, (sample.name, key)
                mine[key] = sample.value
        return found

    def deployment(self, name: str, replicas: int, *, spot: int = 0, on_demand: int = 0, **policy: Any) -> None:
        owner = self.world.deployment(name, replicas, **policy)
        for node, count in (("spot-0", spot), ("on-demand-0", on_demand)):
            self.world.up(*(make_pod(f"{name}-{node}-{n}", owner, node) for n in range(count)))


async def test_everything_in_the_catalogue_is_served_as_it_says_and_nothing_else() -> None:
    scene = ScrapeScene()
    scene.world.nodes(spot=1, on_demand=1)
    scene.deployment("web", 4, spot=2, on_demand=2, spot_percentage=50)
    scene.deployment("bad", 4, spot_percentage="half")
    families = {f.name: f for f in FAMILIES}
    served = {}
    for family in text_string_to_metric_families(await scene.text()):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name not in served
        served[name] = family
    assert {name for name in served if name.startswith("spotmix_")} == set(families)
    assert "process_resident_memory_bytes" in served
    for name, known in families.items():
        assert (served[name].type, served[name].documentation) == (known.kind, known.text)
        labels = {frozenset(sample.labels) - {"le"} for sample in served[name].samples}
        assert labels in ({frozenset(known.labels)}, set()), name


async def test_workloads_one_by_one() -> None:
    scene = ScrapeScene()
    scene.world.nodes(spot=1, on_demand=1)
    scene.deployment("web", 10, spot=4, on_demand=5, spot_percentage=70, min_on_demand=2)
    scene.deployment("floor", 3, spot=2, spot_percentage=50, min_on_demand=2, mode="audit", when_unsatisfiable="any")
    found = await scene.scrape()
    web, floor = ("Deployment", "shop", "web"), ("Deployment", "shop", "floor")
    assert found["spotmix_workload_info"] == {
        ("Deployment", "enforce", "shop", "fallback", "web"): 1.0,
        ("Deployment", "audit", "shop", "any", "floor"): 1.0,
    }
    assert found["spotmix_workload_replicas_wanted"] == {
        (SPOT, *web): 7.0,
        (ON_DEMAND, *web): 3.0,
        (SPOT, *floor): 1.0,
        (ON_DEMAND, *floor): 2.0,
    }
    assert found["spotmix_workload_replicas_actual"] == {
        (SPOT, *web): 4.0,
        (ON_DEMAND, *web): 5.0,
        (SPOT, *floor): 2.0,
        (ON_DEMAND, *floor): 0.0,
    }
    assert found["spotmix_workload_replicas_surplus"] == {web: 2.0, floor: 1.0}
    assert found["spotmix_workload_replicas_missing"] == {web: 1.0, floor: 1.0}
    assert found["spotmix_workload_replicas_below_floor"] == {web: 0.0, floor: 2.0}
    assert found["spotmix_workloads"] == {("enforce",): 1.0, ("audit",): 1.0}
    assert found["spotmix_workloads_off_target"] == {("enforce",): 1.0, ("audit",): 1.0}
    assert found["spotmix_workloads_below_floor"] == {("enforce",): 0.0, ("audit",): 1.0}
    assert found["spotmix_replicas_wanted"][SPOT, "enforce"] == 7.0
    assert found["spotmix_replicas_actual"][ON_DEMAND, "enforce"] == 5.0
    assert found["spotmix_replicas_surplus"] == {("enforce",): 2.0, ("audit",): 1.0}
    assert found["spotmix_replicas_missing"] == {("enforce",): 1.0, ("audit",): 1.0}
    assert found["spotmix_replicas_below_floor"] == {("enforce",): 0.0, ("audit",): 2.0}


async def test_a_deleted_workload_leaves_nothing_behind() -> None:
    scene = ScrapeScene()
    before = await scene.scrape()
    db = make_owner("StatefulSet", "db", 2, labels=ENABLED, annotations=keys(spot_percentage="most"))
    scene.world.up(db)
    there = await scene.scrape()
    assert there["spotmix_policy_invalid"] == {("spotmix.io/spot-percentage", "StatefulSet", "shop", "db"): 1.0}
    assert there["spotmix_workload_info"]
    assert there["spotmix_workloads_invalid"] == {(): 1.0}
    scene.world.gone("statefulsets.apps", db.uid)
    after = await scene.scrape()
    assert {name for name in after if name.startswith("spotmix_")} == {n for n in before if n.startswith("spotmix_")}
    assert "spotmix_workload_info" not in after
    assert "spotmix_policy_invalid" not in after


async def test_a_cron_jobs_jobs_are_shown_as_one() -> None:
    scene = ScrapeScene()
    world = scene.world
    world.nodes(spot=1)
    cron = make_owner("CronJob", "report", labels=ENABLED, annotations=keys(spot_percentage="most"))
    jobs = [make_owner("Job", f"report-{n}", 2, owner=cron.ref) for n in range(3)]
    world.up(cron, *jobs, *(make_pod(f"{job.name}-0", job.ref, "spot-0") for job in jobs))
    found = await scene.scrape()
    report = ("CronJob", "shop", "report")
    assert found["spotmix_workload_replicas_actual"][SPOT, *report] == 3.0
    assert found["spotmix_workload_replicas_surplus"] == {report: 3.0}
    assert found["spotmix_workload_replicas_missing"] == {report: 3.0}
    assert found["spotmix_policy_invalid"] == {("spotmix.io/spot-percentage", *report): 1.0}
    assert found["spotmix_workloads"]["enforce",] == 1.0


async def test_a_namesake_does_not_make_a_series_twice() -> None:
    scene = ScrapeScene()
    for uid in ("old", "new"):
        annotations = keys(spot_percentage="most", max_spot="many")
        scene.world.up(make_owner("StatefulSet", "db", 2, uid=uid, labels=ENABLED, annotations=annotations))
    found = await scene.scrape()
    assert len(found["spotmix_workload_info"]) == 1
    assert len(found["spotmix_policy_invalid"]) == 2


async def test_a_cap_keeps_the_oldest_and_counts_the_others() -> None:
    scene = ScrapeScene(limit=2)
    bad = keys(spot_percentage="most")
    for name, created in (("c", 3.0), ("a", 1.0), ("d", 4.0), ("b", 2.0)):
        scene.world.up(make_owner("StatefulSet", name, 1, labels=ENABLED, annotations=bad, created=created))

    def names(found: dict[str, Series], metric: str) -> list[str]:
        return [key[-1] for key in found[metric]]

    found = await scene.scrape()
    assert names(found, "spotmix_workload_info") == names(found, "spotmix_policy_invalid") == ["a", "b"]
    assert found["spotmix_workloads_unlisted"] == {(): 2.0}
    assert found["spotmix_workloads"]["enforce",] == 4.0
    scene.world.up(make_owner("StatefulSet", "e", 1, labels=ENABLED, created=5.0))
    scene.world.gone("statefulsets.apps", "uid-StatefulSet-a")
    found = await scene.scrape()
    assert names(found, "spotmix_workload_info") == ["b", "c"]


async def test_without_series_of_workloads_the_sums_remain() -> None:
    scene = ScrapeScene(limit=0)
    scene.world.nodes(spot=1, on_demand=1)
    scene.deployment("web", 2, spot=2, spot_percentage=50)
    scene.deployment("bad", 2, spot_percentage="half")
    text = await scene.text()
    assert 'workload="' not in text
    found = await scene.scrape()
    assert found["spotmix_workloads_unlisted"] == {(): 2.0}
    assert found["spotmix_workloads_invalid"] == {(): 1.0}
    assert found["spotmix_replicas_surplus"]["enforce",] == 1.0


async def test_names_cannot_break_the_exposition() -> None:
    scene = ScrapeScene()
    scene.world.up(make_owner("Database", 'a"b\\c\nd', 1, labels=ENABLED))
    assert ("Database", "shop", 'a"b\\c\nd') in (await scene.scrape())["spotmix_workload_replicas_surplus"]


async def test_nodes_and_pools() -> None:
    scene = ScrapeScene()
    world = scene.world
    room = Requests(cpu=4000, memory=1 << 30)
    world.up(
        make_node("s1", SPOT, allocatable=room, zone="a"),
        make_node("s2", SPOT, allocatable=room, zone="b"),
        make_node("d1", ON_DEMAND, allocatable=room, zone="a"),
    )
    world.up(make_pod("p1", None, "s1", requests=Requests(cpu=500, memory=1 << 20)), make_pod("p2", None, "unknown"))
    found = await scene.scrape()
    assert found["spotmix_pods"] == {(): 2.0}
    assert found["spotmix_nodes"] == {(SPOT,): 2.0, (ON_DEMAND,): 1.0}
    assert found["spotmix_nodes_allocatable_cpu_cores"] == {(SPOT,): 8.0, (ON_DEMAND,): 4.0}
    assert found["spotmix_nodes_requested_cpu_cores"] == {(SPOT,): 0.5, (ON_DEMAND,): 0.0}
    assert found["spotmix_nodes_allocatable_memory_bytes"][SPOT,] == 2 << 30
    assert found["spotmix_nodes_requested_memory_bytes"][SPOT,] == 1 << 20
    pools = {(SPOT, "m.large", "a"): 0.0, (SPOT, "m.large", "b"): 0.0, (ON_DEMAND, "m.large", "a"): 0.0}
    assert found["spotmix_pool_nodes"] == dict.fromkeys(pools, 1.0)
    assert found["spotmix_pool_nodes_going_away"] == pools
    assert found["spotmix_pool_interruptions_total"] == {("m.large", "a"): 0.0, ("m.large", "b"): 0.0}
    for node in (
        make_node("s1", SPOT, zone="a", going_away="itn", reclaimed=True),
        make_node("d1", ON_DEMAND, going_away="drain"),
    ):
        world.up(node)
    found = await scene.scrape()
    assert found["spotmix_pool_nodes_going_away"][SPOT, "m.large", "a"] == 1.0
    assert found["spotmix_pool_interruptions_total"]["m.large", "a"] == 1.0
    assert found["spotmix_nodes_unnamed"] == {(): 0.0}
    world.up(make_node("r1", "reserved"), make_node("r2", "reserved"), make_node("r3", "reserved", going_away="itn"))
    assert (await scene.scrape())["spotmix_nodes_unnamed"] == {(): 2.0}
    world.gone("nodes", "uid-s1")
    # What only rises stays when the nodes of the pool are gone.
    assert (await scene.scrape())["spotmix_pool_interruptions_total"]["m.large", "a"] == 1.0


async def test_reservations_and_waiting_pods() -> None:
    scene = ScrapeScene()
    offered = scene.world.nodes(on_demand=1)
    owner = scene.world.deployment("web", 2, spot_percentage=50, when_unsatisfiable="wait")
    for _ in range(2):
        scene.world.place(owner, offered)
    scene.world.place(owner, offered, met=False)
    found = await scene.scrape()
    assert found["spotmix_reservations"] == {(SPOT,): 1.0, (ON_DEMAND,): 1.0}
    assert found["spotmix_provisional_reservations"] == {(): 1.0}
    waiting = found["spotmix_pods_waiting"]
    assert (waiting["wait-class",], waiting["pool-full",]) == (1.0, 0.0)


async def test_limits_of_policies() -> None:
    scene = ScrapeScene()
    scene.world.nodes(on_demand=1)
    scene.world.up(make_namespace(), make_namespace("other"), limit_policy("team", "on-demand cpu 1500m"))
    scene.world.up(make_pod("p", None, "on-demand-0", requests=Requests(cpu=1500)))
    found = await scene.scrape()
    key = (ON_DEMAND, "team", "cpu")
    assert found["spotmix_limit"] == found["spotmix_limit_used_most"] == {key: 1.5}
    assert found["spotmix_limit_reached_namespaces"] == {key: 1.0}


async def test_the_drift_loop_before_its_first_plan() -> None:
    found = await ScrapeScene().scrape()
    assert found["spotmix_drift_in_flight"] == found["spotmix_drift_circuits_open"] == {(): 0.0}
    assert found["spotmix_drift_staying_replicas"]["budget",] == 0.0
    assert set(found["spotmix_drift_paused"].values()) == {0.0}


async def test_caches_and_process() -> None:
    scene = ScrapeScene()
    found = await scene.scrape()
    assert found["spotmix_leader"] == {(): 1.0}
    assert [version for _, version in found["spotmix_build_info"]] == [__version__]
    assert found["spotmix_certificate_expiry_timestamp_seconds"] == {("webhook",): 1e9}
    assert found["spotmix_cache_synced"] == {("pods",): 1.0, ("rollouts.argoproj.io",): 0.0}
    assert found["spotmix_cache_staleness_seconds"] == {("pods",): 10.0}
    names = ("failures", "relists", "watch_restarts", "events", "undecodable")
    assert [found[f"spotmix_cache_{name}_total"]["pods",] for name in names] == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("namesakes", [False, True], ids=["each its name", "Jobs of one CronJob"])
async def test_others_have_their_turn_while_many_workloads_are_written(*, namesakes: bool) -> None:
    scene = ScrapeScene(limit=1000)
    many = 5 * SLICE
    if namesakes:
        cron = make_owner("CronJob", "report", labels=ENABLED, annotations=keys(spot_percentage=50))
        jobs = [make_owner("Job", f"report-{n}", 1, owner=cron.ref) for n in range(many)]
        scene.world.up(cron, *jobs, *(make_pod(f"{job.name}-0", job.ref, "spot-0") for job in jobs))
    else:
        scene.world.up(*(make_owner("StatefulSet", f"db-{n}", 1, labels=ENABLED) for n in range(many)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    first, second = await asyncio.gather(scene.scrape(), scene.scrape())
    task.cancel()
    assert turns >= 2 * many // SLICE
    names = 1 if namesakes else many
    assert first["spotmix_workloads"] == second["spotmix_workloads"] == {("enforce",): names, ("audit",): 0.0}
    assert len(first["spotmix_workload_info"]) == names


def families_of(readings: Iterable[Reading]) -> list[str]:
    return [reading.family.name for reading in readings]


def test_nothing_is_read_twice() -> None:
    names = families_of(state_readings(World().state)) + families_of(cache_readings({}, 0.0))
    assert len(names) == len(set(names))
