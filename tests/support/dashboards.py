"""What the committed dashboards ask for, panel by panel."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from programs import ROOT

FOLDER = ROOT / "deploy" / "grafana"
LABEL = re.compile(r"{{\s*(\w+)\s*}}")
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")


@dataclass(frozen=True)
class Target:
    """A query of a panel. `labels` are those that its legend or its columns name."""

    dashboard: str
    panel: str
    kind: str
    expr: str
    legend: str
    labels: frozenset[str]

    @property
    def instant(self) -> bool:
        """Whether it is asked at one time, instead of over a range."""
        return self.kind != "timeseries"

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.legend or self.expr}"

    def named(self, labels: Mapping[str, str]) -> str:
        """What Grafana calls a series with these labels."""
        return LABEL.sub(lambda match: labels.get(match[1], ""), self.legend)


def load() -> dict[str, Any]:
    """The dashboards by file."""
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels, those in rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def targets() -> list[Target]:
    """Every query there is."""
    return [
        Target(name, panel["title"], panel["type"], query["expr"], query.get("legendFormat", ""), _labels(panel, query))
        for name, dashboard in load().items()
        for panel in panels(dashboard)
        for query in panel.get("targets", ())
    ]


def _labels(panel: Mapping[str, Any], query: Mapping[str, Any]) -> frozenset[str]:
    if panel["type"] != "table":
        return frozenset(LABEL.findall(query.get("legendFormat", "")))
    organized = next(t["options"] for t in panel["transformations"] if t["id"] == "organize")
    return frozenset(name for name in organized["indexByName"] if not name.startswith("Value"))


def filled(expr: str, variables: Mapping[str, str]) -> str:
    """A query with Grafana's variables in it replaced.

    Raises:
        KeyError: it has one that is not among them.
    """
    return _VARIABLE.sub(lambda match: variables[match[1] or match[2]], expr)


def variable_names(dashboard: Mapping[str, Any]) -> Sequence[str]:
    return [variable["name"] for variable in dashboard["templating"]["list"]]
