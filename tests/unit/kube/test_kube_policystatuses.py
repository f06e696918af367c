"""Statuses of policy objects on their way to the API server: what is sent, and what becomes of refusals."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import World, make_policy, shares
from support.doubles_servers import run_virtually

from extender.core.model.errors import ApiError
from extender.core.policystatus.controller import PAUSE, PolicyStatusController
from extender.kube.client import APPLY_PATCH
from extender.kube.policystatuses import PolicyStatusWriter


class PatchedPolicies:
    """An API that takes patches, and answers with an error first where it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, str], Any]] = []
        self.told: list[Exception] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        assert (method, content_type) == ("PATCH", APPLY_PATCH)
        self.sent.append((path, params or {}, json.loads(json.dumps(body))))
        if self.told:
            raise self.told.pop(0)
        return b"{}"


class StatusOffice:
    """A world with policies, the controller and the writer. Made within a virtual event loop."""

    def __init__(self) -> None:
        self.world, self.api = World(), PatchedPolicies()
        self.now, self.decides, self.answers = 1000.0, True, 0
        self.reports: list[str] = []
        self.controller = PolicyStatusController(self.world.state)
        self.writer = PolicyStatusWriter(
            self.api,
            self.controller,
            lambda: self.decides,
            self._answered,
            lambda _, text: self.reports.append(text),
            now=lambda: self.now,
        )

    def _answered(self) -> None:
        self.answers += 1

    async def step(self) -> None:
        self.controller.observe(self.now)
        for action in self.controller.due(self.now):
            self.writer.perform(action)
        task = asyncio.create_task(self.writer.run())
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_status_is_applied_under_our_name_to_the_object_that_it_is_about() -> None:
    async def main() -> None:
        office = StatusOffice()
        office.world.up(make_policy("web", **shares(70)))
        await office.step()
        ((path, params, body),) = office.api.sent
        assert path == "/apis/spotmix.io/v1alpha1/namespaces/shop/placementpolicies/web/status"
        assert params == {"fieldManager": "spotmix", "force": "true"}
        assert (body["metadata"]["uid"], body["status"]["observedGeneration"]) == ("uid-web", 1)
        assert set(body) == {"apiVersion", "kind", "metadata", "status"}
        assert office.answers == 1

    run_virtually(main)


def test_one_of_the_cluster_has_no_namespace() -> None:
    async def main() -> None:
        office = StatusOffice()
        office.world.up(make_policy("web", of_cluster=True, **shares(70)))
        await office.step()
        assert [path for path, *_ in office.api.sent] == [
            "/apis/spotmix.io/v1alpha1/clusterplacementpolicies/web/status"
        ]

    run_virtually(main)


@pytest.mark.parametrize(
    ("error", "reports", "again"),
    [
        (ApiError("no such", status=404), 0, 0),
        (ApiError("metadata.uid: mismatch", status=409), 0, 0),
        (ApiError("forbidden", status=403), 1, 1),
        (ApiError("away", status=0), 1, 1),
        (RuntimeError("a bug"), 1, 1),
    ],
)
def test_a_refusal_is_told_and_tried_again_unless_the_object_is_gone(
    error: Exception, reports: int, again: int
) -> None:
    async def main() -> None:
        office = StatusOffice()
        office.world.up(make_policy("web", **shares(70)))
        office.api.told = [error]
        await office.step()
        office.now += PAUSE
        await office.step()
        assert (len(office.reports), len(office.api.sent)) == (reports, 1 + again)

    run_virtually(main)


def test_what_is_counted_on_is_written_over_the_version_alone_that_it_was_counted_from() -> None:
    async def main() -> None:
        office = StatusOffice()
        thing = make_policy("ci", count="Runs", version="7", **shares(70))
        office.world.up(thing)
        office.api.told = [ApiError("the object has been modified", status=409)]
        await office.step()
        office.world.up(replace(thing, version="8"))
        office.now += PAUSE
        await office.step()
        assert [body["metadata"]["resourceVersion"] for _, _, body in office.api.sent] == ["7", "8"]
        assert office.reports == []

    run_virtually(main)


def test_nothing_is_sent_by_a_replica_that_does_not_decide() -> None:
    async def main() -> None:
        office = StatusOffice()
        office.world.up(make_policy("web", **shares(70)))
        office.decides = False
        await office.step()
        assert office.api.sent == []
        office.decides = True
        office.now += PAUSE
        await office.step()
        assert len(office.api.sent) == 1

    run_virtually(main)


def test_what_was_left_when_it_ended_is_not_sent_later() -> None:
    async def main() -> None:
        office = StatusOffice()
        thing = make_policy("web", **shares(70))
        office.world.up(thing)
        (action,) = office.controller.due(office.now)
        office.writer.perform(action)
        task = asyncio.create_task(office.writer.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        office.api.sent.clear()
        office.world.up(replace(thing, status=action.status))
        await office.step()
        assert office.api.sent == []

    run_virtually(main)
