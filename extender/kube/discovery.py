"""From the apiVersion and kind of an ownerReference to a resource that can be listed and watched."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from extender.core.model.errors import ApiError
from extender.kube.limits import is_transient
from extender.kube.paths import BAD_NAME, GROUPS_PATH, api_path
from extender.kube.resources import BUILT_IN, OWN_GROUPS, ApiResource, api_resource
from extender.kube.seams import KubeApi, Timing

# A kind that does not exist, or is forbidden to us, may be installed or granted later.
UNAVAILABLE_SECONDS = 300.0
# A starting API server forbids too, until it knows its roles.
FORBIDDEN_SECONDS = 60.0
TRANSIENT_SECONDS = 5.0
# A kind that the server can say nothing about counts as one that cannot be followed after this time.
TRANSIENT_PATIENCE = 60.0
# ownerReferences are free text to whoever may create a pod: bound what they make us remember. A kind that is served
# has its place for good; of those that are not, the one that was asked for longest ago gives way.
MAX_MISSES = 500
# Nor do they make us ask: for so long (seconds) it is known what the server serves.
DOCUMENT_SECONDS = 2.0


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
    name: str = ""
    versions: Sequence[_Version] = ()


class _Groups(Struct):
    groups: Sequence[_Group]


class _Scale(Struct, rename="camel"):
    spec_replicas_path: str = ""


class _Subresources(Struct):
    scale: _Scale | None = None


class _DefinedVersion(Struct):
    name: str
    subresources: _Subresources | None = None


class _DefinitionSpec(Struct):
    versions: Sequence[_DefinedVersion]


class _Definition(Struct):
    spec: _DefinitionSpec


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
        self._missing: OrderedDict[tuple[str, str], NotWatchable] = OrderedDict()
        self._groups: Mapping[str, _Group] | None = None
        self._resources: dict[str, Sequence[_Resource]] = {}
        self._asked_at = -DOCUMENT_SECONDS
        self._lock = asyncio.Lock()

    async def find(self, api_version: str, kind: str) -> ApiResource | NotWatchable:
        """Find the resource of a kind; never raises `ApiError`.

        The versions of a group hold the same objects: the one asked for will do, else the preferred one.
        """
        group, _, version = api_version.rpartition("/")
        key = (group, kind)
        async with self._lock:
            known = self._known.get(key) or self._missing.get(key)
            if known is None or (isinstance(known, NotWatchable) and known.retry_at <= self._timing.clock()):
                known = await self._ask(group, version, kind)
                self._remember(key, known)
            return known

    def _remember(self, key: tuple[str, str], found: ApiResource | NotWatchable) -> None:
        self._known.pop(key, None)
        self._missing.pop(key, None)
        if isinstance(found, NotWatchable) and (found.missing or found.transient):
            self._missing[key] = found
            if len(self._missing) > MAX_MISSES:
                self._missing.popitem(last=False)
        else:
            self._known[key] = found

    def forget(self, resource: ApiResource) -> None:
        """Take back a find: the server no longer lets us list it."""
        self._known.pop((resource.group, resource.kind), None)

    async def _ask(self, group: str, version: str, kind: str) -> ApiResource | NotWatchable:
        try:
            # What can be none asks for nothing.
            api_path(group, version)
            served = await self._served(group)
            if served is None:
                return self._not_served(group)
            found = await self._in_version(group, version, kind) if version in served else None
            if found is None and served[0] != version:
                found = await self._in_version(group, served[0], kind)
            if found is None:
                return self._not_served(group)
            # Discovery lists resources that our role may not read: ask for one object before following them.
            await self._api.request("GET", found.path, params={"limit": "1"})
        except ApiError as error:
            if error.status == 404 or error.reason == BAD_NAME:
                return self._not_served(group)
            transient = is_transient(error.status)
            seconds = max(TRANSIENT_SECONDS if transient else FORBIDDEN_SECONDS, error.retry_after or 0.0)
            return NotWatchable(str(error), self._timing.clock() + seconds, transient=transient)
        except msgspec.DecodeError as error:
            return self._unavailable(f"the discovery document does not decode: {error}", TRANSIENT_SECONDS)
        return found

    async def _served(self, group: str) -> Sequence[str] | None:
        """The versions of a group, the preferred one first; None for one that is not served."""
        if self._timing.clock() - self._asked_at >= DOCUMENT_SECONDS:
            self._groups = None
            self._resources.clear()
        if not group:
            return ("v1",)
        if self._groups is None:
            body = await self._api.request("GET", GROUPS_PATH)
            self._groups = {each.name: each for each in msgspec.json.decode(body, type=_Groups).groups}
            self._asked_at = self._timing.clock()
        found = self._groups.get(group)
        if found is None:
            return None
        return (found.preferred_version.version, *(each.version for each in found.versions))

    async def _resources_of(self, group: str, version: str) -> Sequence[_Resource]:
        path = api_path(group, version)
        known = self._resources.get(path)
        if known is None:
            try:
                body = await self._api.request("GET", path)
            except ApiError as error:
                if error.status != 404:
                    raise
                return ()
            known = self._resources[path] = msgspec.json.decode(body, type=_ResourceList).resources or ()
            if not group:
                self._asked_at = self._timing.clock()
        return known

    async def _in_version(self, group: str, version: str, kind: str) -> ApiResource | None:
        resources = await self._resources_of(group, version)
        for resource in resources:
            # A subresource such as `deployments/scale` may carry the kind too.
            followed = {"list", "watch"} <= set(resource.verbs or ())
            if resource.kind == kind and "/" not in resource.name and followed:
                found = api_resource(group, version, resource.name, kind)
                # Kubernetes' own kinds say it by `.spec.replicas`, and have no definition to ask.
                scales = group not in OWN_GROUPS and any(
                    each.name == f"{resource.name}/scale" and each.kind == "Scale" for each in resources
                )
                return replace(found, size_path=await self._size_path(found)) if scales else found
        return None

    async def _size_path(self, resource: ApiResource) -> str:
        """Where objects of a kind say their size, as the definition of the kind has it.

        Empty where it cannot be read, or the kind has none: then they may say it by `.spec.replicas`.
        """
        definition = api_path("apiextensions.k8s.io", "v1", "customresourcedefinitions", name=resource.key)
        try:
            body = await self._api.request("GET", definition)
            versions = msgspec.json.decode(body, type=_Definition).spec.versions
        except (ApiError, msgspec.DecodeError):
            return ""
        by_name = {each.name: each.subresources for each in versions}
        subresources = by_name.get(resource.version)
        path = subresources.scale.spec_replicas_path if subresources is not None and subresources.scale else ""
        return "" if path == ".spec.replicas" else path

    def _not_served(self, group: str) -> NotWatchable:
        why = f"no such kind in API group {group!r}" if group else "no such kind in the core API"
        return NotWatchable(why, self._timing.clock() + UNAVAILABLE_SECONDS, missing=True)

    def _unavailable(self, why: str, seconds: float) -> NotWatchable:
        return NotWatchable(why, self._timing.clock() + seconds)
