"""The console where it asks who looks: what gets in, what it is told that does not, and when a view ends."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from support.console import ConsoleBench, ConsoleReader, Page, request
from support.doubles import ENABLED, make_owner
from support.doubles_servers import run_virtually

from extender.core.model.access import Attributes, User, get_workload, list_nodes, list_workloads, watch_decisions
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated
from extender.servers.answers.following import CHECK
from extender.servers.console.live import OF_ONE
from extender.servers.console.sessions import IDLE, LASTS, MOST, MOST_OF_ONE, Sessions

JANE = "jane-token"
STREAM = "/console/live/stream"
COOKIE = re.compile(r"spotmix-session=([\w-]*); Path=/console; HttpOnly; SameSite=Strict(; Secure)?(; Max-Age=0)?")


class Doorkeeper:
    """Knows tokens by heart."""

    def __init__(self) -> None:
        self.users = {"jane-token": "jane", "joe-token": "joe"}
        self.rights: dict[str, set[Attributes]] = {"jane": {list_workloads(), watch_decisions(), list_nodes()}}
        self.away = False
        self.asked: list[Attributes] = []

    async def who(self, token: str) -> User:
        if self.away:
            raise ApiError("POST /tokenreviews: https://10.0.0.1: no answer")
        if token not in self.users:
            raise Unauthenticated("the API server does not accept the token: it has <b>expired</b>")
        return User(self.users[token])

    async def allow(self, token: str, attributes: Attributes) -> User:
        user = await self.who(token)
        self.asked.append(attributes)
        if attributes not in self.rights.get(user.name, ()):
            raise Forbidden(f'user "{user.name}" cannot {attributes}')
        return user


@pytest.fixture
def door() -> Doorkeeper:
    return Doorkeeper()


@pytest.fixture
def bench(door: Doorkeeper) -> ConsoleBench:
    bench = ConsoleBench(door)
    bench.world.nodes(spot=2, on_demand=2)
    bench.world.deployment("web", 2, spot_percentage=50)
    return bench


def bearer(token: str, scheme: str = "Bearer") -> tuple[bytes, bytes]:
    return b"authorization", f"{scheme} {token}".encode()


async def sign_in(bench: ConsoleBench, token: str = JANE, then: str = "", **headers: str) -> Page:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return await bench.get("/console/sign-in", "POST", *given, form=f"token={token}&next={then}")


async def sign_out(bench: ConsoleBench, held: tuple[bytes, bytes]) -> Page:
    """As the button of a page does it."""
    page = await bench.get("/console/nodes", "GET", held)
    found = re.search(
        r'<form method="post" action="/console/sign-out"><input type="hidden" name="form" value="([^"]+)">', page.text
    )
    assert found is not None
    return await bench.get("/console/sign-out", "POST", held, form=f"form={found[1]}")


def session(page: Page) -> tuple[bytes, bytes]:
    """What the browser sends from then on."""
    found = COOKIE.fullmatch(page.headers["set-cookie"])
    assert found is not None
    return b"cookie", f"other=1; spotmix-session={found[1]}".encode()


@pytest.mark.parametrize("path", ["/console", "/console/nodes", "/console/plan", "/console/live", STREAM, "/console/x"])
async def test_without_a_token_there_is_a_form_and_nothing_else(bench: ConsoleBench, path: str) -> None:
    bench.world.state.workloads = None  # type: ignore[assignment]  # whoever looks at it meets a fault
    page = await bench.get(f"{path}?q=%22a")
    assert (page.status, page.headers["www-authenticate"]) == (401, 'Bearer realm="spotmix"')
    assert '<input id="token" name="token" type="password"' in page.text
    assert f'name="next" value="{path}?q=%22a"' in page.text
    assert bench.reports == []


async def test_files_and_metrics_are_for_everybody(bench: ConsoleBench) -> None:
    text = (await bench.get("/console")).text
    paths = re.findall(r'(?:src|href)="(/console/static/[^"]*)"', text)
    assert {path.rpartition(".")[2] for path in paths} >= {"css", "js"}
    for path in paths:
        assert (await bench.get(path)).status == 200
    assert (await bench.get("/metrics")).text == "elsewhere\n"


async def test_a_proxy_may_send_the_token_with_each_request(bench: ConsoleBench, door: Doorkeeper) -> None:
    for scheme in ("Bearer", "bearer"):
        page = await bench.get("/console", "GET", bearer("jane-token", scheme))
        assert page.status == 200
        assert '<span class="name">jane</span>' in page.text
        assert "Sign out" not in page.text
    wrong = await bench.get("/console", "GET", bearer("stale"))
    assert wrong.status == 401
    assert "does not accept the token: it has &lt;b&gt;expired&lt;/b&gt;" in wrong.text
    basic = await bench.get("/console", "GET", bearer("jane-token", "Basic"))
    assert basic.status == 401
    assert "not of the form `Bearer TOKEN`" in basic.text
    assert door.asked == [list_workloads()] * 2


async def test_signing_in_and_out(bench: ConsoleBench) -> None:
    entered = await sign_in(bench, then="/console/nodes%3Fq%3Dspot")
    assert (entered.status, entered.headers["location"]) == (303, "/console/nodes?q=spot")
    held = session(entered)
    page = await bench.get("/console", "GET", held)
    assert page.status == 200
    left = await sign_out(bench, held)
    assert (left.status, left.headers["location"]) == (303, "/console")
    assert left.headers["set-cookie"].endswith("Max-Age=0")
    after = await bench.get("/console", "GET", held)
    assert after.status == 401
    assert "Your session has ended" in after.text


async def test_neither_token_nor_session_is_told(bench: ConsoleBench) -> None:
    entered = await sign_in(bench)
    number = session(entered)[1].rpartition(b"=")[2].decode()
    for page in (
        entered,
        await sign_in(bench, "secret-thing"),
        await bench.get("/console", "GET", session(entered)),
        await bench.get("/console/nodes", "GET", bearer("secret-thing")),
    ):
        assert not re.search(f"jane-token|secret-thing|{number}", page.text)
        assert not re.search("jane-token|secret-thing", str(page.headers))
    assert bench.reports == []


async def test_a_wrong_token_is_told_of(bench: ConsoleBench) -> None:
    page = await sign_in(bench, "stale", then="/console/plan")
    assert page.status == 401
    assert "set-cookie" not in page.headers
    assert 'role="alert">The API server does not accept the token' in page.text
    assert 'name="next" value="/console/plan"' in page.text
    empty = await sign_in(bench, "")
    assert (empty.status, "Give a token" in empty.text) == (401, True)


async def test_the_form_is_not_for_other_sites(bench: ConsoleBench) -> None:
    assert (await sign_in(bench, sec_fetch_site="cross-site")).status == 403
    assert (await sign_in(bench, sec_fetch_site="same-origin")).status == 303
    assert (await bench.get("/console/sign-in", "POST", form=f"token={'x' * 100_000}")).status == 413
    assert (await bench.get("/console/sign-in")).status == 200


HOST = {"host": "spotmix.example:8080"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({**HOST, "origin": "http://spotmix.example:8080"}, 303),
        ({**HOST, "origin": "http://Spotmix.Example:8080", "sec_fetch_site": "same-origin"}, 303),
        ({"host": "10.0.0.7:8080", "x_forwarded_host": "console.example", "origin": "https://console.example"}, 303),
        ({**HOST, "origin": "https://evil.example"}, 403),
        ({**HOST, "origin": "http://spotmix.example"}, 403),
        ({**HOST, "origin": "http://spotmix.example:8080.evil.example"}, 403),
        ({**HOST, "origin": "http://a@spotmix.example:8080"}, 403),
        ({**HOST, "origin": "null"}, 403),
        ({"origin": "null"}, 403),
        ({**HOST, "sec_fetch_site": "same-site"}, 403),
        ({**HOST, "origin": "http://spotmix.example:8080", "sec_fetch_site": "cross-site"}, 403),
    ],
)
async def test_whoever_sends_a_form_says_where_it_is_from(
    bench: ConsoleBench, headers: dict[str, str], status: int
) -> None:
    assert (await sign_in(bench, **headers)).status == status
    held = session(await sign_in(bench))
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    page = await bench.get("/console/nodes", "GET", held)
    form = re.findall(r'name="form" value="([^"]+)"', page.text)[0]
    left = await bench.get("/console/sign-out", "POST", held, *given, form=f"form={form}")
    assert left.status == status
    assert (await bench.get("/console", "GET", held)).status == (401 if status == 303 else 200)


@pytest.mark.parametrize("form", ["", "form=", "form=x", "form=%C3%A9", "other=1"])
async def test_nobody_is_signed_out_but_by_a_page_of_theirs(bench: ConsoleBench, form: str) -> None:
    held, other = session(await sign_in(bench)), session(await sign_in(bench))
    page = await bench.get("/console/nodes", "GET", other)
    foreign = re.findall(r'name="form" value="([^"]+)"', page.text)[0]
    for each in (form, f"form={foreign}"):
        refused = await bench.get("/console/sign-out", "POST", held, form=each)
        assert (refused.status, "set-cookie" in refused.headers) == (403, False)
    assert (await bench.get("/console/sign-out", "GET", held)).status == 200
    assert (await bench.get("/console", "GET", held)).status == 200


async def test_signing_out_where_nobody_is_signed_in_clears_the_cookie(bench: ConsoleBench) -> None:
    left = await bench.get("/console/sign-out", "POST", form="form=x")
    assert (left.status, left.headers["set-cookie"].endswith("Max-Age=0")) == (303, True)


def test_one_reader_has_some_of_the_live_views_and_leaves_some_for_others() -> None:
    async def main() -> None:
        door = Doorkeeper()
        door.rights["joe"] = {watch_decisions()}
        bench = ConsoleBench(door)
        held = session(await sign_in(bench))
        open_views = [listen(bench, held if number % 2 else bearer("jane-token")) for number in range(OF_ONE)]
        for reader, _ in open_views:
            await reader.until(bool)
        refused = await bench.get(STREAM, "GET", bearer("jane-token"))
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert "as one caller may at a time, 8" in refused.text
        other, task = listen(bench, bearer("joe-token"))
        await other.until(bool)
        open_views[0][0].left.set()
        await open_views[0][1]
        again, after = listen(bench, bearer("jane-token"))
        await again.until(bool)
        for reader, _ in [*open_views[1:], (other, task), (again, after)]:
            reader.left.set()
        await asyncio.gather(task, after, *(task for _, task in open_views))

    run_virtually(main)


@pytest.mark.parametrize(
    "then",
    ["https://evil.example", "//evil.example", "/consoles", "/console%0d%0aset-cookie:%20a", "/console/%5Cevil", ""],
)
async def test_nobody_is_sent_elsewhere(bench: ConsoleBench, then: str) -> None:
    assert (await sign_in(bench, then=then)).headers["location"] == "/console"


async def test_a_cookie_that_came_by_tls_stays_on_tls(bench: ConsoleBench) -> None:
    assert "Secure" not in (await sign_in(bench)).headers["set-cookie"]
    assert "Secure" in (await sign_in(bench, x_forwarded_proto="https, http")).headers["set-cookie"]


async def test_signing_in_anew_ends_the_session_before(bench: ConsoleBench) -> None:
    first = session(await sign_in(bench))
    second = session(await sign_in(bench, cookie=first[1].decode()))
    assert (await bench.get("/console", "GET", first)).status == 401
    assert (await bench.get("/console", "GET", second)).status == 200


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/console", 'list resource "workloads" in API group "placement.spotmix.io" in all namespaces'),
        ("/console?namespace=shop", 'list resource "workloads" in API group "placement.spotmix.io" in the namespace'),
        ("/console/workloads/shop/Deployment/web", 'get resource "workloads" "web"'),
        ("/console/nodes", 'list resource "nodes"'),
        ("/console/live", 'watch resource "decisions"'),
        (f"{STREAM}?namespace=shop", 'watch resource "decisions" in API group "placement.spotmix.io" in the namespace'),
        ("/console/plan", 'get resource "driftplans"'),
    ],
)
async def test_each_page_asks_for_its_right(bench: ConsoleBench, path: str, right: str) -> None:
    page = await bench.get(path, "GET", bearer("joe-token"))
    assert page.status == 403
    assert f'User "joe" cannot {right}' in page.text.replace("&#34;", '"')
    narrow = path in ("/console", "/console/live", "/console/plan")
    assert ('<input id="namespace"' in page.text) == narrow
    assert bench.reports == []


async def test_one_namespace_is_seen_alone(bench: ConsoleBench, door: Doorkeeper) -> None:
    top = make_owner("Deployment", "indexer", 3, labels=ENABLED, namespace="search")
    bench.world.up(top, make_owner("ReplicaSet", "indexer-1", 3, owner=top.ref, namespace="search"))
    everything = await bench.get("/console", "GET", bearer("jane-token"))
    assert {">web</a>", ">indexer</a>", "Usable nodes"} == set(
        re.findall(">web</a>|>indexer</a>|Usable nodes", everything.text)
    )
    door.rights["joe"] = {list_workloads("search")}
    page = await bench.get("/console?namespace=search", "GET", bearer("joe-token"))
    assert page.status == 200
    assert re.findall(">web</a>|>indexer</a>|Usable nodes", page.text) == [">indexer</a>"]
    assert "1 to 1 of 1 workloads" in page.text
    assert 'href="/console/plan?namespace=search"' in page.text


async def test_the_page_of_a_revision_takes_the_right_to_its_workload(bench: ConsoleBench, door: Doorkeeper) -> None:
    revision = next(o for o in bench.world.state.workloads.owners.values() if o.kind == "ReplicaSet")
    path = f"/console/workloads/shop/ReplicaSet/{revision.name}"
    door.rights["joe"] = {get_workload("shop", revision.name)}
    page = await bench.get(path, "GET", bearer("joe-token"))
    assert page.status == 403
    assert "&#34;web&#34;" in page.text
    door.rights["joe"].add(get_workload("shop", "web"))
    assert (await bench.get(path, "GET", bearer("joe-token"))).status == 200


async def test_a_part_of_a_page_has_the_browser_load_the_whole(bench: ConsoleBench) -> None:
    part = (b"hx-request", b"true")
    assert (await bench.get("/console", "GET", part)).headers["hx-refresh"] == "true"
    assert (await bench.get("/console/plan", "GET", part, bearer("joe-token"))).headers["hx-refresh"] == "true"
    assert "hx-refresh" not in (await bench.get("/console", "GET", part, bearer("jane-token"))).headers


async def test_an_api_server_that_is_away(bench: ConsoleBench, door: Doorkeeper) -> None:
    door.away = True
    for page in (await bench.get("/console", "GET", bearer("jane-token")), await sign_in(bench)):
        assert (page.status, page.headers["retry-after"]) == (503, "5")
        assert "10.0.0.1" not in page.text
    assert {source for source, _ in bench.reports} == {"access"}
    assert "10.0.0.1" in bench.reports[0][1]


async def test_where_everybody_may_look_there_is_no_form() -> None:
    bench = ConsoleBench()
    assert (await bench.get("/console/sign-in")).status == 404
    assert (await bench.get("/console/sign-in", "POST")).status == 405
    assert "Sign out" not in (await bench.get("/console")).text


def listen(bench: ConsoleBench, *headers: tuple[bytes, bytes]) -> tuple[ConsoleReader, asyncio.Task[None]]:
    reader = ConsoleReader()
    serving: Awaitable[None] = bench.app(request(STREAM, "GET", *headers), reader.receive, reader.send)
    return reader, asyncio.ensure_future(serving)


def _signed_out(bench: ConsoleBench, _: Doorkeeper, held: tuple[bytes, bytes]) -> Awaitable[Page]:
    return sign_out(bench, held)


async def _right_lost(_: ConsoleBench, door: Doorkeeper, __: tuple[bytes, bytes]) -> None:
    door.rights.clear()


async def _token_lost(_: ConsoleBench, door: Doorkeeper, __: tuple[bytes, bytes]) -> None:
    door.users.clear()


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (_signed_out, "your session has ended"),
        (_right_lost, 'user "jane" cannot watch'),
        (_token_lost, "the API server does not accept the token"),
    ],
)
def test_a_live_view_ends_with_the_right_to_it(
    happens: Callable[[ConsoleBench, Doorkeeper, tuple[bytes, bytes]], Awaitable[object]], told: str
) -> None:
    async def main() -> None:
        door = Doorkeeper()
        bench = ConsoleBench(door)
        held = session(await sign_in(bench))
        reader, task = listen(bench, held)
        await reader.until(bool)
        await asyncio.sleep(3 * CHECK)
        assert not task.done()
        began = asyncio.get_running_loop().time()
        await happens(bench, door, held)
        await task
        assert asyncio.get_running_loop().time() - began <= CHECK
        assert f"event: ended\ndata: {told}" in reader.page.text

    run_virtually(main)


def test_a_live_view_ends_when_rights_are_not_known_and_may_be_opened_again() -> None:
    async def main() -> None:
        door = Doorkeeper()
        bench = ConsoleBench(door)
        reader, task = listen(bench, bearer("jane-token"))
        await reader.until(bool)
        door.away = True
        await task
        # Without a word: the browser tries again by itself.
        assert "event: ended" not in reader.page.text
        assert (await bench.get(STREAM, "GET", bearer("jane-token"))).status == 503
        door.away = False
        again, task = listen(bench, bearer("jane-token"))
        await again.until(bool)
        again.left.set()
        await task

    run_virtually(main)


def test_sessions_end() -> None:
    async def main() -> None:
        sessions = Sessions()
        idle, used = sessions.open("jane", "a"), sessions.open("jane", "b")
        assert idle != used
        await asyncio.sleep(IDLE - 1)
        assert sessions.token(used) == "b"
        await asyncio.sleep(2)
        assert (sessions.token(idle), sessions.token(used)) == ("", "b")
        for _ in range(round((LASTS - IDLE) / (IDLE / 2))):
            assert sessions.token(used) == "b"
            await asyncio.sleep(IDLE / 2)
        assert sessions.token(used) == ""
        assert sessions.token("") == ""

    run_virtually(main)


def test_sessions_are_bounded() -> None:
    async def main() -> None:
        sessions = Sessions()
        jane = sessions.open("jane", "j")
        joes = [sessions.open("joe", str(n)) for n in range(MOST_OF_ONE + 1)]
        assert [sessions.token(number) for number in joes[:2]] == ["", "1"]
        # That of one who looks stays; who has not looked for longest goes.
        for n in range(MOST):
            assert sessions.token(jane) == "j"
            sessions.open(f"user-{n}", "t")
        assert sessions.token(jane) == "j"
        assert sessions.token(joes[-1]) == ""

    run_virtually(main)
