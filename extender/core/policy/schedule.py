"""Cron expressions and time zones as users write them: what is wrong with one, and whether a window is open."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec import Struct

LONGEST = 256
"""Characters of a cron expression: what is longer takes long to read."""

# Policies that differ in their windows: beyond that the oldest is worked out anew.
_WINDOWS = 4096


def schedule_fault(cron: str, timezone: str) -> str:
    """What is wrong with a 5-field cron expression or an IANA time zone name; empty when both are right."""
    try:
        ZoneInfo(timezone)
    except (ValueError, OSError, KeyError):
        return "names no known time zone"
    if len(cron) > LONGEST:
        return f"is not a cron expression of at most {LONGEST} characters"
    if len(cron.split()) != 5:
        return "is not a cron expression of five fields"
    try:
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, ValueError) as error:
        return f"is not a cron expression ({error})"
    except StopIteration:
        return "is a cron expression that never matches"
    return ""


class _Stretch(Struct, frozen=True, gc=False):
    """From `since` (inclusive) to `start` (exclusive) nothing starts; then `start` does. Seconds since the epoch."""

    since: float
    start: float


_stretches: dict[tuple[str, float, str], _Stretch] = {}


def window_open(cron: str, duration: float, timezone: str, now: float) -> bool:
    """Say whether a window is open at `now` (seconds since the epoch): it started less than `duration` seconds ago.

    As in Debian's cron, a start in an hour that daylight saving skips comes right after it, and one in an hour that is
    repeated comes once; the window is `duration` long by the clock of physics. An empty expression is always open.

    Args:
        cron: five fields, right by `schedule_fault`.
        duration: seconds.
        timezone: an IANA name, right by `schedule_fault`.
        now: seconds since the epoch.
    """
    if not cron:
        return True
    # Whatever started after this moment is open still: it is enough to know when that first happens.
    since = now - duration
    key = (cron, duration, timezone)
    stretch = _stretches.get(key)
    if stretch is None or not stretch.since <= since < stretch.start:
        if len(_stretches) >= _WINDOWS:
            _stretches.pop(next(iter(_stretches)))
        stretch = _stretches[key] = _Stretch(since, _first_start(cron, timezone, since))
    return stretch.start <= now


def _first_start(cron: str, timezone: str, after: float) -> float:
    """The first start after a moment, infinite when there is none within decades."""
    for start in CronSim(cron, datetime.fromtimestamp(math.floor(after), ZoneInfo(timezone))):
        moment = start.timestamp()
        # In an hour that is repeated the wall clock shows a start that was before.
        if moment > after:
            return moment
    return math.inf
