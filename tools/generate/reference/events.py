"""The reference of all Events, for people: docs/reference/events.md is what this gives."""

from extender.core.model.eventreasons import EventReason

_HEAD = """\
# Events

Spotmix posts Events (`events.k8s.io/v1`) on workloads and pods for what a person must know or do:

```
kubectl describe deployment web
kubectl get events --field-selector reportingComponent=spotmix.io/extender
```

* A workload is the object that carries the policy: a Deployment, not its ReplicaSet. What happens to a pod is told on
  the pod too, so that `kubectl describe pod` of one that is Pending or on another class than its own says why.
* Only the replica that decides posts them.
* **Each is told once.** What comes again is counted in the first Event (`series`, in `kubectl describe` `2m (x14 over
  3h)`), brought up to date every half a minute at most. What is about the state of a workload (`FallbackTaken`,
  `ClassUnavailable`, `MoveBlocked`, ...) is one Event however many pods it concerns. After 40 minutes of silence it is
  news again.
* **What lasts stays to be seen.** The API server forgets an Event an hour after its last change (`--event-ttl`). A
  wrong or unachievable policy and a blocked move are told again each half hour while they last, so that it stays.
* **What passes is no news.** `MoveBlocked` is told when a surplus pod has stayed for `drift.blockedAfter` (5 min) and
  no pod of the workload was moved meanwhile; for what passes by itself (a rollout, a window, an age, moves in flight, a
  budget of moves) when that has lasted six times as long.
* `related` names what else it is about: the pod, its node or its workload.
* They are a courtesy, posted in the background: at most ten a second (bursts of 50), those on workloads before those on
  pods, and 50 of a type on an object and then one a minute. What cannot be posted is dropped, and no decision or move
  waits for it. What is remembered takes 25 MB at most, some 7 MB with 10,000 workloads in trouble.
  `spotmix_events_total` counts them; the other [metrics](metrics.md) count everything.
* Events tell what happened. How things stand now: the condition `PodScheduled` of a Pending pod carries the reason for
  which it waits; [`spotmix status` and `spotmix explain`](cli.md), the console and the metrics tell of all workloads.
  Spotmix writes no status on workloads: that would take the right to change them.

This page is made from the code by `make reference`.

| Reason | Type | On | When | What to do |
|---|---|---|---|---|
"""


def render_reference() -> str:
    """The page, as Markdown."""
    return _HEAD + "".join(_row(reason) for reason in EventReason)


def _row(reason: EventReason) -> str:
    return f"| `{reason.value}` | {reason.type} | {reason.about} | {reason.when} | {reason.what_to_do} |\n"
