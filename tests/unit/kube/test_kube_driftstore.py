"""The drift loop's store: made, taken over, fenced, bounded."""

from collections.abc import Mapping
from typing import Any

import pytest
from support.doubles_kube import KubeClient, StoredObjects, refusal

from extender.core.model.errors import ApiError, WireError
from extender.kube.driftstore import MAX_BYTES, TERM_ANNOTATION, DriftStore, StoreFullError

PATH = "/api/v1/namespaces/system/configmaps/spotmix-drift"


def a_store(objects: StoredObjects) -> tuple[DriftStore, KubeClient]:
    client = KubeClient(objects)
    return DriftStore(client, "system", "spotmix-drift"), client


def data(objects: StoredObjects) -> Mapping[str, str]:
    found: Mapping[str, str] = objects.stored[PATH].get("data", {})
    return found


async def test_it_is_made_when_it_is_not_there_and_keeps_what_others_hold() -> None:
    objects = StoredObjects()
    store, client = a_store(objects)
    assert await store.take_over("first") == {}
    assert objects.stored[PATH]["metadata"]["annotations"] == {TERM_ANNOTATION: "first"}
    await store.write({"a": "1", "b": "2"})
    await store.write({"b": None, "c": "3"})
    assert data(objects) == {"a": "1", "c": "3"}
    assert await store.review() == (data(objects), set())
    assert store.sizes == {"a": 2, "c": 2}
    later, _ = a_store(objects)
    assert await later.take_over("second") == {"a": "1", "c": "3"}
    assert later.sizes == {"a": 2, "c": 2}
    assert {method for method, _ in client.seen} == {"GET", "POST", "PATCH"}


async def test_a_former_leader_writes_no_more() -> None:
    objects = StoredObjects()
    former, _ = a_store(objects)
    await former.take_over("first")
    await former.write({"a": "1"})
    successor, _ = a_store(objects)
    await successor.take_over("second")
    with pytest.raises(ApiError, match="taken over by 'second'"):
        await former.write({"a": "2"})
    assert data(objects) == {"a": "1"}
    await successor.write({"a": "3"})
    assert data(objects) == {"a": "3"}


async def test_what_a_person_writes_meanwhile_is_no_hindrance() -> None:
    objects = StoredObjects()
    store, _ = a_store(objects)
    await store.take_over("first")
    objects.put(PATH, {**objects.stored[PATH], "data": {"note": "by hand"}})
    await store.write({"a": "1"})
    assert data(objects) == {"note": "by hand", "a": "1"}


async def test_what_a_person_removes_is_told_once() -> None:
    objects = StoredObjects()
    store, _ = a_store(objects)
    await store.take_over("first")
    await store.write({"a": "1", "b": "2"})
    objects.put(PATH, {**objects.stored[PATH], "data": {"b": "2", "note": "by hand"}})
    assert await store.review() == ({"b": "2", "note": "by hand"}, {"a"})
    assert await store.review() == ({"b": "2", "note": "by hand"}, set())
    assert store.sizes == {"b": 2}


async def test_a_write_whose_answer_was_lost_is_no_hindrance() -> None:
    objects = StoredObjects()
    store, client = a_store(objects)
    await store.take_over("first")

    async def lost(*arguments: Any, **given: Any) -> bytes:
        await KubeClient.request(client, *arguments, **given)
        raise refusal(0, "the answer was lost")

    client.request = lost  # type: ignore[method-assign]  # the double's answers are lost on the way
    with pytest.raises(ApiError, match="lost"):
        await store.write({"a": "1"})
    del client.request
    await store.write({"b": "2"})
    assert data(objects) == {"a": "1", "b": "2"}


async def test_others_that_never_stop_writing_are_given_up_on() -> None:
    objects = StoredObjects()
    store, client = a_store(objects)
    await store.take_over("first")

    def before(method: str, _path: str) -> None:
        if method == "PATCH":
            objects.put(PATH, objects.stored[PATH])

    client.before = before
    with pytest.raises(ApiError, match="Conflict"):
        await store.write({"a": "1"})


async def test_a_store_that_was_deleted_is_made_anew_by_taking_it_over() -> None:
    objects = StoredObjects()
    store, _ = a_store(objects)
    await store.take_over("first")
    objects.delete(PATH)
    with pytest.raises(ApiError) as caught:
        await store.write({"a": "1"})
    assert caught.value.status == 404
    assert await store.take_over("first") == {}
    await store.write({"a": "1"})
    assert data(objects) == {"a": "1"}


async def test_more_than_a_configmap_holds_is_refused_before_it_is_sent() -> None:
    objects = StoredObjects()
    store, client = a_store(objects)
    await store.take_over("first")
    half = "x" * (MAX_BYTES // 2 - 1)
    await store.write({"a": half})
    sent = len(client.seen)
    with pytest.raises(StoreFullError, match=str(MAX_BYTES)):
        await store.write({"b": half, "c": "1"})
    assert len(client.seen) == sent
    await store.write({"b": half})
    # Replacing one counts it once.
    await store.write({"a": half, "b": None})
    assert store.sizes == {"a": MAX_BYTES // 2}


async def test_what_is_no_configmap_is_an_error() -> None:
    objects = StoredObjects()
    objects.put(PATH, {"data": {"a": 1}})
    store, _ = a_store(objects)
    with pytest.raises(WireError, match=r"system/spotmix-drift does not decode.*data"):
        await store.take_over("first")


async def test_a_store_that_may_not_be_read_is_an_error() -> None:
    objects = StoredObjects()
    store, client = a_store(objects)

    def before(_method: str, _path: str) -> None:
        raise refusal(403, "Forbidden")

    client.before = before
    with pytest.raises(ApiError, match="Forbidden"):
        await store.take_over("first")
