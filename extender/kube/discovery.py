"""From the apiVersion and kind of an ownerReference to a resource that can be listed and watched."""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from extender.core.model.errors import ApiError
from extender.kube.limits import is_transient
from extender.kube.paths import BAD_NAME, api_path
from extender.kube.resources import BUILT_IN, ApiResource, api_resource
from extender.kube.seams import KubeApi, Timing

# A kind that does not exist, or is forbidden to us, may be installed or granted later.
UNAVAILABLE_SECONDS = 300.0
# A starting API server forbids too, until it knows its roles.
FORBIDDEN_SECONDS = 60.0
TRANSIENT_SECONDS = 5.0
# A kind that the server can say nothing about counts as one that cannot be followed after this time.
TRANSIENT_PATIENCE = 60.0
# ownerReferences are free text to whoever may create a pod: bound what they make us remember.
MAX_KINDS = 500


class _Resource(Struct):
    name: str
    kind: str
    verbs: Sequence[str] | None = None


class _ResourceList(Struct):
    resources: list[_Resource] | None = None


class _Version(Struct):
    version: str


class _Group(Struct, rename="camel"):
    preferred_version: _Version


class NotWatchable(Struct, frozen=True):
    """Why a kind cannot be followed, and when to ask again (monotonic seconds).

    `missing` means that the server knows no such kind, `transient` that it could not say now.
    """

    why: str
    retry_at: float
    missing: bool = False
    transient: bool = False


class Discovery:
    """Finds resources by kind; both finds and failures are cached."""

    def __init__(self, api: KubeApi, *, timing: Timing | None = None) -> None:
        self._api = api
        self._timing = timing or Timing()
        self._known: dict[tuple[str, str], ApiResource | NotWatchable] = {
            (resource.group, resource.kind): resource for resource in BUILT_IN
        }
        self._lock = asyncio.Lock()

    async def find(self, api_version: str, kind: str) -> ApiResource | NotWatchable:
        """Find the resource of a kind; never raises `ApiError`.

        The versions of a group hold the same objects: the one asked for will do, else the preferred one.
        """
        group, _, version = api_version.rpartition("/")
        key = (group, kind)
        async with self._lock:
            known = self._known.get(key)
            if known is None or (isinstance(known, NotWatchable) and known.retry_at <= self._timing.clock()):
                if known is None and len(self._known) >= MAX_KINDS:
                    return self._unavailable(f"more than {MAX_KINDS} kinds of owners", UNAVAILABLE_SECONDS)
                known = await self._ask(group, version, kind)
                self._known[key] = known
            return known

    def forget(self, resource: ApiResource) -> None:
        """Take back a find: the server no longer lets us list it."""
        self._known.pop((resource.group, resource.kind), None)

    async def _ask(self, group: str, version: str, kind: str) -> ApiResource | NotWatchable:
        try:
            found = await self._in_version(group, version, kind)
            if found is None and group:
                body = await self._api.request("GET", api_path(group))
                preferred = msgspec.json.decode(body, type=_Group).preferred_version.version
                if preferred != version:
                    found = await self._in_version(group, preferred, kind)
            if found is None:
                return self._missing(group)
            # Discovery lists resources that our role may not read: ask for one object before following them.
            await self._api.request("GET", found.path, params={"limit": "1"})
        except ApiError as error:
            if error.status == 404 or error.reason == BAD_NAME:
                return self._missing(group)
            transient = is_transient(error.status)
            seconds = max(TRANSIENT_SECONDS if transient else FORBIDDEN_SECONDS, error.retry_after or 0.0)
            return NotWatchable(str(error), self._timing.clock() + seconds, transient=transient)
        except msgspec.DecodeError as error:
            return self._unavailable(f"the discovery document does not decode: {error}", TRANSIENT_SECONDS)
        return found

    async def _in_version(self, group: str, version: str, kind: str) -> ApiResource | None:
        path = api_path(group, version)
        try:
            body = await self._api.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        for resource in msgspec.json.decode(body, type=_ResourceList).resources or ():
            # A subresource such as `deployments/scale` may carry the kind too.
            followed = {"list", "watch"} <= set(resource.verbs or ())
            if resource.kind == kind and "/" not in resource.name and followed:
                return api_resource(group, version, resource.name, kind)
        return None

    def _missing(self, group: str) -> NotWatchable:
        why = f"no such kind in API group {group!r}" if group else "no such kind in the core API"
        return NotWatchable(why, self._timing.clock() + UNAVAILABLE_SECONDS, missing=True)

    def _unavailable(self, why: str, seconds: float) -> NotWatchable:
        return NotWatchable(why, self._timing.clock() + seconds)
