"""The console's answers: who may ask for what, what browsers are told, and what becomes of faults."""

import asyncio
import re

import pytest
from support.console import ConsoleBench
from support.doubles_servers import connected, run_virtually, running

from extender.servers.console.app import MOST_WAITING


@pytest.fixture
def bench() -> ConsoleBench:
    return ConsoleBench()


async def test_other_paths_are_passed_on(bench: ConsoleBench) -> None:
    for path in ("/metrics", "/", "/consoles", "/x/console"):
        assert (await bench.get(path)).text == "elsewhere\n"


@pytest.mark.parametrize(
    "path", ["/console/x", "/console/nodes/x", "/console/workloads/shop/Deployment", "/console/.."]
)
async def test_pages_that_are_not_there(bench: ConsoleBench, path: str) -> None:
    page = await bench.get(path)
    assert page.status == 404
    assert "Not found" in page.text


async def test_a_workload_that_is_not_there(bench: ConsoleBench) -> None:
    page = await bench.get("/console/workloads/shop/Deployment/%3Cb%3E")
    assert page.status == 404
    assert "There is no Deployment shop/&lt;b&gt;" in page.text


@pytest.mark.parametrize("path", ["/console", "/console/live/stream", "/console/static/x/console.js"])
async def test_nothing_can_be_written(bench: ConsoleBench, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        page = await bench.get(path, method)
        assert (page.status, page.headers["allow"]) == (405, "GET, HEAD")
        assert "content-security-policy" in page.headers
    if path.endswith("stream"):
        assert (await bench.get(path, "HEAD")).status == 405


@pytest.mark.parametrize("path", ["/console", "/console/nodes", "/console/plan", "/console/live", "/console/x"])
async def test_no_page_may_run_what_is_not_a_file_of_ours(bench: ConsoleBench, path: str) -> None:
    page = await bench.get(path)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-type"] == "text/html; charset=utf-8"


async def test_every_file_that_a_page_names_is_there_for_good(bench: ConsoleBench) -> None:
    text = (await bench.get("/console")).text
    paths = re.findall(r'(?:src|href)="(/console/static/[^"]*)"', text)
    assert {path.rpartition("/")[2] for path in paths} == {
        "console.css",
        "console.js",
        "htmx-2.0.11.min.js",
        "icon.svg",
    }
    for path in paths:
        file = await bench.get(path)
        assert file.status == 200
        assert "immutable" in file.headers["cache-control"]
        assert "content-security-policy" in file.headers
        assert (await bench.get(path.replace("static/", "static/0"))).status == 404
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)


async def test_only_a_few_requests_wait_at_a_time(bench: ConsoleBench) -> None:
    pages = await asyncio.gather(*(bench.get("/console") for _ in range(MOST_WAITING + 10)))
    refused = [page for page in pages if page.status == 503]
    assert len(refused) == 10
    assert all(page.headers["retry-after"] == "5" for page in refused)
    assert (await bench.get("/console")).status == 200


async def test_a_fault_is_a_page_of_its_own(bench: ConsoleBench) -> None:
    bench.world.state.workloads.by_uid = None  # type: ignore[assignment]  # a bug, as it were
    page = await bench.get("/console")
    assert page.status == 500
    assert "This page met a fault" in page.text
    assert bench.reports[0][0] == "console"
    assert (await bench.get("/console/nodes")).status == 200


async def test_an_overview_is_made_once_for_all_who_look(bench: ConsoleBench) -> None:
    first, second = await asyncio.gather(bench.get("/console"), bench.get("/console"))
    assert "No workload is managed yet" in first.text == second.text
    bench.world.deployment("web", 1)
    assert "No workload is managed yet" in (await bench.get("/console")).text


def test_a_moment_later_it_is_made_anew(bench: ConsoleBench) -> None:
    async def look() -> None:
        assert "No workload is managed yet" in (await bench.get("/console")).text
        bench.world.deployment("web", 1)
        await asyncio.sleep(3)
        assert "Deployment/web" in (await bench.get("/console")).text

    run_virtually(look)


async def test_the_real_server_serves_it(bench: ConsoleBench) -> None:
    async with running(bench.app) as server, connected(server) as client:
        answer = await client.send("GET", "/console/nodes?q=x")
        assert answer.status == 200
        assert b"No nodes" in answer.body
        assert (await client.send("GET", "/metrics")).body == b"elsewhere\n"
