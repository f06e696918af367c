"""When a disruption window is open, across time zones and changes of the clock."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.core.policy.schedule import schedule_fault, window_open

HOUR = 3600.0
BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    """Seconds since the epoch of a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-03-02T01:59:59.999", False),
        ("2026-03-02T02:00:00", True),
        ("2026-03-02T03:59:59.999", True),
        ("2026-03-02T04:00:00", False),
    ],
)
def test_a_window_opens_at_its_start_and_lasts_its_duration(now: str, is_open: bool) -> None:
    assert window_open("0 2 * * *", 2 * HOUR, "UTC", at(now)) is is_open


@pytest.mark.parametrize(
    ("cron", "hours", "now", "is_open"),
    [
        # Over midnight, and over the end of the week it was started in: 2026-03-06 is a Friday.
        ("0 23 * * *", 3, "2026-03-03T01:30", True),
        ("0 22 * * 5", 60, "2026-03-09T09:59", True),
        ("0 22 * * 5", 60, "2026-03-09T10:00", False),
        ("0 22 * * 5", 60, "2026-03-06T21:59", False),
        # One start follows another before the window ends: it never closes.
        ("0 * * * *", 1, "2026-03-02T02:59:59", True),
        ("*/30 * * * *", 1, "2026-03-02T02:00", True),
        ("0 2 1 * *", 24 * 31, "2026-03-01T01:59", True),
        ("0 2 * * *", 0, "2026-03-02T02:00", False),
        ("0 0 29 2 *", 24, "2028-02-29T12:00", True),
        ("0 0 29 2 *", 24, "2027-02-28T12:00", False),
        ("0 0 * 2 MON#5", 24, "2027-06-01T00:00", False),
    ],
)
def test_windows_of_all_kinds(cron: str, hours: float, now: str, is_open: bool) -> None:
    assert schedule_fault(cron, "UTC") == ""
    assert window_open(cron, hours * HOUR, "UTC", at(now)) is is_open


def test_no_schedule_is_always_open() -> None:
    assert window_open("", 0.0, "UTC", 0.0)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [("2026-07-01T00:00", True), ("2026-07-01T01:00", False), ("2026-01-05T00:59", False), ("2026-01-05T01:00", True)],
)
def test_the_time_zone_says_when(now: str, is_open: bool) -> None:
    assert window_open("0 2 * * *", HOUR, BERLIN, at(now)) is is_open


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        # On 2026-03-29 02:00 is 03:00 at once (01:00 in UTC): the start in between comes then.
        ("2026-03-29T00:59:59", False),
        ("2026-03-29T01:00", True),
        ("2026-03-29T01:59:59", True),
        ("2026-03-29T02:00", False),
    ],
)
def test_a_start_in_an_hour_that_is_skipped(now: str, is_open: bool) -> None:
    assert window_open("30 2 * * *", HOUR, BERLIN, at(now)) is is_open


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        # On 2026-10-25 03:00 is 02:00 again (01:00 in UTC): the first 02:30 counts, at 00:30 in UTC.
        ("2026-10-25T00:29:59", False),
        ("2026-10-25T00:30", True),
        ("2026-10-25T00:49:59", True),
        ("2026-10-25T00:50", False),
        ("2026-10-25T01:30", False),
        ("2026-10-25T01:45", False),
        ("2026-10-26T01:30", True),
    ],
)
def test_a_start_in_an_hour_that_is_repeated_comes_once(now: str, is_open: bool) -> None:
    assert window_open("30 2 * * *", 20 * 60.0, BERLIN, at(now)) is is_open


def test_a_window_is_as_long_by_the_clock_on_a_day_of_23_or_25_hours() -> None:
    # From 01:30 of winter to 04:30 of summer is two hours, and the other way round four.
    assert window_open("30 1 * * *", 2 * HOUR, BERLIN, at("2026-03-29T02:29"))
    assert not window_open("30 1 * * *", 2 * HOUR, BERLIN, at("2026-03-29T02:30"))
    assert window_open("30 1 * * *", 4 * HOUR, BERLIN, at("2026-10-25T03:29"))
    assert not window_open("30 1 * * *", 4 * HOUR, BERLIN, at("2026-10-25T03:30"))


DAY = 24 * HOUR
START = at("2026-03-01T00:00")


def seconds(most: float) -> st.SearchStrategy[float]:
    """Quarters of a second: sums of them are exact."""
    return st.integers(0, int(most * 4)).map(lambda quarters: quarters / 4)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    duration=seconds(2 * DAY),
    moments=st.lists(seconds(30 * DAY), min_size=1, max_size=20),
)
def test_a_daily_window_is_open_by_the_time_of_day_whatever_was_asked_before(
    minute: int, hour: int, duration: float, moments: list[float]
) -> None:
    start = hour * HOUR + minute * 60.0
    for moment in moments:
        wanted = (moment - start) % DAY < duration
        assert window_open(f"{minute} {hour} * * *", duration, "UTC", START + moment) is wanted


def test_more_windows_than_are_remembered() -> None:
    now = at("2026-03-02T02:00")
    for number in range(5000):
        assert window_open("0 2 * * *", 1.0 + number, "UTC", now)
