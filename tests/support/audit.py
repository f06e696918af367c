"""What service accounts asked of an API server, and what it refused them: its own audit log."""

import json
from pathlib import Path
from typing import Any

from support.rights import Right

_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}
_DECISION = "authorization.k8s.io/decision"


class Audit:
    """The log of one API server, which has to be started with `flags`."""

    def __init__(self, folder: Path) -> None:
        policy = folder / "audit-policy.json"
        policy.write_text(json.dumps(_POLICY))
        self._log = folder / "audit.log"
        self.flags = (f"--audit-policy-file={policy}", f"--audit-log-path={self._log}")

    async def refused(self, user: str) -> set[Right]:
        """The rights that a user lacked, without the names of objects."""
        return self._decided(user, "forbid")

    def _decided(self, user: str, decision: str) -> set[Right]:
        # The last line may still be written.
        lines = self._log.read_bytes().split(b"\n")[:-1] if self._log.exists() else []
        events = (json.loads(line) for line in lines if user.encode() in line)
        return {
            _right(event)
            for event in events
            if event["user"]["username"] == user and event.get("annotations", {}).get(_DECISION) == decision
        }

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
