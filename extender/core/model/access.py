"""Who may see what: questions to Kubernetes' authorization, in resources that exist for this alone.

`placement.spotmix.io` has no objects and no API server of its own. Its resources are names that a Role can grant, and
every way to look at Spotmix asks for the same one when it shows the same thing.
"""

from msgspec import Struct

GROUP = "placement.spotmix.io"


class Attributes(Struct, frozen=True):
    """What somebody wants to do, with a resource of `GROUP`.

    An empty `namespace` means all of them, an empty `name` any.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        """The right in words, as a refusal tells of it."""
        name = f' "{self.name}"' if self.name else ""
        where = f'in the namespace "{self.namespace}"' if self.namespace else "in all namespaces"
        return f'{self.verb} resource "{self.resource}"{name} in API group "{GROUP}" {where}'


class PathRight(Struct, frozen=True):
    """What somebody wants to do with an address of ours that is no object, such as `get /metrics`."""

    verb: str
    path: str

    def __str__(self) -> str:
        """The right in words, as a refusal tells of it."""
        return f'{self.verb} path "{self.path}"'


class User(Struct, frozen=True):
    """Whom a token belongs to, as the API server says. `extra` is passed on to the authorizers unread."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def list_workloads(namespace: str = "") -> Attributes:
    """To see the workloads of a namespace, or of all: how far each is from its split."""
    return Attributes("list", "workloads", namespace)


def get_workload(namespace: str, name: str) -> Attributes:
    """To see all about one workload: its pods, their nodes, what keeps them, its last decisions."""
    return Attributes("get", "workloads", namespace, name)


def get_pod(namespace: str, name: str) -> Attributes:
    """To have one pod explained."""
    return Attributes("get", "pods", namespace, name)


def get_plan(namespace: str = "") -> Attributes:
    """To see what the drift loop would do."""
    return Attributes("get", "driftplans", namespace)


def simulate(namespace: str = "") -> Attributes:
    """To ask what would be."""
    return Attributes("create", "simulations", namespace)


def watch_decisions(namespace: str = "") -> Attributes:
    """To follow decisions as they are taken."""
    return Attributes("watch", "decisions", namespace)


def list_nodes() -> Attributes:
    """To see nodes and pools."""
    return Attributes("list", "nodes")
