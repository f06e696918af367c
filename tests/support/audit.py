"""What was asked of an API server, by whom, and what it refused: its own audit log.

It tells of all that service accounts did, of what the users did that a test names, and of every end of a pod.
"""

import json
from pathlib import Path
from typing import Any

from support.rights import Right

_ENDS = [
    {"level": "Metadata", "verbs": ["delete", "deletecollection"], "resources": [{"group": "", "resources": ["pods"]}]},
    {"level": "Metadata", "resources": [{"group": "", "resources": ["pods/eviction"]}]},
]
_DECISION = "authorization.k8s.io/decision"


class Audit:
    """The log of one API server, which has to be started with `flags`.

    Args:
        folder: where its files go.
        users: users to tell of who are no service accounts.
    """

    def __init__(self, folder: Path, *users: str) -> None:
        rules: list[dict[str, Any]] = [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, *_ENDS]
        if users:
            rules.append({"level": "Metadata", "users": users})
        policy = folder / "audit-policy.json"
        policy.write_text(
            json.dumps(
                {
                    "apiVersion": "audit.k8s.io/v1",
                    "kind": "Policy",
                    "omitStages": ["RequestReceived", "ResponseStarted"],
                    "rules": [*rules, {"level": "None"}],
                }
            )
        )
        self._log = folder / "audit.log"
        self.flags = (f"--audit-policy-file={policy}", f"--audit-log-path={self._log}")

    async def refused(self, user: str) -> set[Right]:
        """The rights that a user lacked, without the names of objects."""
        return self._decided(user, "forbid")

    def _decided(self, user: str, decision: str) -> set[Right]:
        return {
            _right(event)
            for event in self.events(user)
            if event["user"]["username"] == user and event.get("annotations", {}).get(_DECISION) == decision
        }

    def events(self, mentioned: str) -> list[dict[str, Any]]:
        """The requests so far that have this text somewhere in them."""
        # The last line may still be written.
        lines = self._log.read_bytes().split(b"\n")[:-1] if self._log.exists() else []
        return [json.loads(line) for line in lines if mentioned.encode() in line]

    async def used(self, user: str, right: Right) -> bool:
        """Whether a user made a request that this right allowed, and that has ended."""
        return right.kind in self._decided(user, "allow")

    async def lacked(self, user: str, right: Right) -> bool:
        """Whether a user was refused for want of this right."""
        return right.kind in await self.refused(user)


def _right(event: dict[str, Any]) -> Right:
    asked = event.get("objectRef", {})
    resource = "/".join(part for part in (asked.get("resource"), asked.get("subresource")) if part)
    return Right(resource or event["requestURI"], event["verb"], asked.get("apiGroup", ""))
