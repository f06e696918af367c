"""Where everything goes. Helm reads nothing outside of a chart, so the chart has copies."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard as Model

from monitoring.overview import overview
from monitoring.service import service
from monitoring.workload import workload

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
CHART = DEPLOY / "helm" / "spotmix"
DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "spotmix-overview.json": overview,
    "spotmix-workload.json": workload,
    "spotmix-service.json": service,
}


def _numbered(dashboard: Dashboard) -> Model:
    built = dashboard.build()
    # Rows have no numbers of their own, and Grafana wants one for everything.
    for number, panel in enumerate(built.panels or (), start=1):
        panel.id_val = number
    return built


def render() -> dict[Path, str]:
    """The text of each file."""
    texts = {CHART / "rules" / RULES.name: RULES.read_text(encoding="utf-8")}
    for name, build in DASHBOARDS.items():
        built = _numbered(build())
        texts[DEPLOY / "grafana" / name] = json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        # kubectl notes what it applied on the object, and there is little room for notes.
        texts[CHART / "dashboards" / name] = json.dumps(built, cls=JSONEncoder, sort_keys=True, separators=(",", ":"))
    return texts


def write() -> None:
    """Write all of them."""
    for path, text in render().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
