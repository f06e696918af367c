"""Metrics that are read off the process when they are asked for."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from extender.telemetry.catalogue import Family


class Reading(Struct, frozen=True):
    """Values of one metric, by the values of its labels in their order."""

    family: Family
    values: Mapping[tuple[str, ...], float]


class Readings(Collector):
    """Gives the registry what is read at each scrape.

    Args:
        read: reads.
    """

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        for reading in self._read():
            family = reading.family
            made = (CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily)(
                family.name, family.text, labels=family.labels
            )
            for key, value in reading.values.items():
                made.add_metric(key, value)
            yield made
