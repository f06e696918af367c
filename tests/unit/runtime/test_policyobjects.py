"""Policy objects while the service runs: the state goes on by itself, and the deciding replica writes statuses."""

import asyncio

import pytest
from support.doubles import World, make_owner, make_policy, shares
from support.doubles_servers import run_virtually
from unit.kube.test_kube_policystatuses import PatchedPolicies

from extender.core.state.events import Event, Upsert
from extender.core.state.intake import Intake
from extender.core.state.state import JUDGED
from extender.runtime.policyobjects import GoingOn, PolicyStatuses


class PolicyService:
    """What `spotmix serve` has for policy objects. Made within a virtual event loop."""

    def __init__(self, *, decides: bool = True) -> None:
        self.world, self.api = World(), PatchedPolicies()
        self.steps = 0
        state = self.world.state
        now = asyncio.get_running_loop().time
        self.statuses = PolicyStatuses(state, self.api, lambda: decides, lambda _, text: pytest.fail(text), now)
        self._intake = Intake(state, [GoingOn(state, self.sink).observe, self.statuses.observe])

    def sink(self, event: Event) -> None:
        self.steps += 1
        self._intake.take(event, asyncio.get_running_loop().time())


def test_a_policy_for_many_is_taken_in_step_by_step() -> None:
    async def main() -> None:
        service = PolicyService()
        for number in range(3 * JUDGED):
            service.world.up(make_owner("Deployment", f"w-{number}", 1))
        for name in ("a", "b", "c"):
            service.sink(Upsert(make_policy(name, **shares(70))))
        assert not service.world.state.workloads.by_uid
        await asyncio.sleep(1.0)
        assert len(service.world.state.workloads.by_uid) == 3 * JUDGED
        # Three objects, and the steps of all that they concern together.
        assert service.steps == 3 + 3

    run_virtually(main)


@pytest.mark.parametrize(("decides", "written"), [(True, 1), (False, 0)])
def test_the_deciding_replica_writes(*, decides: bool, written: int) -> None:
    async def main() -> None:
        service = PolicyService(decides=decides)
        service.world.up(make_owner("Deployment", "web", 4))
        task = asyncio.create_task(service.statuses.run())
        await asyncio.sleep(1.0)
        service.sink(Upsert(make_policy("web", **shares(70))))
        await asyncio.sleep(60.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(service.api.sent) == written
        if written:
            assert service.api.sent[-1][2]["status"]["replicas"] == 4

    run_virtually(main)
