"""People of a cluster: service accounts with tokens that the API server made, and what they may see of Spotmix."""

import json
from collections.abc import Iterable
from typing import Any

from extender.core.model.access import GROUP, Attributes
from extender.kube.client import ApiClient
from support.rights import RBAC, in_force, service_account

NAMESPACE = "default"
ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"


class People:
    """Accounts of the namespace `default`."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    async def arrive(self, name: str, *rights: Attributes) -> str:
        """An account with these rights, which are in force; its token."""
        await self.api.request("POST", ACCOUNTS, body={"metadata": {"name": name}})
        await self.grant(name, rights)
        return await self.token(name)

    async def token(self, name: str, *audiences: str) -> str:
        body = {"spec": {"expirationSeconds": 600, "audiences": list(audiences)}}
        answer = json.loads(await self.api.request("POST", f"{ACCOUNTS}/{name}/token", body=body))
        token: str = answer["status"]["token"]
        return token

    async def grant(self, name: str, rights: Iterable[Attributes]) -> None:
        """Roles where the right is for a namespace, else ClusterRoles; they are in force when this returns."""
        for number, right in enumerate(rights):
            where = f"/namespaces/{right.namespace}" if right.namespace else ""
            kind = "Role" if where else "ClusterRole"
            base = f"/apis/{RBAC}/v1{where}/{kind.lower()}"
            metadata = {"name": f"{name}-{number}"}
            rule = {"apiGroups": [GROUP], "resources": [right.resource], "verbs": [right.verb]}
            if right.name:
                rule["resourceNames"] = [right.name]
            await self.api.request("POST", f"{base}s", body={"metadata": metadata, "rules": [rule]})
            subject = {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
            role = {"apiGroup": RBAC, "kind": kind, "name": metadata["name"]}
            binding = {"metadata": metadata, "subjects": [subject], "roleRef": role}
            await self.api.request("POST", f"{base}bindings", body=binding)
            await in_force(self.api, service_account(name, NAMESPACE), _asked(right))

    async def may_get(self, name: str, path: str) -> None:
        """A ClusterRole for an address that is no object; it is in force when this returns."""
        base, metadata = f"/apis/{RBAC}/v1/clusterrole", {"name": f"{name}-path"}
        rule = {"nonResourceURLs": [path], "verbs": ["get"]}
        await self.api.request("POST", f"{base}s", body={"metadata": metadata, "rules": [rule]})
        subject = {"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": metadata["name"]}
        binding = {"metadata": metadata, "subjects": [subject], "roleRef": role}
        await self.api.request("POST", f"{base}bindings", body=binding)
        asked = {"nonResourceAttributes": {"path": path, "verb": "get"}}
        await in_force(self.api, service_account(name, NAMESPACE), asked)

    async def revoke(self, name: str, right: Attributes, number: int = 0) -> None:
        """Take back the right that was granted as the `number`th; it is gone when this returns."""
        where = f"/namespaces/{right.namespace}" if right.namespace else ""
        kind = "role" if where else "clusterrole"
        await self.api.request("DELETE", f"/apis/{RBAC}/v1{where}/{kind}bindings/{name}-{number}")
        await in_force(self.api, service_account(name, NAMESPACE), _asked(right), allowed=False)

    async def leave(self, name: str) -> None:
        """Delete the account."""
        await self.api.request("DELETE", f"{ACCOUNTS}/{name}")


def _asked(right: Attributes) -> dict[str, Any]:
    """The right as a SubjectAccessReview asks for it."""
    fields = {"verb": right.verb, "resource": right.resource, "namespace": right.namespace, "name": right.name}
    return {"resourceAttributes": {"group": GROUP, **fields}}
