"""Metrics of the catalogue as things that count."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from extender.telemetry.catalogue import Family


def counter(family: Family, registry: CollectorRegistry) -> Counter:
    """A counter, registered."""
    return Counter(family.name, family.text, family.labels, registry=registry)


def histogram(family: Family, bounds: Sequence[float], registry: CollectorRegistry) -> Histogram:
    """A histogram with buckets of these upper bounds, registered."""
    return Histogram(family.name, family.text, family.labels, buckets=bounds, registry=registry)
