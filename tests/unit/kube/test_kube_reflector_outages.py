"""The reflector where versions expire, the store goes back, or the server is away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

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
)
from unit.kube.reflected import follow

from extender.core.model.errors import ApiError
from extender.kube.reflector import FORBIDDEN_PATIENCE, Reflector, WatchOptions
from extender.kube.resources import NAMESPACES


async def test_an_expired_version_is_made_good_at_once(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [[bookmark(20)], Fault(410), [HANG]]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert len(world.resource.lists) == 2
        assert time.slept == pytest.approx([0.1]), "after the first watch, which did not live"


async def test_a_list_that_expires_at_once_is_no_tight_loop(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.watch_scripts += [Fault(410) for _ in range(8)]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        # The first list is new to the server, and so is each that follows: they are expected to do.
        assert len(world.resource.lists) == 9
        assert time.slept == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10])


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([bookmark(99), CUT], "from version 99 to 98"),  # noticed before the watch is opened again
        ([bookmark(100), CUT], "from version 100 to 98"),
        ([line("ADDED", thing("new", 100)), line("MODIFIED", thing("new", 99))], "from version 100 to 99"),
        ([line("ADDED", thing("new", 20)), bookmark(9)], "from version 20 to 9"),
        ([line("ADDED", thing("new", 20)), error_line(410)], "from version 20 to 15"),  # the list tells
    ],
)
async def test_a_store_that_went_back_is_listed_anew(
    api: FakeApi, tmp_path: Path, time: VirtualTime, lines: list[bytes | str], told: str
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing("kept"), thing("lost")]
        resource.shown = 98
        resource.watch_scripts += [lines, [HANG]]
        original = resource._watch

        async def watch(request: web.Request) -> web.StreamResponse:
            # A restored store, as of now.
            resource.items, resource.version = [thing("kept")], 15
            return await original(request)

        resource._watch = watch  # type: ignore[method-assign]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert set(world.store.names.values()) == {"kept"}
        assert [query["resourceVersion"] for query in world.resource.watches] == ["10", "15"]
        (report,) = [text for text in world.reports if "went back" in text]
        assert told in report


async def test_versions_that_are_no_numbers_are_not_compared(api: FakeApi, tmp_path: Path, time: VirtualTime) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        opaque = {"metadata": {"resourceVersion": "b"}}, {"metadata": {"resourceVersion": "a"}}
        resource.watch_scripts += [[line("BOOKMARK", each) for each in opaque], [HANG]]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert len(world.resource.lists) == 1
        assert world.resource.watches[-1]["resourceVersion"] == "a"


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_server_that_was_away_may_have_another_store(
    api: FakeApi, tmp_path: Path, time: VirtualTime, status: int
) -> None:
    def script(resource: FakeResource, _store: Store) -> None:
        resource.items = [thing("a")]
        resource.watch_scripts += [[bookmark(20)], Fault(status), [HANG]]

    async with follow(api, tmp_path, time, script) as world:
        await world.settled()
        assert len(world.resource.lists) == 2
        assert world.resource.watches[-1]["resourceVersion"] == "10"


class Outage:
    """A client whose server is away for some requests: each answer is a status, 200 for one that is as it should be."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.lists = 0
        self.watching = asyncio.Event()

    def answer(self) -> None:
        status = self.statuses.pop(0) if self.statuses else 200
        if status != 200:
            raise ApiError(f"status {status}", status=status)

    async def request(self, *_args: object, params: Mapping[str, str], **_options: object) -> bytes:
        self.answer()
        self.lists += params["limit"] != "1"
        return json.dumps({"metadata": {"resourceVersion": "10"}, "items": []}).encode()

    async def watch(
        self, *_args: object, on_open: Callable[[], None], **_options: object
    ) -> AsyncGenerator[bytes, None]:
        self.answer()
        on_open()
        if self.statuses:
            raise ApiError("cut")
        self.watching.set()
        await asyncio.Event().wait()
        yield b""


async def outage(time: VirtualTime, *statuses: int) -> tuple[Outage, Reflector]:
    """What a reflector made of these answers."""
    api = Outage(*statuses)
    options = WatchOptions(optional=True)
    reflector = Reflector(
        api,  # type: ignore[arg-type]
        NAMESPACES,
        ThingDecoder(),
        Store(),
        lambda *_: None,
        timing=time.timing(),
        options=options,
    )
    task = asyncio.create_task(reflector.run())
    try:
        async with asyncio.timeout(10):
            waits = [task, asyncio.create_task(api.watching.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waits[1].cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return api, reflector


async def test_a_server_that_is_back_is_asked_at_once(time: VirtualTime) -> None:
    # List and watch; cut, and away for a while; then it starts: refuses, is busy, and answers.
    api, reflector = await outage(time, 200, 200, *[0] * 8, 403, 429, 200, 200)
    cut, away, answering = time.slept[:1], time.slept[1:9], time.slept[9:]
    assert cut == pytest.approx([0.1])
    assert away == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0])
    assert answering == pytest.approx([0.1, 0.2])
    assert api.lists == 2, "what is behind it is not known to be what it was"
    assert not reflector.blind(time.now, 60.0)


async def test_who_does_not_see_knows_it(time: VirtualTime) -> None:
    reflector = Reflector(
        Outage(),  # type: ignore[arg-type]
        NAMESPACES,
        ThingDecoder(),
        Store(),
        lambda *_: None,
        timing=time.timing(),
    )
    assert reflector.blind(time.now, 60.0), "nothing was listed yet"
    await reflector._list()
    assert not reflector.blind(time.now, 60.0)
    assert reflector.blind(time.now + 61.0, 60.0), "nothing was heard for a minute"
    reflector._failed(ApiError("cut"))
    assert reflector.blind(time.now, 60.0)
    reflector._opened()
    assert not reflector.blind(time.now, 60.0)


async def test_a_kind_that_is_forbidden_for_a_minute_is_given_up(time: VirtualTime) -> None:
    with pytest.raises(ApiError, match="403"):
        await outage(time, 200, 200, *[403] * 30)
    assert FORBIDDEN_PATIENCE <= sum(time.slept) < FORBIDDEN_PATIENCE + 15
