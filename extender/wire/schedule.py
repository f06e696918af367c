"""Cron expressions and time zones as users write them: says what is wrong with one."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


def schedule_fault(cron: str, timezone: str) -> str:
    """What is wrong with a 5-field cron expression or an IANA time zone name; empty when both are right."""
    try:
        ZoneInfo(timezone)
    except (ValueError, OSError, KeyError):
        return "names no known time zone"
    if len(cron.split()) != 5:
        return "is not a cron expression of five fields"
    try:
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, ValueError) as error:
        return f"is not a cron expression ({error})"
    except StopIteration:
        return "is a cron expression that never matches"
    return ""


def window_open(cron: str, duration: float, timezone: str, now: float) -> bool:
    """Whether a window of `duration` seconds that begins when `cron` says is open at `now` (since the epoch)."""
    if not cron:
        return True
    earliest = datetime.fromtimestamp(now - duration, ZoneInfo(timezone))
    return next(CronSim(cron, earliest)).timestamp() <= now
