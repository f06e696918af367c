"""Those who follow decisions: how many there are, what wakes them, and that they are let go."""

import asyncio

import pytest
from support.doubles_servers import run_virtually

from extender.core.answers.decisions import DecisionLog
from extender.servers.answers.following import PATIENCE, Followers


def test_who_leaves_is_counted_no_more() -> None:
    followers = Followers(DecisionLog())
    with followers.joined(lambda _: True), followers.joined(lambda _: True):
        assert len(followers) == 2
    assert len(followers) == 0


def test_a_follower_sleeps_until_it_is_woken_or_time_is_up() -> None:
    async def race() -> None:
        followers = Followers(DecisionLog())
        clock = asyncio.get_running_loop().time
        with followers.joined(lambda _: True) as follower:
            began = clock()
            await follower.sleep(3.0)
            assert clock() - began == pytest.approx(3.0)
            asyncio.get_running_loop().call_later(1.0, follower.wake)
            await follower.sleep(3.0)
            assert clock() - began == pytest.approx(4.0)
            asyncio.get_running_loop().call_later(1.0, followers.stop)
            await follower.sleep(3.0)
            assert clock() - began == pytest.approx(5.0)
            assert followers.stopping

    run_virtually(race)


def test_one_that_takes_nothing_is_given_up() -> None:
    async def race() -> None:
        clock = asyncio.get_running_loop().time
        with Followers(DecisionLog()).joined(lambda _: True) as follower:
            began = clock()
            with pytest.raises(TimeoutError):
                await follower.give(asyncio.sleep(10 * PATIENCE))
            assert clock() - began == pytest.approx(PATIENCE)

    run_virtually(race)
