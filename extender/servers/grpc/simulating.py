"""What Simulate is asked, and its answer, which is made in steps between which the extender gets its turn."""

import math
from collections.abc import Generator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from extender.core.answers.plan import WorkloadName
from extender.core.model.access import Attributes, simulate
from extender.core.model.errors import ChangeError, NotFoundError, WireError
from extender.core.model.policies import PlacementPolicy
from extender.core.state.lookup import find_owner, kind_named
from extender.core.whatif.outlook import Change, LostPool, WhatIf
from extender.core.whatif.what_if import what_if_in_steps
from extender.servers.answers.pace import in_turns
from extender.servers.answers.sources import Sources
from extender.servers.grpc import requests
from extender.servers.grpc.calls import Code, RefusedError, missing
from extender.servers.grpc.filling import fill
from extender.wire.placement_v1 import number_of, to_message
from extender.wire.placementpolicy_v1 import read_policy
from spotmix.placement.v1 import placement_pb2 as pb

WORKLOADS, MOST_WORKLOADS = 100, 10_000
LONGEST_MANIFEST = 64 * 1024
"""Characters of a policy object."""
FEW = 20
"""Changes of workloads that are put into messages between two pauses: a millisecond or two."""


class Supposition(Struct, frozen=True):
    """A change, policy objects, and how many of the workloads that these touch are to be told of."""

    change: Change
    size: int
    policies: tuple[PlacementPolicy, ...] = ()

    @property
    def right(self) -> Attributes:
        """What one has to be allowed: the loss of a pool tells of workloads in all namespaces, and so does a policy of
        the cluster.
        """
        workload = self.change.workload
        touched = {each.namespace for each in self.policies}
        touched |= {workload.namespace} if workload is not None else set()
        return simulate(touched.pop() if len(touched) == 1 and not self.change.lost_pools else "")


def supposition(request: pb.SimulateRequest) -> Supposition:
    """What Simulate is asked.

    Raises:
        RefusedError: a field is wrong.
    """
    asked = request.change
    size = requests.limit_of("workload_limit", request.workload_limit, WORKLOADS, MOST_WORKLOADS)
    workload = None
    if asked.HasField("workload"):
        named = asked.workload
        workload = WorkloadName(
            requests.name("change.workload.namespace", named.namespace),
            requests.name("change.workload.kind", named.kind),
            requests.name("change.workload.name", named.name),
        )
    policy = {
        requests.name("change.policy", key): requests.text(f"change.policy[{key}]", asked.policy[key])
        for key in requests.few("change.policy", sorted(asked.policy))
    }
    pools = tuple(_pool(pool) for pool in requests.few("change.lost_pools", asked.lost_pools))
    prices = {name: asked.prices[name] for name in requests.few("change.prices", sorted(asked.prices))}
    for name, price in prices.items():
        if not math.isfinite(price):
            raise requests.bad(f"change.prices[{name}]", price, "is no price", "send a number that is not negative")
    replicas = asked.replicas if asked.HasField("replicas") else None
    policies = tuple(_policy(each) for each in requests.few("policy_objects", request.policy_objects))
    titles = [each.title for each in policies]
    if len(set(titles)) != len(titles):
        twice = next(each for each in titles if titles.count(each) > 1)
        raise requests.bad("policy_objects", twice, "is there twice", "send each once")
    return Supposition(Change(workload, replicas, policy, pools, prices), size, policies)


def _policy(manifest: str) -> PlacementPolicy:
    if len(manifest) > LONGEST_MANIFEST:
        fault = f"is longer than {LONGEST_MANIFEST} characters"
        raise requests.bad("policy_objects", f"{manifest[:20]}…", fault, "leave out what is no spec")
    try:
        policy = read_policy(manifest.encode())
    except WireError as error:
        raise RefusedError(Code.INVALID_ARGUMENT, f"policy_objects: {error}") from error
    for field, value in (("name", policy.name), ("namespace", policy.namespace)):
        requests.text(f"policy_objects.metadata.{field}", value)
    return policy


def _pool(pool: pb.LostPool) -> LostPool:
    return LostPool(
        requests.text("change.lost_pools.capacity_class", pool.capacity_class),
        requests.text("change.lost_pools.instance_type", pool.instance_type),
        requests.text("change.lost_pools.zone", pool.zone),
    )


def _steps(sources: Sources, asked: Supposition) -> Generator[None, None, WhatIf]:
    return what_if_in_steps(sources.state, asked.change, sources.now(), sources.drifting.rules, asked.policies)


async def answer(sources: Sources, asked: Supposition) -> pb.SimulateResponse:
    """What the change would come to.

    Raises:
        RefusedError: it cannot be, or is of something that is not there.
    """
    state, workload = sources.state, asked.change.workload
    # Whoever may ask about one namespace is not told what others have.
    if (
        workload is not None
        and find_owner(state, *kind_named(workload.kind), workload.namespace, workload.name) is None
    ):
        raise missing(workload.kind, workload.namespace, workload.name)
    try:
        made = await in_turns(_steps(sources, asked))
    except ChangeError as error:
        raise RefusedError(Code.INVALID_ARGUMENT, str(error)) from error
    except NotFoundError as error:
        raise RefusedError(Code.NOT_FOUND, str(error)) from error
    message: Any = to_message(replace(made, workloads=()))
    await fill(message.workloads, made.workloads[: asked.size], FEW)
    return pb.SimulateResponse(what_if=message, obstacle=number_of(sources.obstacle()), total_size=len(made.workloads))
