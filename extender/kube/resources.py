"""The resources Spotmix watches: their keys, paths and kinds."""

from msgspec import Struct

from extender.core.model.policies import CLUSTER_PLACEMENT_POLICIES, GROUP, PLACEMENT_POLICIES, VERSION
from extender.core.state.autoscaling import EVENTS
from extender.kube.paths import api_path
from extender.wire.notices_v1 import NOTICED_IN, REASONS


class ApiResource(Struct, frozen=True):
    """One listable and watchable resource of the API.

    `key` names it everywhere else (`pods`, `replicasets.apps`); `path` is its list over all namespaces. `size_path` is
    where its objects say how many replicas they want, as its scale subresource has it (`.spec.instances`); empty for
    `.spec.replicas`. `selector` is the field selector of those that are followed; empty for all. `bookmarked` says that
    the API server tells a watch about every minute how far it is: of Events, which it does not keep in memory, it does
    not.
    """

    key: str
    path: str
    group: str
    version: str
    kind: str
    size_path: str = ""
    selector: str = ""
    bookmarked: bool = True

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

# Policies as objects: without them annotations alone speak.
POLICIES = tuple(
    api_resource(GROUP, VERSION, key.partition(".")[0], kind)
    for key, kind in (
        (PLACEMENT_POLICIES, "PlacementPolicy"),
        (CLUSTER_PLACEMENT_POLICIES, "ClusterPlacementPolicy"),
    )
)

NODE_CLAIMS = api_resource("karpenter.sh", "v1", "nodeclaims", "NodeClaim")


def events_of(reason: str, *but_by: str, namespace: str | None = None) -> ApiResource:
    """The Events with one reason, but for those of some sources: all of them are too many."""
    selector = ",".join((f"reason={reason}", *(f"source!={each}" for each in but_by)))
    path = api_path("", "v1", "events", namespace=namespace)
    return ApiResource(f"{EVENTS}{reason}", path, "", "v1", "Event", selector=selector, bookmarked=False)


# What tells of interruptions: without it those are not counted that show on no node.
NOTICES = tuple(events_of(reason, namespace=NOTICED_IN) for reason in REASONS)

# What autoscalers say: without it no pod is given up before its time. A selector can ask for one reason alone.
AUTOSCALING = (
    NODE_CLAIMS,
    events_of("Nominated"),
    events_of("InsufficientCapacityError"),
    # Schedulers say that of each pod that an autoscaler is to launch a node for: ours, and the one most clusters have.
    events_of("FailedScheduling", "default-scheduler", "spotmix"),
    events_of("TriggeredScaleUp"),
    events_of("NotTriggerScaleUp"),
    *NOTICES,
)

# Followed for what they are: their objects do not come as owners.
NO_OWNERS = frozenset(
    (resource.group, resource.kind) for resource in (NODES, NAMESPACES, PODS, NODE_CLAIMS, *POLICIES, *DRIFT_ONLY)
)

# Groups of Kubernetes itself. Some of their kinds hold secrets, some have very many objects that change all the time,
# and whoever may make a pod may name any of them as its owner.
OWN_GROUPS = frozenset(
    {"", "apps", "autoscaling", "batch", "extensions", "policy", "metrics.k8s.io", "custom.metrics.k8s.io"}
    | {
        f"{name}.k8s.io"
        for name in (
            *("admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization"),
            *("certificates", "coordination", "discovery", "events", "external.metrics", "flowcontrol.apiserver"),
            *("internal.apiserver", "networking", "node", "rbac.authorization", "resource", "scheduling", "storage"),
            "storagemigration",
        )
    }
)
_WORKLOADS = frozenset(
    {("", "ReplicationController"), ("batch", "CronJob")}
    | {(resource.group, resource.kind) for resource in (DEPLOYMENTS, REPLICASETS, STATEFULSETS, JOBS)}
)


def may_be_followed(group: str, kind: str) -> bool:
    """Whether objects of a kind may be listed because something names one as its owner.

    Of the kinds of Kubernetes itself, workloads alone; of others all that the API serves.
    """
    return group not in OWN_GROUPS or (group, kind) in _WORKLOADS
