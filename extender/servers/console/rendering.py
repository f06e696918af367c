"""Fills in templates. Whatever a cluster's objects say is escaped; a name that a template asks for has to exist."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from extender.core.answers.decisions import Entry
from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.policies import short_titles
from extender.core.model.reasons import Reason
from extender.servers.console.assets import address
from extender.servers.console.query import part

if TYPE_CHECKING:
    from jinja2 import Environment

_KNOWN_CLASSES = {SPOT: "spot", ON_DEMAND: "on-demand"}
_STEPS = ((60.0, 1.0, "s"), (3600.0, 60.0, "min"), (86_400.0, 3600.0, "h"), (float("inf"), 86_400.0, "d"))


def ago(seconds: float) -> str:
    """How long, for people: `5 s`, `3 min`, `2 h`, `4 d`."""
    seconds = max(0.0, seconds)
    return next(f"{seconds // unit:.0f} {name}" for limit, unit, name in _STEPS if seconds < limit)


def moment(at: float) -> str:
    """A time (seconds since the epoch) as HTML wants it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_time(at: float) -> str:
    """The time of day, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def class_style(capacity_class: str) -> str:
    """What a capacity class is called in the style sheet: its own name is anybody's."""
    return _KNOWN_CLASSES.get(capacity_class, "other")


def why(reason: Reason) -> str:
    """A reason for people."""
    return reason.text.removeprefix("spotmix: ")


def percent(value: float | None) -> str:
    """A percentage; a dash for that of nothing."""
    return "–" if value is None else f"{value:.0f} %"  # noqa: RUF001 - a dash, as meant


def workload_address(kind: str, namespace: str, name: str) -> str:
    """The page of a workload."""
    return f"/console/workloads/{part(namespace)}/{part(kind)}/{part(name)}"


def pod_address(namespace: str, name: str) -> str:
    """The page that explains a pod."""
    return f"/console/pods/{part(namespace)}/{part(name)}"


def confined(address: str, namespace: str) -> str:
    """An address, confined to a namespace unless that is empty."""
    return f"{address}?namespace={part(namespace)}" if namespace else address


@cache
def environment() -> "Environment":
    """Every template, ready to be filled in. Takes a tenth of a second, once: ask for it beside the event loop."""
    import jinja2  # noqa: PLC0415 - costs 50 ms and 2 MB, see the package

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("extender.servers.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        ago=ago,
        moment=moment,
        clock_time=clock_time,
        class_style=class_style,
        why=why,
        percent=percent,
        short_titles=short_titles,
    )
    made.globals.update(static=address, workload_address=workload_address, pod_address=pod_address, confined=confined)
    for name in made.list_templates():
        made.get_template(name)
    return made


async def prepared() -> None:
    """Return once templates can be filled in at once."""
    if not environment.cache_info().currsize:
        await asyncio.to_thread(environment)


def render(name: str, context: Mapping[str, Any]) -> bytes:
    """A page."""
    return environment().get_template(name).render(context).encode("utf-8", "replace")


def decision_row(entry: Entry, *, own: bool = False, times: int = 1, first: float = 0.0) -> str:
    """A decision as a row of the table of decisions; templates know that it is escaped.

    On the page of its `own` workload that is left out. It may stand for `times` decisions since `first` (seconds).
    """
    macros: Any = environment().get_template("decision.html").module
    row: str = macros.row(entry, own, times, first)
    return row
