"""What is counted before a pod is evicted, for people: docs/reference/room.md is what this gives."""

from collections.abc import Iterator, Mapping

from extender.core.model.modelled import POD_SPEC, RESOURCES, VOLUME_SOURCES, VOLUMES, Field, Treatment

_HEAD = """\
# What is counted before a pod is evicted

A pod is evicted once a node of the class that wants it has room for its replacement: by the rules of the scheduler
(Kubernetes 1.37), with what Pending pods and earlier moves need deducted. What Spotmix does not count may send the
replacement nowhere, so **the pod stays**: `spotmix drift plan` and the console give the reason `unmodelled` with the
field, and `spotmix explain` says `never moved`. Placement by filter is not concerned: there the scheduler runs its own
checks.

The field lists are complete for Kubernetes 1.37. A pod with a field that is on none of them is read as one of a newer
Kubernetes, and is not evicted either.

This page is made from the code by `make reference`.
"""
_TITLES: Mapping[str, Mapping[str, Field]] = {
    "`spec` of a pod": POD_SPEC,
    "`spec.volumes[]` of a pod": VOLUME_SOURCES,
    "Claims and volumes": VOLUMES,
    "Requests and nodes": RESOURCES,
}
_EVICTION = """
## Whether the API server would evict it

Spotmix goes by the API server's rules before it asks. No PodDisruptionBudget guards a pod that is Pending, Succeeded,
Failed or terminating. For all others:

| PodDisruptionBudgets that select it | evicted |
|---|---|
| none | yes |
| several | no: the API server answers 500 |
| one; the pod is not Ready; `unhealthyPodEvictionPolicy: AlwaysAllow` | yes |
| one; the pod is not Ready; `IfHealthyBudget` (the default) and `currentHealthy` >= `desiredHealthy` > 0 | yes |
| one whose `observedGeneration` is older than its generation, or with more than 2,000 `disruptedPods` | no |
| one whose `disruptionsAllowed`, less what the plan has taken, is 0 | no |
| any other | yes, and one is taken |

A pod that is Pending is left alone all the same, as nothing would protect it.
"""


def render_reference() -> str:
    """The whole page."""
    return _HEAD + "".join(part for title, fields in _TITLES.items() for part in _section(title, fields)) + _EVICTION


def _section(title: str, fields: Mapping[str, Field]) -> Iterator[str]:
    yield f"\n## {title}\n\n| | | |\n|---|---|---|\n"
    for treatment in (Treatment.COUNTED, Treatment.STAYS):
        for name, field in sorted(fields.items()):
            if field.treatment is treatment:
                yield f"| {_name(name)} | {treatment.value} | {field.text} |\n"
    free = [(name, field.text) for name, field in sorted(fields.items()) if field.treatment is Treatment.FREE]
    if free:
        listed = ", ".join(f"{_name(name)} ({text})" if text else _name(name) for name, text in free)
        yield f"\nThese say nothing about where a pod may run: {listed}.\n"


def _name(name: str) -> str:
    return name if " " in name else f"`{name}`"
