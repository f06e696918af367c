"""Panels in a line each, all alike."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as StatPanel
from grafana_foundation_sdk.builders.table import Panel as TablePanel
from grafana_foundation_sdk.builders.timeseries import Panel as TimeseriesPanel
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from extender.telemetry.catalogue import BUILD_INFO
from monitoring.marks import marks
from monitoring.promql import CLUSTER

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
SPOT_COLOUR, ON_DEMAND_COLOUR = "blue", "orange"
Queries = Mapping[str, str]
"""Query by legend: a text, perhaps with labels as `{{label}}`."""

P = TypeVar("P", TimeseriesPanel, StatPanel, TablePanel)


def _queried(panel: P, queries: Queries, *, instant: bool, table: bool = False) -> P:
    for ref, (legend, expr) in zip("ABCDEFGHIJKLMN", queries.items(), strict=False):
        query = Dataquery().ref_id(ref).expr(expr).legend_format(legend)
        query = query.instant() if instant else query.range()
        panel = panel.with_target(query.format(PromQueryFormat.TABLE if table else PromQueryFormat.TIME_SERIES))
    return panel


def _limits(steps: Sequence[tuple[float | None, str]]) -> boards.ThresholdsConfig:
    config = boards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    return config.steps([Threshold(value=value, color=colour) for value, colour in steps])


def graph(
    title: str,
    text: str,
    queries: Queries,
    *,
    unit: str = "short",
    width: int = 12,
    stacked: bool = False,
    bars: bool = False,
    upper: float | None = None,
) -> TimeseriesPanel:
    """Values over time.

    Args:
        title: of the panel.
        text: what it shows, for people.
        queries: see `Queries`.
        unit: Grafana's name of it.
        width: of 24 columns.
        stacked: one series upon the other.
        bars: instead of lines.
        upper: end of the axis.
    """
    legend = common_builders.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = (
        TimeseriesPanel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .span(width)
        .height(8)
        .unit(unit)
        .min(0)
        .legend(legend.show_legend(show_legend=True))
        .tooltip(common_builders.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .line_width(1)
        .fill_opacity(70 if bars else 20 if stacked else 5)
        .show_points(VisibilityMode.NEVER)
        .draw_style(GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
    )
    if stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if upper is not None:
        panel = panel.max(upper)
    for legend_part, colour in (("spot", SPOT_COLOUR), ("on-demand", ON_DEMAND_COLOUR)):
        panel = panel.override_by_regexp(
            f"/^{legend_part}( actual)?$/",
            [DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})],
        ).override_by_regexp(
            f"/^{legend_part} wanted$/",
            [
                DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": f"dark-{colour}"}),
                DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 8]}),
                DynamicConfigValue(id_val="custom.fillOpacity", value=0),
                DynamicConfigValue(id_val="custom.stacking", value={"group": "B", "mode": "none"}),
            ],
        )
    return _queried(panel, queries, instant=False)


def number(
    title: str,
    text: str,
    queries: Queries,
    *,
    unit: str = "short",
    width: int = 4,
    limits: Sequence[tuple[float | None, str]] = ((None, "text"),),
    decimals: int | None = None,
) -> StatPanel:
    """A few numbers of now; `limits` colour them from a value on."""
    panel = (
        StatPanel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .span(width)
        .height(4)
        .unit(unit)
        .graph_mode(BigValueGraphMode.NONE)
        .thresholds(_limits(limits))
        .no_value("-")
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    return _queried(panel, queries, instant=True)


def table(
    title: str,
    text: str,
    queries: Queries,
    *,
    keys: Sequence[str],
    width: int = 24,
    link: str = "",
) -> TablePanel:
    """A row for each combination of the labels `keys`, a column for each query, the first one the order.

    A query without a name has no column. `link` is where the last of `keys` leads.
    """
    columns = list(queries)
    names = {f"Value #{ref}": name for ref, name in zip("ABCDEFGHIJKLMN", columns, strict=False)}
    if len(columns) == 1:
        names = {"Value": columns[0]}
    order = {name: position for position, name in enumerate((*keys, *names))}
    hidden = {"Time": True, **{column: True for column, name in names.items() if not name}}
    organize = {"renameByName": names, "excludeByName": hidden, "indexByName": order}
    panel = (
        TablePanel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .span(width)
        .height(9)
        .no_value("none")
        .footer(common_builders.TableFooterOptions().show(show=False).reducer(["sum"]))
        .sort_by([common_builders.TableSortByFieldState().display_name(columns[0] or keys[0]).desc(desc=True)])
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(DataTransformerConfig(id_val="organize", options=organize))
    )
    if link:
        target = DynamicConfigValue(id_val="links", value=[{"title": "Open the workload", "url": link}])
        panel = panel.override_by_name(keys[-1], [target])
    return _queried(panel, queries, instant=True, table=True)


def variable(name: str, label: str, query: str, *, every: bool = False) -> boards.QueryVariable:
    """A choice among what a query finds; `every` lets all of them be chosen at once, and begins so."""
    found = (
        boards.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
    return found.include_all(include_all=True).all_value(".*") if every else found


def dashboard(uid: str, title: str, text: str) -> boards.Dashboard:
    """An empty dashboard with what all have: data source, cluster and job, marks, links to the others."""
    links = boards.DashboardLink("Spotmix").type(DashboardLinkType.DASHBOARDS).tags(["spotmix"])
    board = (
        boards.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags(["spotmix"])
        .editable()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(links.as_dropdown(as_dropdown=False).include_vars(include_vars=True).keep_time(keep_time=True))
        .with_variable(boards.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(variable("cluster", "Cluster", f"label_values({BUILD_INFO.name}, cluster)"))
        .with_variable(variable("job", "Job", f"label_values({BUILD_INFO.name}{{{CLUSTER}}}, job)"))
    )
    for mark in marks(SOURCE):
        board = board.annotation(mark)
    return board
