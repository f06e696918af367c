"""How far the limits of policies are used."""

from msgspec import Struct

from extender.core.policy.limits import Limit
from extender.core.state.state import ClusterState


class LimitUse(Struct, frozen=True):
    """One limit, over the namespaces that it holds in.

    `namespaces` is how many these are, `most` what that one holds that holds most of it, in the unit of `Limit.most`.
    `reached` are the namespaces that hold all of it, or where pods wait for it, each with what it holds.
    """

    limit: Limit
    namespaces: int
    most: int
    reached: tuple[tuple[str, int], ...]


def limit_uses(state: ClusterState, policy: str | None = None) -> list[LimitUse]:
    """The use of each limit, of one policy (UID) or of all, in the order of their policies' names."""
    found: dict[Limit, list[tuple[str, int, bool]]] = {}
    for namespace, account in sorted(state.holdings.accounts.items()):
        for limit in account.limits:
            if policy in (None, limit.uid):
                found.setdefault(limit, []).append((namespace, account.used(limit), account.is_reached(limit)))
    uses = [
        LimitUse(
            limit,
            len(seen),
            max(used for _, used, _ in seen),
            tuple((namespace, used) for namespace, used, reached in seen if reached),
        )
        for limit, seen in found.items()
    ]
    return sorted(uses, key=lambda use: (use.limit.policy, use.limit.uid))
