"""The resources Spotmix watches: their keys, paths and kinds."""

from msgspec import Struct

from extender.kube.paths import api_path


class ApiResource(Struct, frozen=True):
    """One listable and watchable resource of the API.

    `key` names it everywhere else (`pods`, `replicasets.apps`); `path` is its list over all namespaces.
    """

    key: str
    path: str
    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """As objects of it write it: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path_in(self, namespace: str, name: str | None = None) -> str:
        """The path of its list in one namespace, or of one object there.

        Raises:
            ApiError: there can be no such namespace or name.
        """
        return api_path(self.group, self.version, self.key.partition(".")[0], namespace=namespace, name=name)


def api_resource(group: str, version: str, plural: str, kind: str) -> ApiResource:
    """Make a resource; `group` is empty for the core group.

    Raises:
        ApiError: one of them is none that the API could have.
    """
    path = api_path(group, version, plural)
    return ApiResource(f"{plural}.{group}" if group else plural, path, group, version, kind)


NODES = api_resource("", "v1", "nodes", "Node")
PODS = api_resource("", "v1", "pods", "Pod")
NAMESPACES = api_resource("", "v1", "namespaces", "Namespace")
DEPLOYMENTS = api_resource("apps", "v1", "deployments", "Deployment")
REPLICASETS = api_resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFULSETS = api_resource("apps", "v1", "statefulsets", "StatefulSet")
JOBS = api_resource("batch", "v1", "jobs", "Job")

# Pods come last: an event of a pod is judged by its node, namespace and owners.
BUILT_IN = (NODES, NAMESPACES, DEPLOYMENTS, REPLICASETS, STATEFULSETS, JOBS, PODS)

BUDGETS = api_resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
CLAIMS = api_resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
VOLUMES = api_resource("", "v1", "persistentvolumes", "PersistentVolume")

CSI_NODES = api_resource("storage.k8s.io", "v1", "csinodes", "CSINode")

# What the drift loop alone asks for: without it pods are placed all the same.
DRIFT_ONLY = (BUDGETS, CLAIMS, VOLUMES, CSI_NODES)

# Followed for what they are: as owners of pods they carry no policy, and their objects do not come as such.
NO_OWNERS = frozenset((resource.group, resource.kind) for resource in (NODES, NAMESPACES, PODS, *DRIFT_ONLY))
