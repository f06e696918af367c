"""Whether a workload can fit into the limits of its namespace at all: for whoever applies it."""

from collections.abc import Iterable, Iterator

from extender.core.model.objects import Owner, Requests
from extender.core.policy.limits import Limit, amount_of, shown, strictest
from extender.core.policy.policy import Policy, Problem
from extender.core.policy.stand_ins import stand_ins


def beyond_limits(thing: Owner, policy: Policy, asked: Requests, limits: Iterable[Limit]) -> Iterator[Problem]:
    """A warning for each limit that a workload would break were it alone in its namespace.

    Those replicas count that have to be of the class: all on its seats where nothing stands in for it, else its floor.

    Args:
        thing: the workload, with its size.
        policy: what holds for it.
        asked: what each of its pods requests.
        limits: those of its namespace.
    """
    replicas = thing.replicas
    if not replicas or policy.mode == "audit":
        return
    target = policy.seats.target(replicas)
    for capacity_class, held in strictest(limits).items():
        seats = target.get(capacity_class, 0)
        floor = min(seats, policy.seats.least(capacity_class))
        count = floor if stand_ins(policy, capacity_class) else seats
        what = "the floor alone is" if count == floor < seats else "there are"
        for limit in held:
            each = amount_of(asked, limit.resource)
            if each * count <= limit.most:
                continue
            resource, most = limit.resource, shown(limit.resource, limit.most)
            wanted = (
                f"{count} {capacity_class} replicas of {shown(resource, each)}, {shown(resource, each * count)} in all"
            )
            yield Problem(
                limit.policy,
                f"{limit.field}.max",
                most,
                f"lets namespace {thing.namespace} hold {most} {resource} of {capacity_class}, and of {thing.kind} "
                f"{thing.name} {what} {wanted}: {count - limit.most // each} of them will never get there",
                f"raise it, or let the {thing.kind} have fewer replicas, smaller requests or a lower floor",
                warning=True,
            )
