"""Queries in pieces.

Every replica exports the same gauges of the cluster, so these are joined by `max`; what each counts for itself is
joined by `sum`.
"""

import re
from collections.abc import Sequence

from extender.telemetry.catalogue import Family

CLUSTER = 'cluster="$cluster"'
"""Of one cluster. Where series have no such label nothing can be chosen, and the empty choice is theirs."""

SERVICE = f'{CLUSTER},job=~"$job"'
RATE = "$__rate_interval"
RANGE = "$__range"
WORKLOAD = ("kind", "namespace", "workload")


def select(family: Family, *matchers: str, suffix: str = "") -> str:
    """A metric of the chosen cluster and job.

    Args:
        family: the metric.
        matchers: such as `reason="budget"`.
        suffix: of a histogram's series, such as `_bucket`.

    Raises:
        ValueError: a matcher is about a label that the metric does not have.
    """
    for matcher in matchers:
        label = re.split("[!=]", matcher)[0]
        if label not in family.labels:
            raise ValueError(f"{family.name} has no label {label}; it has {', '.join(family.labels) or 'none'}")
    return f"{family.name}{suffix}{{{','.join((SERVICE, *matchers))}}}"


def most(family: Family, *matchers: str, by: Sequence[str] = ()) -> str:
    """A gauge of the cluster, once for all replicas."""
    return f"max by ({', '.join(_known(family, by))}) ({select(family, *matchers)})"


def total(family: Family, *matchers: str, by: Sequence[str] = (), each: Sequence[str] = ()) -> str:
    """A gauge of the cluster, added up over the labels that are not in `by`; `each` has all that tell series apart."""
    return f"sum by ({', '.join(by)}) ({most(family, *matchers, by=(*each, *by))})"


def rate(family: Family, *matchers: str, by: Sequence[str] = ()) -> str:
    """How often something was counted in a second, in all replicas."""
    return f"sum by ({', '.join(_known(family, by))}) (rate({select(family, *matchers)}[{RATE}]))"


def grown(family: Family, *matchers: str, by: Sequence[str] = (), window: str = RATE) -> str:
    """How often something was counted or observed in a window, in all replicas."""
    series = select(family, *matchers, suffix="_count" if family.kind == "histogram" else "")
    return f"sum by ({', '.join(_known(family, by))}) (increase({series}[{window}]))"


def quantile(q: float, family: Family, *matchers: str, by: Sequence[str] = ()) -> str:
    """A quantile of a histogram."""
    series = select(family, *matchers, suffix="_bucket")
    return f"histogram_quantile({q}, sum by ({', '.join(('le', *_known(family, by)))}) (rate({series}[{RATE}])))"


def _known(family: Family, labels: Sequence[str]) -> Sequence[str]:
    unknown = set(labels) - set(family.labels)
    if unknown:
        raise ValueError(f"{family.name} has no label {', '.join(sorted(unknown))}")
    return labels
