"""A real Chromium: found, or installed from Debian's packages; and pages in it that tell of every error."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
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


class NoBrowserError(Exception):
    """There is no Chromium, and none can be installed; the text says what to do."""


def chromium() -> Path:
    """Where Chromium is; it is installed where that is possible.

    Raises:
        NoBrowserError: it is not there.
    """
    found = _find()
    if found is None:
        _install()
        found = _find()
    if found is None:
        raise NoBrowserError("chromium was installed, but is not on the PATH")
    return found


def _find() -> Path | None:
    named = os.environ.get("SPOTMIX_SANDBOX_CHROMIUM", "")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    return Path(path) if path else None


def _install() -> None:
    how = "install Debian's package chromium, or name another in SPOTMIX_SANDBOX_CHROMIUM"
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise NoBrowserError(f"the tests of the console need Chromium, and it can be installed by root only; {how}")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run([apt, *command], env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoBrowserError(f"apt-get {command[0]} failed; {how}:\n{done.stderr[-1000:]}")


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
