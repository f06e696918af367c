"""Allowances of callers: what one may have, what all may, and who counts as one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.servers.answers.allowance import ALL, CALLER, Allowance, AllowanceSpentError, host_of


def test_one_caller_leaves_something_for_others_and_what_ends_is_free_again() -> None:
    told: list[str] = []
    allowance = Allowance("calls", 3, 2, told.append)
    with allowance.taken("a"), allowance.taken("a"):
        with (
            pytest.raises(AllowanceSpentError, match="you have as many calls as one caller may at a time, 2"),
            allowance.taken("a"),
        ):
            pass
        with (
            allowance.taken("b"),
            pytest.raises(AllowanceSpentError, match="as many calls as may be"),
            allowance.taken("c"),
        ):
            pass
        with allowance.taken("c"):
            pass
    assert told == [CALLER, ALL]
    with allowance.taken("a"), allowance.taken("a"):
        pass


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_whatever_comes_and_goes_limits_hold(steps: list[tuple[str, bool]]) -> None:
    allowance = Allowance("calls", 4, 2)
    held: list[tuple[str, contextlib.ExitStack]] = []
    for caller, comes in steps:
        if not comes and held:
            held.pop(0)[1].close()
            continue
        stack = contextlib.ExitStack()
        may = len(held) < 4 and sum(name == caller for name, _ in held) < 2
        try:
            stack.enter_context(allowance.taken(caller))
        except AllowanceSpentError:
            assert not may
        else:
            assert may
            held.append((caller, stack))


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:9:9:9:9", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("pod-7", "pod-7"),
    ],
)
def test_a_host_is_one_caller_however_many_addresses_it_has(address: str, host: str) -> None:
    assert host_of(address) == host
