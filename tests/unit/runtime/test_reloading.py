"""A configuration that changes while the process runs: what is taken up, and who is told of what is not."""

import asyncio
import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.doubles import World, make_owner, make_pod
from support.doubles_kube import KubeClient, StoredObjects
from support.doubles_servers import run_virtually

from extender.core.model.errors import ConfigError
from extender.kube.occurrences import RETELL
from extender.kube.recorder import EventRecorder
from extender.kube.seams import Timing
from extender.runtime import Runtime, writers
from extender.runtime.injector import Injector
from extender.runtime.reloading import LOOK, ReloadEvents, Reloading
from extender.runtime.sources import mode_of
from extender.runtime.webhook import Webhook
from extender.runtime.writers import Writers
from extender.settings import (
    LEAVES,
    ConfigSource,
    Leaf,
    Settings,
    default_annotations,
    load_settings,
    stanza_from,
)
from extender.settings.rules import drift_options, drift_rules, mutation_rules, rules_of
from extender.telemetry.metrics import RELOADS

HEAD = "apiVersion: spotmix.io/v1alpha1\nkind: SpotmixConfiguration\n"


class Process:
    """What reloads, with a file of its own, and what came of it."""

    def __init__(self, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.file = folder / "spotmix.yaml"
        self.file.write_text(HEAD)
        self.taken: list[Settings] = []
        self.outcomes: list[str] = []
        source = ConfigSource(lambda: load_settings(str(self.file), environ=environ or {}), str(self.file))
        self.now = 1000.0
        self.reloading = Reloading(source.load(), source, self.take_up, self.outcomes.append, now=lambda: self.now)
        self.broken = False

    def take_up(self, settings: Settings) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        self.taken.append(settings)

    def write(self, text: str) -> None:
        self.file.write_text(HEAD + text)
        self.now += 1
        self.reloading.look()

    def reading(self, name: str) -> dict[tuple[str, ...], float]:
        return {
            key: value
            for each in self.reloading.readings()
            if each.family.name == f"spotmix_config_{name}"
            for key, value in each.values.items()
        }


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_a_file_is_taken_up_when_it_changes_and_only_then(process: Process) -> None:
    process.reloading.look()
    assert process.outcomes == []
    process.write("log: {level: debug}\n")
    process.reloading.look()
    assert process.outcomes == ["applied"]
    (taken,) = process.taken
    assert taken.log.level == process.reloading.settings.log.level == "debug"
    process.write("# nothing else\nlog: {level: debug}\n")
    assert process.outcomes == ["applied", "unchanged"]
    assert process.reading("last_reload_success_timestamp_seconds") == {(): 1002.0}


def test_a_wrong_file_changes_nothing_until_it_is_put_right(process: Process) -> None:
    process.write("log: {level: debug}\n")
    process.write("log: {level: loud}\ndrift: {dwell: 1m}\n")
    assert process.reloading.settings.drift.dwell == "5m"
    assert process.reloading.settings.log.level == "debug"
    assert "'loud'" in process.reloading.fault
    assert process.reading("last_reload_successful") == {(): 0}
    process.file.unlink()
    process.reloading.look()
    assert "cannot be read" in process.reloading.fault
    process.write("log: {level: debug}\ndrift: {dwell: 1m}\n")
    assert process.outcomes == ["applied", "invalid", "invalid", "applied"]
    assert process.reloading.fault == ""
    assert process.reading("last_reload_successful") == {(): 1}
    assert set(process.outcomes) <= set(RELOADS)


def test_what_needs_a_restart_is_named_until_it_is_as_it_was(process: Process) -> None:
    process.write('log: {level: debug, format: json}\nmetrics: {addr: ":1"}\n')
    assert process.outcomes == ["restart"]
    assert process.reading("restart_required") == {("metrics.addr",): 1, ("log.format",): 1}
    assert process.reading("last_reload_successful") == {(): 1}
    process.write("log: {level: debug}\n")
    assert process.reading("restart_required") == {}
    assert process.outcomes == ["restart", "unchanged"]


def test_flags_and_environment_still_outrank_the_file(tmp_path: Path) -> None:
    process = Process(tmp_path, {"SPOTMIX_LOG_LEVEL": "error"})
    process.write("log: {level: debug}\n")
    assert process.outcomes == ["unchanged"]
    assert process.reloading.settings.log.level == "error"


def test_a_signal_reads_a_file_that_looks_as_it_was(process: Process) -> None:
    process.reloading.ask()
    process.reloading.look()
    assert process.outcomes == ["unchanged"]


def test_a_fault_of_our_own_is_told_like_a_wrong_file(process: Process) -> None:
    process.broken = True
    process.write("log: {level: debug}\n")
    assert process.outcomes == ["invalid"]
    assert "RuntimeError" in process.reloading.fault
    assert process.reloading.settings.log.level == "info"


class Told:
    """Events of a process whose pod is known, within an event loop."""

    def __init__(self, *objects: Any) -> None:
        self.world, self.objects, self.leads = World(), StoredObjects(), True
        self.world.up(*objects)
        self.timing = Timing(clock=asyncio.get_running_loop().time)
        self.recorder = EventRecorder(KubeClient(self.objects), lambda *_: None, timing=self.timing)
        self.recorder.start()
        self.events = ReloadEvents(self.world.state, self.recorder, lambda: self.leads, timing=self.timing)

    async def seen(self) -> Sequence[dict[str, Any]]:
        await asyncio.sleep(1)
        return [body for path, body in self.objects.stored.items() if "/events/" in path]


def test_events_are_posted_on_our_deployment_by_the_leader_and_again_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POD_NAME", "spotmix-1-a")
    monkeypatch.setenv("POD_NAMESPACE", "spotmix-system")

    async def main() -> None:
        top = make_owner("Deployment", "spotmix", 2, namespace="spotmix-system")
        rs = make_owner("ReplicaSet", "spotmix-1", 2, owner=top.ref, namespace="spotmix-system")
        pod = make_pod("p", rs.ref, "on-demand-0", name="spotmix-1-a", namespace="spotmix-system")
        told = Told(top, rs, pod)
        told.leads = False
        told.events.tell("log.level is wrong", ())
        assert await told.seen() == []
        told.leads = True
        for _ in range(3):
            told.events.tell("log.level is wrong", ("metrics.addr",))
        one, other = await told.seen()
        assert (one["reason"], other["reason"]) == ("ConfigInvalid", "ConfigNeedsRestart")
        assert (one["regarding"]["kind"], one["regarding"]["name"]) == ("Deployment", "spotmix")
        assert one["note"].endswith("log.level is wrong")
        assert "metrics.addr" in other["note"]
        told.events.tell("", ())
        told.events.tell("log.level is wrong", ())
        await asyncio.sleep(RETELL)
        told.events.tell("log.level is wrong", ())
        await asyncio.sleep(60)
        assert [each["reason"] for each in await told.seen()].count("ConfigInvalid") == 1
        assert (await told.seen())[0]["series"]["count"] == 3

    run_virtually(main)


def test_without_a_deployment_they_are_on_the_pod_and_without_a_pod_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "spotmix")
    monkeypatch.setenv("POD_NAMESPACE", "spotmix-system")

    async def main() -> None:
        told = Told()
        told.events.tell("log.level is wrong", ())
        assert await told.seen() == []
        told.world.up(make_pod("p", None, name="spotmix", namespace="spotmix-system"))
        told.events.tell("log.level is wrong", ())
        (event,) = await told.seen()
        assert event["regarding"]["kind"] == "Pod"

    run_virtually(main)


