"""How placeholders are made and deleted, and what is told of them, in virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from support.doubles import make_node, make_pod
from support.doubles_drift import DriftRoom
from support.doubles_kube import KubeClient, StoredObjects, refusal
from support.doubles_servers import run_virtually

from extender.core.drift.moves import Wish, WorkloadRef
from extender.core.drift.placeholder import PREFIX, placeholder_label
from extender.core.drift.placeholders import AGAIN
from extender.core.model.objects import OwnerRef
from extender.kube.placeholders import PlaceholderPods
from extender.runtime.drift.placeholders import PlaceholderLoop
from extender.wire.placeholder_v1 import Making

PODS = "/api/v1/namespaces/system/pods"
WEB = "uid-Deployment-web"
LEASE = OwnerRef("uid-lease", "coordination.k8s.io/v1", "Lease", "spotmix")
BROKEN = OwnerRef("", "v1", "Broken", "broken")
"""Asking for it meets a bug."""
MARK = ("karpenter.sh/capacity-type", "spot")


class PodsClient(KubeClient):
    """Lists and deletes pods, too, and gives those that are made a UID.

    Attributes:
        deleted: names of the pods whose deletion was asked for.
    """

    def __init__(self, objects: StoredObjects) -> None:
        super().__init__(objects)
        self.deleted: list[str] = []

    def _serve(self, method: str, path: str, body: Mapping[str, Any], content_type: str) -> Mapping[str, Any]:
        stored = self.objects.stored
        if method == "GET" and path == PODS:
            return {"items": [found for at, found in stored.items() if at.startswith(f"{PODS}/")]}
        if method == "DELETE":
            self.deleted.append(path.rpartition("/")[2])
            if path not in stored:
                raise refusal(404, "NotFound")
            uid = body.get("preconditions", {}).get("uid", stored[path]["metadata"]["uid"])
            if stored[path]["metadata"]["uid"] != uid:
                raise refusal(409, "Conflict")
            self.objects.delete(path)
            return {}
        if method == "POST" and path == PODS:
            metadata = {**body["metadata"], "uid": f"uid-{body['metadata']['name']}"}
            return super()._serve(method, path, {**body, "metadata": metadata}, content_type)
        return super()._serve(method, path, body, content_type)


class Place:
    """Placeholders that are carried out against an API server, on behalf of ten pods of `web`.

    Attributes:
        api: the API server.
        owners: what placeholders belong to, each time that is asked.
    """

    def __init__(self) -> None:
        self.room = DriftRoom(placeholders=3)
        self.api = PodsClient(self.room.objects)
        self.owners: list[OwnerRef | None] = [None]
        self.wishes: list[Wish] = []
        self.room.world.up(make_node("on-demand-0", "on-demand"), make_node("full", marks=(MARK,), labels=dict([MARK])))
        self._stand_in()
        context = replace(self.room.context, client=self.api)
        controller = self.room.drift.placeholders
        self.loop = PlaceholderLoop(
            self.room.world.state, controller, context, self.room.channels, Making("system", "pause"), self._owner
        )

    def _stand_in(self) -> None:
        world = self.room.world
        owner = world.deployment("web", 10, spot_percentage=70, enforcement="affinity")
        workload = WorkloadRef(WEB, "Deployment", "shop", "web", owner.uid)
        for name in world.pods(owner, 10, "on-demand-0", written="on-demand"):
            self.room.cluster.show(make_pod(name, owner, "on-demand-0"))
            self.wishes.append(Wish(world.state.pods[name].id, workload, "spot"))

    async def _owner(self, _pods: PlaceholderPods) -> OwnerRef | None:
        owner = self.owners[0] if len(self.owners) == 1 else self.owners.pop(0)
        if owner is BROKEN:
            raise RuntimeError("a bug")
        return owner

    def want(self, count: int) -> None:
        """The drift loop has as many pods that it would move if there were room."""
        self.loop.controller.want(WEB, self.wishes[:count])

    @contextlib.asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """This replica decides."""
        self.room.recorder.start()
        task = asyncio.create_task(self.loop.run())
        await self.room.after(0.1)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.room.recorder.drain(60.0)

    @property
    def there(self) -> dict[str, dict[str, Any]]:
        """The pods in the namespace of placeholders."""
        stored = self.room.objects.stored
        return {path.rpartition("/")[2]: body for path, body in stored.items() if path.startswith(f"{PODS}/")}

    def ended(self, ending: str) -> float | None:
        """How many ended so."""
        labels = {"capacity_class": "spot", "outcome": ending}
        return self.room.registry.get_sample_value("spotmix_placeholders_ended_total", labels)


def told(check: Callable[[Place], Awaitable[None]]) -> None:
    """Run a check in virtual time."""

    async def main() -> None:
        await check(Place())

    run_virtually(main)


def test_what_is_wanted_is_made_at_once_and_told() -> None:
    async def check(place: Place) -> None:
        async with place.leading():
            place.want(2)
            await place.room.after(0.1)
            assert sorted(place.there) == [f"{PREFIX}{wish.pod.uid}" for wish in place.wishes[:2]]
            body = place.there[f"{PREFIX}web-1-0"]
            assert body["metadata"]["labels"][placeholder_label("spotmix.io")] == "web-1-0"
            assert body["spec"]["containers"][0]["image"] == "pause"
        notes = place.room.events("PlaceholderAsked")
        assert notes
        assert all("spot node" in note for note in notes)

    told(check)


def test_what_is_wanted_no_more_is_deleted_and_counted() -> None:
    async def check(place: Place) -> None:
        async with place.leading():
            place.want(2)
            await place.room.after(0.1)
            place.want(0)
            await place.room.after(1.0)
            assert not place.there
        assert place.ended("unneeded") == 2

    told(check)


def test_what_others_left_goes_first_and_what_only_looks_like_ours_stays() -> None:
    async def check(place: Place) -> None:
        for name in (f"{PREFIX}stray", "somebodys"):
            place.room.objects.put(f"{PODS}/{name}", {"metadata": {"name": name, "uid": name}})
        async with place.leading():
            assert sorted(place.there) == ["somebodys"]

    told(check)


def test_they_belong_to_what_takes_them_along() -> None:
    async def check(place: Place) -> None:
        place.owners = [None, LEASE]
        async with place.leading():
            place.want(1)
            await place.room.after(0.1)
            place.want(2)
            await place.room.after(1.0)
            first, second = (place.there[f"{PREFIX}web-1-{number}"]["metadata"] for number in (0, 1))
            # The first was made before there was anything to belong to.
            assert "ownerReferences" not in first
            assert [owner["name"] for owner in second["ownerReferences"]] == ["spotmix"]

    told(check)


def test_what_the_api_server_denies_is_told_of() -> None:
    def deny(method: str, path: str) -> None:
        if (method, path) == ("POST", PODS):
            raise refusal(403, "exceeded quota")

    async def check(place: Place) -> None:
        place.api.before = deny
        async with place.leading():
            place.want(1)
            await place.room.after(1.0)
        (note,) = place.room.events("PlaceholderDenied")
        assert "exceeded quota" in note
        assert place.ended("denied") == 1
        assert any("exceeded quota" in report for report in place.room.reports)

    told(check)


def test_one_whose_pod_was_made_anew_is_not_made() -> None:
    async def check(place: Place) -> None:
        place.room.cluster.show(make_pod("another", None, "on-demand-0", name="web-1-0"))
        async with place.leading():
            place.want(1)
            await place.room.after(1.0)
            assert not place.there
            # It is tried again, not given up.
            place.room.cluster.show(make_pod("web-1-0", None, "on-demand-0"))
            await place.room.after(AGAIN)
            assert list(place.there) == [f"{PREFIX}web-1-0"]
        assert place.ended("denied") == 0

    told(check)


def test_one_that_was_not_answered_may_be_there_and_is_deleted() -> None:
    answers = [refusal(0, "no answer")]

    async def check(place: Place) -> None:
        def before(method: str, path: str) -> None:
            if (method, path) == ("POST", PODS) and answers:
                raise answers.pop()

        place.api.before = before
        async with place.leading():
            place.want(1)
            await place.room.after(1.0)
            assert place.api.deleted == [f"{PREFIX}web-1-0"]
            assert not place.there
            await place.room.after(AGAIN)
            assert list(place.there) == [f"{PREFIX}web-1-0"]

    told(check)


def test_a_replica_that_decides_no_more_makes_and_deletes_nothing() -> None:
    async def check(place: Place) -> None:
        async with place.leading():
            place.want(1)
            await place.room.after(0.1)
            place.room.decides = False
            place.want(3)
            await place.room.after(AGAIN)
            place.want(0)
            await place.room.after(AGAIN)
            await place.loop.leave()
            assert list(place.there) == [f"{PREFIX}web-1-0"]
            assert not place.api.deleted

    told(check)


def test_a_deletion_that_fails_is_tried_again() -> None:
    answers = [refusal(500, "no")]

    async def check(place: Place) -> None:
        def before(method: str, _path: str) -> None:
            if method == "DELETE" and answers:
                raise answers.pop()

        async with place.leading():
            place.want(1)
            await place.room.after(0.1)
            place.api.before = before
            place.want(0)
            await place.room.after(1.0)
            assert place.there
            assert place.ended("unneeded") == 0
            await place.room.after(AGAIN)
            assert not place.there
        assert place.ended("unneeded") == 1

    told(check)


def test_a_bug_with_one_does_not_keep_the_others() -> None:
    async def check(place: Place) -> None:
        place.owners = [BROKEN, LEASE]
        async with place.leading():
            place.want(3)
            await place.room.after(0.1)
            assert len(place.there) == 2
            await place.room.after(2 * AGAIN)
            assert len(place.there) == 3
        assert any("a bug" in report for report in place.room.reports)

    told(check)


def test_one_that_ends_in_order_leaves_none_not_even_what_is_being_made() -> None:
    async def check(place: Place) -> None:
        async with place.leading():
            place.want(3)
            await place.room.after(0.0005)
            await place.loop.leave()
            await place.room.after(1.0)
            assert not place.there

    told(check)


def test_one_that_cannot_reach_the_api_ends_all_the_same() -> None:
    async def check(place: Place) -> None:
        async with place.leading():
            place.want(1)
            await place.room.after(0.1)
            place.api.silent = True
            await place.loop.leave()
        assert any("placeholders may be left" in report for report in place.room.reports)

    told(check)
