"""The values of a policy's keys, as users write them. What is taken is a value that all later arithmetic can bear."""

import re
from collections.abc import Callable

from msgspec import Struct

MAX_REPLICAS = 10_000
MAX_HOURS = 87_600
"""The longest duration, ten years (hours): far more is a slip, and times that far off cannot be reckoned with."""

_DURATION = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?")
_SCHEDULER_NAME = re.compile(r"([A-Za-z0-9]([-_./A-Za-z0-9]{0,251}[A-Za-z0-9])?)?")


class BadValueError(ValueError):
    """A value is wrong: `args` are the fault and the fix."""


class PoolCap(Struct, frozen=True, gc=False):
    """Most replicas of a workload in one pool: a count, or a percentage of T rounded down, at least 1."""

    amount: int
    percent: bool = False

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.amount}{'%' * self.percent}"

    def limit(self, replicas: int) -> int:
        """The cap at `replicas` replicas."""
        return max(1, replicas * self.amount // 100) if self.percent else self.amount


def parse_duration(text: str) -> float:
    """Seconds in a Go-like duration of hours, minutes and seconds: `30s`, `5m`, `1h30m`, `0`.

    Raises:
        ValueError: the text is no such duration, or one longer than `MAX_HOURS`.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise BadValueError("is not a duration", 'write hours, minutes and seconds, such as "30s", "5m" or "1h30m"')
    hours, minutes, seconds = match.groups(default="0")
    found = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if found > MAX_HOURS * 3600:
        raise BadValueError("is longer than ten years", f'write at most "{MAX_HOURS}h"')
    return found


def _whole(text: str, high: int, what: str, example: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()) or int(stripped[:9]) > high or len(stripped) > 9:
        raise BadValueError(f"is not {what}", f'write a whole number from 0 to {high}, such as "{example}"')
    return int(stripped)


def parse_percentage(text: str) -> int:
    """A share in percent, `70` or `70%`; raises BadValueError."""
    return _whole(text.strip().removesuffix("%"), 100, "a percentage", "70")


def parse_replicas(text: str) -> int:
    """A number of replicas or moves; raises BadValueError."""
    return _whole(text, MAX_REPLICAS, "a number of replicas", "2")


def parse_pool_cap(text: str) -> PoolCap:
    """A number, or a share of the replicas; raises BadValueError."""
    if text.strip().endswith("%"):
        cap = PoolCap(_whole(text.strip().removesuffix("%"), 100, "a percentage", "25"), percent=True)
    else:
        cap = PoolCap(parse_replicas(text))
    if cap.amount == 0:
        raise BadValueError(
            "leaves no room in any pool", 'write at least 1 or "1%", or "max-spot: 0" for no spot at all'
        )
    return cap


def one_of(*allowed: str) -> Callable[[str], str]:
    """Makes what reads one of these words, in any case; it raises BadValueError."""

    def parse(text: str) -> str:
        value = text.strip().lower()
        if value not in allowed:
            raise BadValueError("is not known", "write one of " + ", ".join(f'"{a}"' for a in allowed))
        return value

    return parse


def parse_scheduler_name(text: str) -> str:
    """The name of a scheduler, or an empty text; raises BadValueError."""
    name = text.strip()
    if not _SCHEDULER_NAME.fullmatch(name):
        raise BadValueError("is no scheduler's name and is ignored", 'write it as a profile has it, such as "spotmix"')
    return name
