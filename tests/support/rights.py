"""Roles taken apart into single rights, users that have all of them but one, and when a right is in force."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generate.chart import NAMESPACE, Object

from extender.kube.client import ApiClient
from support.objects import Objects
from support.patience import eventually

RBAC = "rbac.authorization.k8s.io"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


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

    def asked(self) -> dict[str, Any]:
        """The right as a SubjectAccessReview asks for it."""
        resource, _, part = self.resource.partition("/")
        asked = {"group": self.group, "resource": resource, "subresource": part, "verb": self.verb, "name": self.name}
        return {"resourceAttributes": {**asked, **({"namespace": NAMESPACE} if self.local else {})}}


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


async def in_force(
    api: ApiClient, user: str, asked: Mapping[str, Any], *, groups: Sequence[str] = (), allowed: bool = True
) -> None:
    """Wait until the API server, which learns of roles and bindings by watches, lets the user do this (or no more).

    `asked` is the part of a SubjectAccessReview that says what: `resourceAttributes` or `nonResourceAttributes`.
    """

    async def may() -> bool:
        spec = {"user": user, "groups": [*groups], **asked}
        answer = json.loads(await api.request("POST", REVIEWS, body={"spec": spec}))
        return bool(answer["status"]["allowed"])

    await eventually(may, lambda seen: seen is allowed, f"{user}, {asked}: {'allowed' if allowed else 'refused'}")


async def bind(objects: Objects, name: str, rules: Sequence[Mapping[str, Any]], subject: Mapping[str, str]) -> None:
    """Give a user, group or account (`subject`) a ClusterRole with these rules; in force when this returns."""
    meta = {"name": name}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    await objects.apply({"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": meta, "rules": [*rules]})
    await objects.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": role,
            "subjects": [{"apiGroup": "" if subject["kind"] == "ServiceAccount" else RBAC, **subject}],
        }
    )
    user, groups = subject["name"], []
    if subject["kind"] == "ServiceAccount":
        user = service_account(user, subject["namespace"])
    elif subject["kind"] == "Group":
        user, groups = "anybody", [user]
    for rule in rules[:1]:
        resource, _, part = rule["resources"][0].partition("/")
        asked = {"group": rule["apiGroups"][0], "resource": resource, "subresource": part, "verb": rule["verbs"][0]}
        await in_force(objects.api, user, {"resourceAttributes": asked}, groups=groups)


async def grant(objects: Objects, name: str, given: Iterable[Right], bound: Sequence[Object] = ()) -> str:
    """Give these rights to an account of the namespace, and what the bindings `bound` give; the account's user.

    The rights are in force when this returns.
    """
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
    user = service_account(name)
    # A role is learned of as a whole.
    for right in {right.local: right for right in sorted_rights}.values():
        await in_force(objects.api, user, right.asked())
    return user
