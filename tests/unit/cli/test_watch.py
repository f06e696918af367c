"""`spotmix watch`: decisions as they come, services that go and come back."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from support.doubles_api import FakeService
from unit.cli.test_service import entry
from unit.kube.fake_api import VirtualTime

from extender.cli import cli
from extender.cli.service import Target
from extender.cli.watch_follow import MEANWHILE, Narrowing, Watching
from extender.cli.watch_text import line_of
from extender.core.answers.decisions import Entry
from extender.core.model.errors import ServiceError
from extender.core.model.reasons import Reason
from extender.settings import Settings
from extender.wire.placement_v1 import NUMBERS, to_message
from spotmix.placement.v1 import placement_pb2 as pb

FOLLOWER: Any = NUMBERS[Reason.NOT_LEADER]
Step = pb.WatchDecisionsResponse | Exception


def answer(*numbers: int, **fields: Any) -> pb.WatchDecisionsResponse:
    return pb.WatchDecisionsResponse(decisions=[to_message(entry(number)) for number in numbers], **fields)


class OverError(Exception):
    """The script has come to its end."""


class Script:
    """Connections, each of which is a list of answers, or the error with which it is not made."""

    def __init__(self, *connections: Sequence[Step] | Exception) -> None:
        self._connections = list(connections)
        self.requests: list[pb.WatchDecisionsRequest] = []

    @contextlib.asynccontextmanager
    async def connect(self, _target: Target, _settings: Settings) -> AsyncIterator["Script"]:
        if not self._connections:
            raise OverError
        self._steps = self._connections.pop(0)
        if isinstance(self._steps, Exception):
            raise self._steps
        yield self

    async def stream(self, method: str, request: Any) -> AsyncGenerator[Any, None]:
        assert method == "WatchDecisions"
        assert not isinstance(self._steps, Exception)
        self.requests.append(request)
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            yield step
        raise ServiceError("the end")


class WatchReader:
    """Who watches: what it was shown and told."""

    def __init__(self, *connections: Sequence[Step] | Exception, target: Target = Target()) -> None:  # noqa: B008 - frozen
        self.script = Script(*connections)
        self.shown: list[Entry] = []
        self.notes: list[str] = []
        self.time = VirtualTime()
        self._watching = Watching(
            target,
            Settings(),
            Narrowing("shop"),
            self.shown.append,
            self.notes.append,
            connect=self.script.connect,
            timing=replace(self.time.timing(), now=lambda: entry(0).at),
        )

    async def watch(self, last: int = 0) -> None:
        with contextlib.suppress(OverError):
            await self._watching.run(last)

    @property
    def numbers(self) -> list[int]:
        return [each.number for each in self.shown]


async def test_decisions_are_shown_as_they_come() -> None:
    reader = WatchReader([answer(1, 2), answer(), answer(3)])
    await reader.watch(last=2)
    assert reader.numbers == [1, 2, 3]
    assert reader.script.requests[0].replay == 2
    assert reader.script.requests[0].namespace == "shop"


async def test_what_was_lost_is_told() -> None:
    reader = WatchReader([answer(), answer(9, lost=1), answer(20, lost=10)])
    await reader.watch()
    assert reader.notes[:2] == [
        "1 decision lost: they came faster than they were read",
        "10 decisions lost: they came faster than they were read",
    ]


async def test_a_service_that_comes_back_is_followed_without_a_gap() -> None:
    gone = ServiceError("h:1: connection refused")
    reader = WatchReader([answer(5, 6)], gone, gone, [answer(-2, -1, 5, 6, 7), answer(8)])
    await reader.watch()
    # The first two were before anybody watched.
    assert reader.numbers == [5, 6, 7, 8]
    assert reader.notes == [
        "lost the service, trying again: the end",
        "following again",
        "lost the service, trying again: the end",
    ]
    assert [request.replay for request in reader.script.requests] == [0, MEANWHILE]
    assert reader.time.slept == [0.1, 0.2, 0.4, 0.1]


async def test_what_was_decided_while_nothing_was_seen_yet_is_shown() -> None:
    reader = WatchReader([answer()], [answer(-1, 1)])
    await reader.watch()
    assert reader.numbers == [1]


async def test_another_replica_that_counts_anew_is_shown_whole() -> None:
    reader = WatchReader([answer(5)], [pb.WatchDecisionsResponse(decisions=[to_message(entry(1, at=entry(6).at))])])
    await reader.watch()
    assert reader.numbers == [5, 1]


async def test_without_a_service_to_begin_with_it_ends() -> None:
    reader = WatchReader(ServiceError("there is no Spotmix in the cluster"))
    with pytest.raises(ServiceError, match="no Spotmix"):
        await reader.watch()
    assert reader.notes == []


async def test_a_replica_that_leads_no_more_is_left() -> None:
    reader = WatchReader([answer(1), answer(obstacle=FOLLOWER), answer(2)], [answer(3)])
    await reader.watch()
    assert reader.numbers == [1, 3]
    assert reader.notes[0] == "another replica makes the decisions now; looking for it"


async def test_a_follower_is_left_once_and_then_put_up_with() -> None:
    reader = WatchReader([answer(obstacle=FOLLOWER)], [answer(obstacle=FOLLOWER), answer(1, obstacle=FOLLOWER)])
    await reader.watch()
    assert reader.numbers == [1]
    assert reader.notes[1].startswith("the replica that is followed makes no decisions: spotmix: this replica is not")


async def test_a_server_that_was_named_is_kept() -> None:
    reader = WatchReader([answer(obstacle=FOLLOWER), answer(1)], target=Target(server="h:1"))
    await reader.watch()
    assert reader.numbers == [1]
    assert reader.notes[0].startswith("the replica that is followed makes no decisions: spotmix: this replica is not")


def test_a_line_says_all_of_a_decision() -> None:
    fallen = entry(1, given="on-demand", reason=Reason.FALLBACK)
    assert line_of(fallen).plain.split()[1:] == [
        "shop/web-1",
        "Deployment/web",
        "spot",
        "on-demand",
        "fallback",
        "9/15",
        "nodes",
    ]
    waits = entry(1, given="", reason=Reason.WAIT_CLASS, passed=0, workload="")
    assert line_of(waits).plain.split()[1:] == ["shop/web-1", "-", "spot", "none", "wait-class", "0/15", "nodes"]


def test_filters_go_to_the_service_json_is_a_line_each_and_ctrl_c_is_130() -> None:
    service = FakeService({"WatchDecisions": [[answer(1, 2)]]})
    options = ["--reason", "fallback", "--reason", "seat", "--class", "spot", "--last", "7", "-o", "json"]
    with service.serving() as address:
        command = [sys.executable, "-m", "extender", "watch", "deploy/web", "-n", "shop", *options, "--server", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
    assert [json.loads(line)["number"] for line in lines] == [1, 2]
    assert process.returncode == 130
    assert "Traceback" not in told
    _, request, _ = service.seen[0]
    assert request == Narrowing("shop", "deploy", "web", "", ("spot",), (Reason.FALLBACK, Reason.SEAT)).request(7)
    assert (request.kind, request.workload, request.replay) == ("deploy", "web", 7)


def test_colours_are_for_terminals() -> None:
    service = FakeService({"WatchDecisions": [[answer(1, 2)]]})
    ours, theirs = pty.openpty()
    with service.serving() as address:
        command = [sys.executable, "-m", "extender", "watch", "-A", "--server", address]
        environ = {**os.environ, "TERM": "xterm", "NO_COLOR": ""}
        with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environ) as process:
            seen = b""
            while seen.count(b"\n") < 2:
                seen += os.read(ours, 65536)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
    assert b"\x1b[32mspot\x1b[0m" in seen


def test_a_reader_that_has_enough_ends_it_without_a_word() -> None:
    service = FakeService({"WatchDecisions": [[answer(1)], [answer(2)]]})
    with service.serving() as address:
        command = [sys.executable, "-m", "extender", "watch", "-A", "--server", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "shop/web-1" in process.stdout.readline()
            process.stdout.close()
            assert process.stderr is not None
            told = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["pod"], "is no TYPE/NAME"),
        (["-n", "a", "-A"], "-n and -A exclude each other"),
        (["--reason", "unmanaged"], "'unmanaged' is not one of 'seat'"),
        (["--last", "10001"], "not in the range"),
    ],
)
def test_what_cannot_be_watched(options: list[str], text: str) -> None:
    ran = CliRunner().invoke(cli, ["watch", *options, "--server", "127.0.0.1:1"])
    assert ran.exit_code == 2
    assert text in ran.output
