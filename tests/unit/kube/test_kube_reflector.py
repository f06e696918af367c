"""The reflector against every fault of a server and a network that it must survive."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from unit.kube.fake_api import (
    CUT,
    HANG,
    FakeApi,
    FakeResource,
    Fault,
    Store,
    ThingDecoder,
    VirtualTime,
    bookmark,
    error_line,
    line,
    thing,
    write_kubeconfig,
)
from unit.kube.reflected import follow

from extender.core.model.errors import ApiError
from extender.core.state.events import Event, Gone, Listed, Upsert
from extender.kube.client import WATCH_IDLE_TIMEOUT, ApiClient
from extender.kube.reflector import Reflector, WatchOptions
from extender.kube.resources import NAMESPACES, ApiResource, events_of


async def test_pages_are_applied_then_the_watch_goes_on_from_the_list(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing(f"n{i}") for i in range(5)]
        resource.watch_scripts.append([line("ADDED", thing("new", 11)), line("DELETED", thing("n0", 12)), HANG])

    async with follow(api, tmp_path, time, script, page_size=2) as world:
        await world.store.until("n1", "n2", "n3", "n4", "new")
        assert [q.get("continue") for q in world.resource.lists] == [None, "2", "4"]
        query = world.resource.watches[0]
        assert query["resourceVersion"] == "10"
        assert query["allowWatchBookmarks"] == "true"
        assert 300 <= int(query["timeoutSeconds"]) <= 600
        listed = [event for event in world.store.events if isinstance(event, Listed)]
        assert listed == [Listed("namespaces", frozenset(f"uid-n{i}" for i in range(5)))]
        health = world.reflector.health()
        assert health.synced
        assert (health.relists, health.failures, health.last_error, health.events) == (0, 0, "", 7)
        assert health.rewatches == 0
        assert health.last_contact == time.now


async def test_where_nothing_is_told_of_silence_the_server_ends_watches_before_it_counts_as_a_fault(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts.append([])

    async with follow(api, tmp_path, time, script, resource=events_of("Nominated")) as world:
        await world.settled()
        for query in world.resource.watches:
            assert query["fieldSelector"] == "reason=Nominated"
            assert int(query["timeoutSeconds"]) < WATCH_IDLE_TIMEOUT
        assert world.resource.looked_for == {"limit": "1"}, "of a selected one the server would read all"
        assert (world.reports, world.reflector.health().failures) == ([], 0)


class Quiet:
    """A client of a store in which nothing happens that is followed: watches end after 75 s."""

    def __init__(self, path: str, time: VirtualTime) -> None:
        self.path, self.time, self.version = path, time, 10
        self.watched: list[str] = []
        self.lists = 0

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, **_options: Any
    ) -> bytes:
        assert (method, path) == ("GET", self.path)
        self.lists += (params or {}).get("limit") != "1"
        return json.dumps({"metadata": {"resourceVersion": str(self.version)}, "items": []}).encode()

    async def watch(self, path: str, params: Mapping[str, str], **options: Any) -> AsyncGenerator[bytes, None]:
        assert path == self.path
        options["on_open"]()
        self.watched.append(params["resourceVersion"])
        self.version += 100
        self.time.now += 75.0
        if len(self.watched) == 4:
            await asyncio.Event().wait()
        for line_ in list[bytes]():
            yield line_


@pytest.mark.parametrize(
    ("resource", "versions"),
    [(events_of("Nominated"), ["10", "10", "110", "210"]), (NAMESPACES, ["10", "10", "10", "10"])],
    ids=["events", "with bookmarks"],
)
async def test_a_version_that_nothing_moves_on_is_moved_by_what_a_watch_that_lived_began_after(
    time: VirtualTime, resource: ApiResource, versions: list[str]
) -> None:
    api = Quiet(resource.path, time)
    reflector = Reflector(
        api, resource, ThingDecoder(), lambda _event: None, lambda _key, _text: None, timing=time.timing()
    )
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(10):
        while len(api.watched) < len(versions):  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (api.watched, api.lists) == (versions, 1)


class Pages:
    """A client whose lists have `count` pages of one thing. The page `hanging` never comes; watches end at once."""

    def __init__(self, count: int, hanging: str = "") -> None:
        self.count, self.hanging = count, hanging
        self.asked: list[str | None] = []
        self.given_up = asyncio.Event()

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, **_options: Any
    ) -> bytes:
        assert (method, path) == ("GET", NAMESPACES.path)
        at = (params or {}).get("continue")
        self.asked.append(at)
        if at == self.hanging:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.set()
        number = int(at or 0)
        meta = {"resourceVersion": "10", **({"continue": str(number + 1)} if number + 1 < self.count else {})}
        return json.dumps({"metadata": meta, "items": [thing(f"n{number}")]}).encode()

    async def watch(self, *_arguments: Any, **_options: Any) -> AsyncGenerator[bytes, None]:
        for line_ in list[bytes]():
            yield line_


async def test_the_next_page_is_asked_for_before_a_page_is_applied(time: VirtualTime) -> None:
    api, seen = Pages(3), list[tuple[str, int]]()

    def sink(event: Event) -> None:
        seen.append((event.object.name if isinstance(event, Upsert) else type(event).__name__, len(api.asked)))

    reflector = Reflector(api, NAMESPACES, ThingDecoder(), sink, lambda _key, _text: None, timing=time.timing())
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(10):
        await reflector.synced.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [("n0", 2), ("n1", 3), ("n2", 3), ("Listed", 3)]
    assert api.asked == [None, "1", "2"]


async def test_a_sink_that_raises_gives_the_next_page_up(time: VirtualTime) -> None:
    api, told = Pages(3, hanging="1"), asyncio.Event()

    def sink(_event: Event) -> None:
        raise ValueError("full")

    reflector = Reflector(api, NAMESPACES, ThingDecoder(), sink, lambda _key, _text: told.set(), timing=time.timing())
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(10):
        await told.wait()
        await api.given_up.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert api.asked[:2] == [None, "1"]


async def test_a_disconnect_resumes_from_the_last_version_without_a_list(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [
            [line("ADDED", thing("a", 11)), CUT],
            [bookmark(20)],
            [line("ADDED", thing("b", 21)), line("MODIFIED", thing("a", 22))[:30], CUT],
            [HANG],
        ]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert [q["resourceVersion"] for q in world.resource.watches] == ["10", "11", "20", "21"]
        assert len(world.resource.lists) == 1
        assert set(world.store.names.values()) == {"a", "b"}
        # The watch that the server ended in good order is no failure.
        assert world.reflector.health().failures == 2


@pytest.mark.parametrize("expiry", [[error_line(410)], Fault(410, "Expired")])
async def test_an_expired_watch_lists_again_and_loses_no_delete(
    api: FakeApi, tmp_path: Path, time: VirtualTime, expiry: Fault | list[bytes | str]
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing("kept"), thing("deleted")]
        resource.watch_scripts += [expiry, [HANG]]

        original = resource._watch

        async def watch(request: web.Request) -> web.StreamResponse:
            resource.items = [thing("kept"), thing("added")]
            resource.version = 50
            return await original(request)

        resource._watch = watch  # type: ignore[method-assign]  # time passes just before the watch

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert set(world.store.names.values()) == {"kept", "added"}
        assert [q["resourceVersion"] for q in world.resource.watches] == ["10", "50"]
        assert world.reflector.health().relists == 1
        # Nothing went wrong: an expired version is the protocol.
        assert world.reports == []


async def test_an_expired_continue_token_starts_the_list_over_with_bigger_pages(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing(f"n{i}") for i in range(5)]
        resource.list_faults += [None, Fault(410, "Expired")]

    async with follow(api, tmp_path, time, script, page_size=2) as world:
        await world.settled()
        assert [(q["limit"], q.get("continue")) for q in world.resource.lists] == [
            ("2", None),
            ("2", "2"),
            ("8", None),
        ]
        assert len(world.store.names) == 5
        assert len([e for e in world.store.events if isinstance(e, Listed)]) == 1


async def test_retry_after_is_respected(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.list_faults += [Fault(429, "TooManyRequests", {"Retry-After": "7"})]
        resource.watch_scripts += [Fault(429, "TooManyRequests", {"Retry-After": "9"}), [HANG]]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        first, second = time.slept
        assert 7 <= first < 8
        assert 9 <= second < 10
        # Throttled is not expired: the watch is tried again from where it was.
        assert len(world.resource.lists) == 2


@pytest.mark.parametrize("times", [1, 2])
async def test_being_asked_to_come_again_is_a_fault_from_the_second_time_on(
    api: FakeApi, tmp_path: Path, time: VirtualTime, times: int
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [Fault(429, "TooManyRequests", {"Retry-After": "1"})] * times

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert (len(world.reports), world.reflector.health().failures) == (times - 1, times)


async def test_server_errors_back_off_and_keep_the_version(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [Fault(500, "InternalError") for _ in range(10)]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert len(world.resource.lists) == 1
        assert time.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10])
        assert "WATCH /api/v1/namespaces: 500 InternalError: told to" in world.reports[0]
        assert world.reflector.health().failures == 10
        assert world.reflector.health().last_error == ""


async def test_a_watch_that_ends_at_once_is_no_tight_loop(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [[] for _ in range(50)]
        resource.watch_scripts += [[line("ADDED", thing("x", 11 + i))] for i in range(50)]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        elapsed = sum(time.slept)
        assert len(world.resource.watches) == 101
        assert len(world.resource.lists) == 1
        assert 101 / elapsed < 0.12, "at most one attempt in ten seconds or so once the back-off has grown"


async def test_a_watch_that_lived_resets_the_backoff(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [[], [], [], [line("ADDED", thing("x", 11))], [], [HANG]]

    async with follow(api, tmp_path, time, script) as world:
        sink = world.store

        def slow(event: Event) -> None:
            sink(event)
            # The event takes its time: the watch lives for a minute.
            if not isinstance(event, Listed):
                time.now += 60

        world.reflector._sink = slow
        await world.settled()
        assert time.slept == pytest.approx([0.1, 0.2, 0.4, 0.1, 0.2])


async def test_a_refused_connection_is_retried_until_the_server_is_back(time: VirtualTime) -> None:
    refused: list[str] = []

    class Dead:
        async def request(self, *_args: object, **_options: object) -> bytes:
            if len(refused) > 5:
                raise asyncio.CancelledError
            raise ApiError("connection refused", reason="ClientConnectorError")

    reflector = Reflector(
        Dead(),  # type: ignore[arg-type]
        NAMESPACES,
        ThingDecoder(),
        Store(),
        lambda _key, text: refused.append(text),
        timing=time.timing(),
    )
    with pytest.raises(asyncio.CancelledError):
        await reflector.run()
    assert not reflector.health().synced
    assert reflector.health().last_error == "connection refused"
    # Nothing can be decided until it is back: it is asked every other second.
    assert time.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0])


async def test_undecodable_objects_cost_only_themselves(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing("a"), thing("bad", bad=True), thing("b"), thing("c")]
        resource.watch_scripts.append(
            [
                line("MODIFIED", thing("bad", 11, bad=True)),
                line("DELETED", thing("a", 12, bad=True)),
                line("ADDED", thing("d", 13)),
                HANG,
            ]
        )

    async with follow(api, tmp_path, time, script, page_size=3) as world:
        await world.store.until("b", "c", "d")
        listed = next(e for e in world.store.events if isinstance(e, Listed))
        # It exists: what is known of it from before stays.
        assert "uid-bad" in listed.uids
        assert Gone("namespaces", "uid-a") in world.store.events
        health = world.reflector.health()
        assert health.undecodable == 3
        assert health.relists == 0
        assert all("spec.bad" in text for text in world.reports)


async def test_garbage_on_the_wire_lists_again(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [[b"this is no JSON\n"]]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert world.reflector.health().relists == 1
        assert "watch line" in world.reports[0]


async def test_a_raising_sink_is_reported_and_made_good_by_a_list(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    def script(resource: FakeResource, store: Store) -> None:
        resource.items = [thing("a"), thing("b")]
        store.fail = [KeyError("oops")]

    async with follow(api, tmp_path, time, script) as world:
        await world.store.until("a", "b")
        await world.settled()
        assert "the state did not take Upsert: KeyError('oops')" in world.reports[0]
        assert len(world.resource.lists) == 2


async def test_a_line_of_two_mebibytes_arrives_whole(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    big = thing("big", 11)
    big["padding"] = "x" * 2**21

    def script(resource: FakeResource, _store: Store) -> None:
        data = line("ADDED", big)
        resource.watch_scripts.append([data[:100_000], data[100_000:-1], b"\n" + bookmark(12), HANG])

    async with follow(api, tmp_path, time, script) as world:
        await world.store.until("big")


async def test_a_silent_connection_is_opened_anew(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    async with follow(api, tmp_path, time, lambda _r, _s: None, idle_timeout=0.05) as world:
        async with asyncio.timeout(10):
            while len(world.resource.watches) < 3:
                world.resource.hanging.clear()
                await world.resource.hanging.wait()
        assert len(world.resource.lists) == 1
        assert world.reflector.health().rewatches >= 1
        assert "SocketTimeoutError" in world.reports[0]


@pytest.mark.parametrize("status", [403, 404])
async def test_an_optional_resource_gives_up_when_it_may_not_be_listed(
    api: FakeApi, tmp_path: Path, time: VirtualTime, status: int
) -> None:
    resource = api.resource(NAMESPACES.path)
    resource.list_faults.append(Fault(status))
    async with await ApiClient.connect(write_kubeconfig(tmp_path / "config", api.url)) as client:
        reflector = Reflector(
            client,
            NAMESPACES,
            ThingDecoder(),
            Store(),
            lambda _k, _t: None,
            timing=time.timing(),
            options=WatchOptions(optional=True),
        )
        with pytest.raises(ApiError, match=str(status)):
            await reflector.run()


async def test_what_the_watch_delivers_reaches_a_version(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    sent = asyncio.Event()

    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing("a")]

        async def watch(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await sent.wait()
            await response.write(line("ADDED", thing("b", 11)))
            await response.write(bookmark(30))
            await resource.over.wait()
            return response

        resource._watch = watch  # type: ignore[method-assign]  # it tells nothing for a while

    async with follow(api, tmp_path, time, script) as world:
        await world.store.until("a")
        async with asyncio.timeout(10):
            await world.reflector.synced.wait()
            await world.reflector.reach("10", 0.0)
            reached = [asyncio.create_task(world.reflector.reach(version, 60)) for version in ("11", "25")]
            await asyncio.sleep(0)
            assert not any(task.done() for task in reached)
            sent.set()
            await asyncio.gather(*reached)
        assert set(world.store.names.values()) == {"a", "b"}
        assert len(world.resource.lists) == 1


@pytest.mark.parametrize("version", ["20", "opaque"])
async def test_a_version_that_no_event_reaches_is_reached_by_a_list(
    api: FakeApi, tmp_path: Path, time: VirtualTime, version: str
) -> None:
    async with follow(api, tmp_path, time, lambda _r, _s: None) as world:
        await world.settled()
        world.resource.hanging.clear()
        world.resource.items = [thing("missed")]
        world.resource.version = 20
        async with asyncio.timeout(10):
            await world.reflector.reach(version, 0.01)
        assert set(world.store.names.values()) == {"missed"}
        # Nothing went wrong, and the watch goes on from the list.
        await world.settled()
        assert len(world.resource.lists) == 2
        assert world.reports == []
        assert world.resource.watches[-1]["resourceVersion"] == "20"


async def test_everything_is_listed_anew_where_that_is_asked_for(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing("a")]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        world.resource.hanging.clear()
        world.reflector.list_anew()
        await world.settled()
        assert len(world.resource.lists) == 2
        assert sum(isinstance(event, Upsert) for event in world.store.events) == 2
        assert (world.reports, world.reflector.health().failures) == ([], 0)


async def test_a_list_that_was_under_way_when_another_is_asked_for_is_followed_by_one(
    api: FakeApi, tmp_path: Path, time: VirtualTime
) -> None:
    asked = False

    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing("a")]

    async with follow(api, tmp_path, time, script) as world:
        take = world.store.__class__.__call__

        def ask_once(store: Store, event: Event) -> None:
            nonlocal asked
            take(store, event)
            if not asked:
                asked = True
                world.reflector.list_anew()

        world.reflector._sink = lambda event: ask_once(world.store, event)
        await world.settled()
        assert len(world.resource.lists) == 2
