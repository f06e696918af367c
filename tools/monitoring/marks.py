"""What happened to Spotmix itself, as marks on the time axis of every dashboard."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery, DataSourceRef

from extender.telemetry import catalogue as m
from monitoring.promql import SERVICE, select


class _Mark(AnnotationQuery):
    """With the fields of Prometheus' annotations, which the SDK does not have."""

    def __init__(self, name: str, source: DataSourceRef, colour: str, expr: str, *, title: str, at_value: bool) -> None:
        super().__init__(name=name, datasource=source, icon_color=colour, expr=expr)
        self._title, self._at_value = title, at_value

    def to_json(self) -> dict[str, object]:
        own = {"titleFormat": self._title, "textFormat": "{{pod}} {{instance}}", "useValueForTime": self._at_value}
        return {**super().to_json(), **own, "step": "30s"}


class Mark(Builder[AnnotationQuery]):
    """Builds a mark.

    Args:
        name: what people switch on and off.
        source: the data source.
        colour: of the line.
        expr: the query; each value is a mark.
        title: what the mark says.
        at_value: the value is its time (milliseconds since the epoch), instead of the sample's.
    """

    def __init__(
        self, name: str, source: DataSourceRef, colour: str, expr: str, *, title: str, at_value: bool = False
    ) -> None:
        self._built = _Mark(name, source, colour, expr, title=title, at_value=at_value)

    def build(self) -> AnnotationQuery:
        """Return what goes into the dashboard."""
        return self._built


def marks(source: DataSourceRef) -> list[Mark]:
    """Return the marks of every dashboard: who leads from when, and each start of a replica."""
    leader = select(m.LEADER)
    return [
        Mark("Leader changes", source, "purple", f"{leader} == 1 unless {leader} offset 1m == 1", title="Leads now"),
        Mark(
            "Rollouts",
            source,
            "blue",
            f"process_start_time_seconds{{{SERVICE}}} * 1000",
            title="Replica starts",
            at_value=True,
        ),
    ]
