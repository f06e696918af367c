"""A real Prometheus on loopback that scrapes often, and what it answers."""

import asyncio
import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from programs import prometheus

from extender.sandbox.ports import LOOPBACK, free_port
from extender.sandbox.probes import http_probe
from extender.sandbox.process import Component
from support.patience import eventually, stretched

JOB = "spotmix-metrics"
Series = Mapping[str, Any]
"""`metric`, its labels, and `value` or `values`."""


class Prometheus:
    """Asks a Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def get(self, path: str, **params: str) -> Any:
        """What the API gives as `data`; a query that is wrong fails with Prometheus' own text."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(params)}"
        return await asyncio.to_thread(_get, url)

    async def at(self, expr: str, when: float) -> Sequence[Series]:
        """A query at one time (seconds since the epoch)."""
        data = await self.get("query", query=expr, time=str(when))
        assert data["resultType"] in ("vector", "scalar"), expr
        result: Sequence[Series] = data["result"]
        return result

    async def over(self, expr: str, start: float, end: float, step: float = 1.0) -> Sequence[Series]:
        """A query over a range of times."""
        data = await self.get("query_range", query=expr, start=str(start), end=str(end), step=str(step))
        assert data["resultType"] == "matrix", expr
        result: Sequence[Series] = data["result"]
        return result


def _get(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=stretched(30)) as answer:  # noqa: S310 - http on loopback
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{urllib.parse.unquote_plus(url)}: {error.read().decode()}") from error


@contextlib.asynccontextmanager
async def scraping(
    folder: Path, targets: Mapping[str, str], rules: Path, labels: Mapping[str, Mapping[str, str]] | None = None
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes and evaluates rules every second.

    Args:
        folder: for its files.
        targets: base address of each replica's metrics, by the name of its pod.
        rules: a file of rules.
        labels: of a target's series beside its pod, by the name of its pod.
    """
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": JOB,
                "honor_labels": True,
                "static_configs": [
                    {
                        "targets": [url.removeprefix("http://")],
                        "labels": {"pod": name, **((labels or {}).get(name, {}))},
                    }
                    for name, url in targets.items()
                ],
            }
        ],
    }
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config))
    url = f"http://{LOOPBACK}:{free_port()}"
    program = Component(
        "prometheus",
        [
            prometheus() / "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={url.removeprefix('http://')}",
        ],
        directory=folder,
        probe=http_probe(f"{url}/-/ready"),
    )
    await program.start()
    try:
        asked = Prometheus(url)

        async def scraped() -> Sequence[Series]:
            return await asked.at("up == 1", time.time())

        # It looks for new targets every five seconds.
        await eventually(scraped, lambda found: len(found) == len(targets), "every target is scraped", 20)
        yield asked
    finally:
        await program.stop()
