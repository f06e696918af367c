"""The console where it asks who looks: tokens and roles of a real API server, in a real Chromium."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.browser import Tab, Window
from support.patience import stretched
from support.people import People

from extender.core.model.access import get_plan, get_workload, list_nodes, list_workloads, watch_decisions
from extender.sandbox.spotmix import SpotmixServe

pytestmark = [pytest.mark.controlplane, pytest.mark.tools, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest_asyncio.fixture(loop_scope="session")
async def tab(window: Window, guarded: SpotmixServe) -> AsyncIterator[Tab]:
    """A page whose only errors are refusals, which browsers tell of as errors."""
    async with window.tab(f"{guarded.metrics_url}/console") as opened:
        yield opened
        assert [fault for fault in opened.faults if "status of 401" not in fault and "status of 403" not in fault] == []


async def sign_in(tab: Tab, token: str, path: str = "") -> None:
    await tab.go(path)
    await tab.page.get_by_label("Token of a user").fill(token)
    async with tab.page.expect_navigation():
        await tab.page.keyboard.press("Enter")


async def heading(tab: Tab) -> str:
    return (await tab.texts("h1"))[0]


async def test_signing_in_and_out(tab: Tab, people: People, guarded: SpotmixServe) -> None:
    token = await people.arrive("reader", list_workloads(), list_nodes())
    await tab.go("/nodes?q=spot")
    assert await heading(tab) == "Sign in"
    assert await tab.violations() == []
    await tab.page.get_by_label("Token of a user").fill("wrong")
    await tab.page.get_by_role("button", name="Sign in").click()
    assert "The API server does not accept the token" in (await tab.texts("[role=alert]"))[0]
    await sign_in(tab, token, "/nodes?q=spot")
    assert await heading(tab) == "Nodes"
    assert "system:serviceaccount:default:reader" in (await tab.texts("header"))[0]
    assert await tab.violations() == []
    (cookie,) = await tab.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["secure"]) == (
        True,
        "Strict",
        "/console",
        False,
    )
    assert token not in cookie["value"]
    await tab.page.get_by_role("button", name="Sign out").click()
    assert await heading(tab) == "Sign in"
    await tab.page.go_back()
    assert await heading(tab) == "Sign in"
    assert await tab.page.context.cookies() == []
    log = guarded.log_path.read_text()
    assert "serving" in log
    assert token not in log
    assert cookie["value"] not in log


async def test_who_may_see_one_namespace_is_led_to_it(tab: Tab, people: People) -> None:
    rights = (list_workloads("search"), get_workload("search", ""), get_plan("search"), watch_decisions("search"))
    await sign_in(tab, await people.arrive("searcher", *rights))
    assert await heading(tab) == "You may not see this"
    assert (
        'cannot list resource "workloads" in API group "placement.spotmix.io" in all namespaces'
        in (await tab.texts("main"))[0]
    )
    assert await tab.violations() == []
    await tab.page.get_by_label("Namespace").fill("search")
    await tab.page.keyboard.press("Enter")
    await tab.page.wait_for_url("**namespace=search")
    assert {row.split()[0] for row in await tab.texts("#results tbody tr")} == {"indexer", "query", "trainer"}
    assert "fraud" not in await tab.page.content()
    # And the other pages stay there.
    await tab.page.get_by_role("link", name="Plan").click()
    await tab.page.wait_for_url("**/plan?namespace=search")
    assert await heading(tab) == "Plan"
    await tab.page.get_by_role("link", name="Live").click()
    await tab.page.get_by_text("Connected").wait_for()
    await tab.page.get_by_role("link", name="Workloads").click()
    await tab.page.get_by_role("link", name="indexer", exact=True).click()
    assert (await heading(tab)).startswith("indexer")
    await tab.go("/workloads/shop/Deployment/web")
    assert 'cannot get resource "workloads" "web"' in (await tab.texts("main"))[0]
    await tab.page.get_by_role("link", name="Nodes").click()
    assert 'cannot list resource "nodes"' in (await tab.texts("main"))[0]


async def test_a_live_view_ends_when_the_right_to_it_is_taken_back(tab: Tab, people: People) -> None:
    right = watch_decisions()
    await sign_in(tab, await people.arrive("watcher", right), "/live")
    await tab.page.get_by_text("Connected").wait_for()
    await people.revoke("watcher", right)
    ended = tab.page.get_by_text("Ended:")
    await ended.wait_for(timeout=stretched(30_000))
    assert 'cannot watch resource "decisions"' in await ended.inner_text()


async def test_a_page_that_updates_itself_asks_to_sign_in_again(tab: Tab, people: People) -> None:
    token = await people.arrive("stayer", list_workloads())
    await tab.page.clock.install()
    await sign_in(tab, token)
    await tab.page.context.clear_cookies()
    await tab.page.clock.fast_forward(5000)
    await tab.page.get_by_role("heading", name="Sign in").wait_for()


async def test_a_phone_signs_in_without_scripts(window: Window, guarded: SpotmixServe, people: People) -> None:
    token = await people.arrive("walker", list_workloads())
    options = {**PHONE, "java_script_enabled": False}
    async with window.tab(f"{guarded.metrics_url}/console", **options) as tab:
        await sign_in(tab, token)
        assert {"cart", "indexer"} <= {row.split()[0] for row in await tab.texts("#results tbody tr")}


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer wrong"])
async def test_metrics_and_files_are_for_everybody(window: Window, guarded: SpotmixServe, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    async with window.tab(f"{guarded.metrics_url}/console", extra_http_headers=headers) as tab:
        answer = await tab.page.goto(f"{guarded.metrics_url}/metrics")
        assert answer is not None
        assert answer.status == 200
        await tab.go("")
        assert await heading(tab) == "Sign in"
        assert await tab.page.evaluate("typeof htmx") == "object"


async def test_a_proxy_signs_in_for_its_users(window: Window, guarded: SpotmixServe, people: People) -> None:
    token = await people.arrive("proxied", list_workloads())
    headers = {"Authorization": f"Bearer {token}"}
    async with window.tab(f"{guarded.metrics_url}/console", extra_http_headers=headers) as tab:
        await tab.go("")
        assert await tab.page.get_by_role("button", name="Sign out").count() == 0
        assert "default:proxied" in (await tab.texts("header"))[0]
        assert {"cart", "indexer"} <= {row.split()[0] for row in await tab.texts("#results tbody tr")}
