"""Pages in a real Chromium that tell of every error."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright
from programs.chromium import chromium

from support.patience import stretched

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"


class Tab:
    """A page of the console. `faults` are errors of its console, of its scripts, and answers that are errors."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.faults: list[str] = []
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request.url, str(request.failure)))

    def _failed(self, url: str, why: str) -> None:
        # A stream, and what is asked for as a page is left, end that way.
        if "ERR_ABORTED" not in why:
            self.faults.append(f"{url}: {why}")

    async def go(self, path: str) -> None:
        await self.page.goto(self.base + path)

    async def texts(self, selector: str) -> list[str]:
        """What is shown there, spaces made one."""
        return [" ".join(text.split()) for text in await self.page.locator(selector).all_inner_texts()]

    async def violations(self) -> list[str]:
        """What axe finds wrong with the page, by WCAG 2.2 AA and good practice.

        It is run by the browser's own debugger: the page's policy lets no script in that is not Spotmix's.
        """
        await self.page.evaluate(f"() => {{ {AXE.read_text(encoding='utf-8')} }}")
        # Every rule is run; of what passes nothing is written down, which would take longer than to run them.
        found: Sequence[Mapping[str, Any]] = await self.page.evaluate(
            "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations"
        )
        return [f"{each['id']}: {node['html']}: {node['failureSummary']}" for each in found for node in each["nodes"]]


class Window:
    """A browser that shows the console at `base`."""

    def __init__(self, browser: Browser, base: str) -> None:
        self._browser = browser
        self._base = base

    @contextlib.asynccontextmanager
    async def tab(self, base: str = "", **options: Any) -> AsyncIterator[Tab]:
        """A fresh page, of another console if `base` says so; `options` are those of Playwright's `new_context`."""
        context = await self._browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(stretched(30_000))
        try:
            yield Tab(await context.new_page(), base or self._base)
        finally:
            await context.close()


@contextlib.asynccontextmanager
async def open_window(base: str) -> AsyncIterator[Window]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield Window(browser, base)
        finally:
            await browser.close()
