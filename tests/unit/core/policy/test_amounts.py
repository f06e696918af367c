"""Amounts of limits, as people write them."""

import pytest

from extender.core.policy.limits import shown


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [
        ("cpu", 2000, "2"),
        ("cpu", 1500, "1500m"),
        ("memory", 64 * 2**30, "64Gi"),
        ("memory", 1536 * 2**20, "1536Mi"),
        ("memory", 2**40, "1Ti"),
        ("ephemeral-storage", 3 * 2**10, "3Ki"),
        ("ephemeral-storage", 2**9, "512"),
        ("memory", 0, "0"),
        ("pods", 2**10, "1024"),
    ],
)
def test_an_amount_is_shown_in_the_largest_unit_that_fits(resource: str, amount: int, text: str) -> None:
    assert shown(resource, amount) == text
