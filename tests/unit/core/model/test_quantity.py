"""Quantities of Kubernetes, read as the scheduler reads them."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.core.model.quantity import parse_quantity

SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
WHOLE = st.integers(0, 10**6)


@given(WHOLE, st.integers(0, 999), st.sampled_from(sorted(SUFFIXES)), st.sampled_from([1, 1000]))
def test_decimal_suffixes_round_up(whole: int, thousandths: int, suffix: str, scale: int) -> None:
    value = (whole + Fraction(thousandths, 1000)) * Fraction(10) ** SUFFIXES[suffix]
    assert parse_quantity(f"{whole}.{thousandths:03}{suffix}", scale) == ceil(value * scale)


@given(WHOLE, st.sampled_from(sorted(BINARY)))
def test_binary_suffixes(whole: int, suffix: str) -> None:
    assert parse_quantity(f"{whole}{suffix}") == whole << BINARY[suffix]


@given(st.integers(0, 9999), st.integers(-9, 18), st.sampled_from("eE"), st.booleans())
def test_exponents(whole: int, exponent: int, letter: str, sign: bool) -> None:
    text = f"{whole}{letter}{exponent:+d}" if sign else f"{whole}{letter}{exponent}"
    assert parse_quantity(text) == ceil(whole * Fraction(10) ** exponent)


@given(st.text(alphabet="0123456789.eEikKmMnuGTP+- _\u0663", max_size=8))
def test_anything_else_is_a_value_error_that_names_it(text: str) -> None:
    try:
        amount = parse_quantity(text)
    except ValueError as error:
        told = str(error)
    else:
        told = repr(text)
        assert type(amount) is int
    assert repr(text) in told


@pytest.mark.parametrize(
    ("text", "scale", "amount"),
    [
        ("250m", 1000, 250),
        ("2", 1000, 2000),
        ("1.5Gi", 1, 3 << 29),
        ("1E", 1, 10**18),
        ("1E3", 1, 1000),
        ("0.1m", 1000, 1),
    ],
)
def test_examples(text: str, scale: int, amount: int) -> None:
    assert parse_quantity(text, scale) == amount


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1KI", "1i", "one", "1e", "--1", "1e99", "\u0661", "1" + "e1" * 2])
def test_these_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a resource quantity"):
        parse_quantity(text)