def test_the_file_is_looked_at_every_few_seconds(process: Process) -> None:
    async def main() -> None:
        told = Told()
        task = asyncio.create_task(process.reloading.run(told.events))
        process.file.write_text(HEAD + "log: {level: debug}\n")
        await asyncio.sleep(LOOK + 1)
        assert process.outcomes == ["applied"]
        process.reloading.ask()
        await asyncio.sleep(0.1)
        assert process.outcomes == ["applied", "unchanged"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)


def test_a_source_that_cannot_load_raises(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_settings(str(tmp_path / "none.yaml"), environ={})


TAKERS = (
    Runtime._take_up,
    Writers.go_by,
    writers._releases,
    Webhook.go_by,
    Injector.go_by,
    mode_of,
    rules_of,
    mutation_rules,
    drift_options,
    drift_rules,
    default_annotations,
    stanza_from,
)
"""What hands settings on while all runs, and makes rules of them."""


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf.reloads], ids=lambda leaf: leaf.key)
def test_whoever_takes_settings_up_reads_each_that_is_marked_so(leaf: Leaf) -> None:
    name = re.sub("[A-Z]", lambda upper: f"_{upper[0].lower()}", leaf.path[-1])
    assert any(re.search(rf"\.{name}\b", inspect.getsource(taker)) for taker in TAKERS), "nobody takes it up"
