"""Decisions wait a moment for an owner that the watch has not delivered."""

import asyncio

from support.doubles_servers import run_virtually

from extender.core.model.objects import OwnerRef
from extender.core.policy.managed import Missing
from extender.servers.owners import AwaitedOwners

PATIENCE = 0.1


def missing(uid: str) -> Missing:
    return Missing(OwnerRef(uid, "apps/v1", "ReplicaSet", uid))


class Gate:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ensured: list[str] = []
        self.gate = AwaitedOwners(lambda ref: self.ensured.append(ref.uid), PATIENCE, self.loop.time)

    async def ask(self, uid: str = "rs") -> tuple[bool, float]:
        """The answer, and the seconds it took."""
        started = self.loop.time()
        answer = await self.gate.arrival(missing(uid))
        return answer, round(self.loop.time() - started, 6)


def test_it_waits_once_for_an_owner_that_stays_away() -> None:
    async def main() -> None:
        gate = Gate()
        assert await gate.ask() == (False, PATIENCE)
        # The next pods of the same owner are not held up.
        assert await gate.ask() == (False, 0.0)
        assert await gate.ask("other") == (False, PATIENCE)
        await asyncio.sleep(11)
        assert await gate.ask() == (False, PATIENCE)
        assert gate.ensured == ["rs", "rs", "other", "rs"]

    run_virtually(main)


def test_an_arrival_ends_the_wait_of_all() -> None:
    async def main() -> None:
        gate = Gate()
        gate.loop.call_later(0.03, gate.gate.arrived, "rs")
        answers = await asyncio.gather(gate.ask(), gate.ask(), gate.ask("other"))
        assert list(answers) == [(True, 0.03), (True, 0.03), (False, PATIENCE)]
        gate.gate.arrived("nobody waits for this")

    run_virtually(main)


def test_a_second_wait_ends_with_the_first() -> None:
    async def main() -> None:
        gate = Gate()
        first = asyncio.create_task(gate.ask())
        await asyncio.sleep(0.04)
        assert await gate.ask() == (False, 0.06)
        assert await first == (False, PATIENCE)

    run_virtually(main)


def test_when_it_is_opened_all_look_again() -> None:
    async def main() -> None:
        gate = Gate()
        gate.loop.call_later(0.02, gate.gate.open)
        answers = await asyncio.gather(gate.ask("a"), gate.ask("b"))
        assert list(answers) == [(True, 0.02), (True, 0.02)]
        # Who finds nothing waits for what is left of its patience.
        assert await gate.ask("a") == (False, 0.08)

    run_virtually(main)


def test_of_very_many_owners_those_that_were_asked_for_last_are_remembered() -> None:
    async def main() -> None:
        gate = Gate()
        names = [f"rs-{number}" for number in range(4097)]
        await asyncio.gather(*(gate.ask(name) for name in names))
        assert await gate.ask(names[-1]) == (False, 0.0)
        assert await gate.ask(names[1]) == (False, 0.0)
        assert await gate.ask(names[0]) == (False, PATIENCE)

    run_virtually(main)


def test_no_patience() -> None:
    async def main() -> None:
        gate = AwaitedOwners(lambda _ref: None, 0.0, lambda: 5.0)
        assert not await gate.arrival(missing("rs"))

    run_virtually(main)
