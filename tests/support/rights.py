"""Roles taken apart into single rights, and users that have all of them but one."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from generate.chart import NAMESPACE, Object

from support.objects import Objects

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource; in the own namespace alone when `local`, on one object when `name`."""

    resource: str
    verb: str
    group: str = ""
    name: str = ""
    local: bool = False

    @property
    def kind(self) -> "Right":
        """The right as a refusal tells of it: not where, and not on what object."""
        return Right(self.resource, self.verb, self.group)

    def rule(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"apiGroups": [self.group], "resources": [self.resource], "verbs": [self.verb]}
        return {**rule, "resourceNames": [self.name]} if self.name else rule


def rights(role: Object) -> set[Right]:
    """Every right that a Role or ClusterRole gives."""
    found = set()
    for rule in role["rules"]:
        names = rule.get("resourceNames", ("",))
        for group, resource, verb, name in itertools.product(
            rule["apiGroups"], rule["resources"], rule["verbs"], names
        ):
            found.add(Right(resource, verb, group, name, local=role["kind"] == "Role"))
    return found


def service_account(name: str, namespace: str = NAMESPACE) -> str:
    """The user that pods of the account are to the API server."""
    return f"system:serviceaccount:{namespace}:{name}"


async def grant(objects: Objects, name: str, given: Iterable[Right], bound: Sequence[Object] = ()) -> str:
    """Give these rights to an account of the namespace, and what the bindings `bound` give; the account's user."""
    things: list[dict[str, Any]] = []
    sorted_rights = sorted(given)
    for kind, local in (("ClusterRole", False), ("Role", True)):
        metadata = {"name": name, **({"namespace": NAMESPACE} if local else {})}
        rules = [right.rule() for right in sorted_rights if right.local == local]
        things.append({"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules})
        things.append(
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": f"{kind}Binding",
                "metadata": metadata,
                "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            }
        )
    things += [{**each, "metadata": {**each["metadata"], "name": f"{name}-{n}"}} for n, each in enumerate(bound)]
    for thing in things:
        if thing["kind"].endswith("Binding"):
            thing["subjects"] = [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]
        await objects.apply(thing)
    return service_account(name)
