"""What a workload is like at every look: a watch sees each change, where a poll would miss some."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from extender.core.model.errors import ApiError
from support.cluster import RULES, Cluster, is_ready
from support.patience import eventually


class Looks:
    """The Ready pods of an app, by the class of the node that each runs on.

    Attributes:
        least: the fewest Ready ones of each class that were seen.
        count: how many looks there were.
    """

    def __init__(self, cluster: Cluster, app: str) -> None:
        self._cluster, self._app = cluster, app
        self._classes: dict[str, str] = {}
        self._ready: dict[str, str] = {}
        self.least: dict[str, int] = {}
        self.count = 0

    async def follow(self) -> None:
        """Look until cancelled."""
        params = {"labelSelector": f"app={self._app}"}
        while True:
            with contextlib.suppress(ApiError):
                lines = self._cluster.api.watch(f"/api/v1/namespaces/{self._cluster.namespace}/pods", params)
                async with contextlib.aclosing(lines):
                    async for line in lines:
                        await self._look(json.loads(line))

    async def _look(self, event: dict[str, Any]) -> None:
        pod = event["object"]
        uid = pod["metadata"].get("uid", "")
        node = pod.get("spec", {}).get("nodeName")
        # A terminating pod serves no more, whatever its condition says.
        serves = event["type"] != "DELETED" and "deletionTimestamp" not in pod["metadata"]
        if serves and node and is_ready(pod):
            self._ready[uid] = await self._class_of(node)
        else:
            self._ready.pop(uid, None)
        self.count += 1
        now = Counter(self._ready.values())
        for name in ("spot", "on-demand"):
            self.least[name] = min(self.least.get(name, now[name]), now[name])

    async def _class_of(self, node: str) -> str:
        if node not in self._classes:
            found = json.loads(await self._cluster.api.request("GET", f"/api/v1/nodes/{node}"))
            self._classes[node] = RULES.class_of(found["metadata"]["labels"])
        return self._classes[node]

    def begin(self) -> None:
        """Count from now on."""
        self.least = dict(Counter(self._ready.values()))

    @property
    def ready(self) -> dict[str, int]:
        """The Ready pods now."""
        return dict(Counter(self._ready.values()))


@contextlib.asynccontextmanager
async def looking(cluster: Cluster, app: str, **at_first: int) -> AsyncIterator[Looks]:
    """Look at an app that is at rest, with so many Ready pods of each class."""
    looks = Looks(cluster, app)
    task = asyncio.create_task(looks.follow(), name=f"looks at {app}")
    wanted = {name.replace("_", "-"): count for name, count in at_first.items()}

    async def seen() -> dict[str, int]:
        return looks.ready

    try:
        await eventually(seen, lambda now: now == wanted, f"{app} is looked at")
        looks.begin()
        yield looks
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
