"""Whether a limit keeps a pod from a capacity class, as things are now."""

from extender.core.policy.limits import Limit
from extender.core.state.state import ClusterState


def limit_on(state: ClusterState, namespace: str, pod: str, capacity_class: str) -> Limit | None:
    """The limit that keeps a pod (UID) from a class; None where nothing does.

    A pod that the watch does not know is kept from every class that is limited: it may be made up, and what it holds
    could not be told from what others do. It is asked about again once it is known.
    """
    account = state.holdings.accounts.get(namespace)
    limits = account.limited(capacity_class) if account is not None else ()
    if account is None or not limits:
        return None
    record = state.pods.get(pod)
    if record is None:
        return limits[0]
    own, revision = [pod], record.revision
    if revision is not None and pod not in revision.reservations and revision.replacing:
        # It will take over what is held for the replacement of another.
        own.append(revision.replacing[0])
    return account.reached(capacity_class, record.requests, own)


def limits_told(state: ClusterState, namespace: str, pod: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """What keeps a pod (UID) from classes of which its namespace holds as much as it may, for people."""
    account = state.holdings.accounts.get(namespace)
    found = (limit_on(state, namespace, pod, name) for name in classes)
    return tuple(limit.told(account.used(limit), namespace) for limit in found if limit is not None and account)
