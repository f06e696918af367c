"""The reference of all Events, for people: docs/reference/events.md is what this gives."""

from extender.core.eventreasons import EventReason

_HEAD = """\
# Events

Spotmix posts Events (`events.k8s.io/v1`) on workloads and pods for what a person must know or do:

```
kubectl describe deployment web
kubectl get events --field-selector reportingComponent=spotmix.io/extender
```

* A workload is the object that carries the policy: a Deployment, not its ReplicaSet.
* Only the replica that decides posts them.
* The same Event is not repeated within ten minutes. What is about the state of things (`FallbackTaken`,
  `ClassUnavailable`, ...) is posted once in that time for each workload and reason, however many pods it concerns.
* They are a courtesy: at most ten a second are posted (bursts of 50), in the background. What cannot be posted is
  dropped, and no decision or move waits for it. [Metrics](metrics.md) count everything.
* The API server forgets Events after an hour, unless its `--event-ttl` says otherwise.

This page is made from the code by `make reference`.

| Reason | Type | On | When | What to do |
|---|---|---|---|---|
"""


def render_reference() -> str:
    """The page, as Markdown."""
    return _HEAD + "".join(_row(reason) for reason in EventReason)


def _row(reason: EventReason) -> str:
    return f"| `{reason.value}` | {reason.type} | {reason.about} | {reason.when} | {reason.what_to_do} |\n"
