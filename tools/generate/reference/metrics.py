"""The reference of all metrics, for people: docs/reference/metrics.md is what this gives."""

from extender.core.model.reasons import Reason
from extender.telemetry.catalogue import GROUPS, LABELS, Family

_HEAD = """\
# Metrics

`GET /metrics` on `metrics.addr` (port 8080) serves what follows, and what Prometheus' client library tells of every
process (`process_resident_memory_bytes`, `process_cpu_seconds_total`, ...). This page is made from the code by `make
reference`.

* Series that can be known are there with 0 from the start, so that the first event is seen as one.
* No label holds the name of a pod or of a node, or the text of an error.
* Every replica of Spotmix follows the whole cluster. What is read off it (all gauges, interruptions) is the same on
  each: take `max`, or the leader's with `and on (job, instance) spotmix_leader == 1`. Decisions, moves and requests
  are counted where they are made: take `sum`.
* Series about a workload carry the workload's `namespace`. Scrape with `honor_labels: true`, as the chart's
  ServiceMonitor does, or Prometheus puts the namespace of Spotmix's own pod in its place.

## Series of each workload

A workload has eight series. `metrics.workloadSeries` (2000) is how many workloads have them at most; 0 switches them
off. Where there are more, the oldest have them: a new workload then never takes the series of another away, and every
replica, also after a restart, shows the same ones. `spotmix_workloads_unlisted` counts the others. Sums over all
workloads are always there and always complete. `spotmix_policy_invalid` has an allowance of its own, of as many
workloads.

A series goes with its workload. The Jobs of a CronJob are shown together under the CronJob, while they have pods; a
Job of its own, while it has pods.
"""


def render_reference() -> str:
    """The page, as Markdown."""
    parts = [_HEAD]
    for title, families in GROUPS:
        parts += [f"## {title}", "", "| metric | type | labels | what |", "|---|---|---|---|"]
        parts += [_row(family) for family in families]
        parts.append("")
    parts += ["## Labels", "", "| label | values |", "|---|---|"]
    parts += [f"| `{label}` | {text} |" for label, text in LABELS.items()]
    parts += ["", "## Reasons", "", "Events, logs and the command line use the same words.", ""]
    parts += ["| reason | what it says |", "|---|---|"]
    parts += [f"| `{reason}` | {reason.text.removeprefix('spotmix: ')} |" for reason in Reason]
    return "\n".join(parts) + "\n"


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.text} |"
