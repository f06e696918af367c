"""The reference of logs, for people: docs/reference/logs.md is what this gives."""

from collections.abc import Iterable

from extender.telemetry.vocabulary import LINE, SERVICE, SUBJECT, Key

_HEAD = """\
# Logs

Spotmix logs to standard error. `log.format` says how: `json`, `console`, or `auto` (the default), which is `console` on
a terminal and `json` elsewhere. Libraries' own warnings come in the same shape. This page is made from the code by
`make reference`.

A decision at level `debug`, as JSON (one line) and on a terminal:

```
{"timestamp": "2026-03-02T09:14:07.120331Z", "level": "debug", "event": "decision", "decision": 123,
 "workload": "Deployment/web", "namespace": "shop", "pod": "web-6c9f7b8d5-x2v4q", "wanted": "spot", "class": "spot",
 "reason": "seat", "offered": 15, "passed": 9}
```

```
2026-03-02T09:14:07.120331Z [debug    ] decision  decision=123 workload=Deployment/web namespace=shop
 pod=web-6c9f7b8d5-x2v4q wanted=spot class=spot reason=seat offered=15 passed=9
```

A move of the drift loop, and what became of it:

```
{"timestamp": "2026-03-02T09:20:31.402117Z", "level": "info", "event": "move", "outcome": "started",
 "workload": "Deployment/web", "namespace": "shop", "pod": "web-6c9f7b8d5-7kq2m", "node": "on-demand-3",
 "class": "spot", "reason": "surplus", "dry": false}
{"timestamp": "2026-03-02T09:20:44.018255Z", "level": "info", "event": "move judged", "outcome": "moved",
 "workload": "Deployment/web", "namespace": "shop", "pod": "web-6c9f7b8d5-7kq2m",
 "replacement": "web-6c9f7b8d5-p9d8s", "node": "spot-5", "class": "spot", "reason": "surplus"}
```

* One thing has one name: `workload`, `namespace`, `pod`, `node`, `class`, `reason` and `decision` are the same on every
  line and, as the attributes named below, in [traces](../how-to/trace-it.md). Reasons are those of
  [metrics](metrics.md#reasons) and of the command line.
* What is empty is left out.
* Control characters, line breaks, changes of the writing direction and characters without a width, which names and
  messages of others may have, are written as `\\x1b`, `\\n`, `\\u202e`; a text ends after 2,048 characters.
* `decision` counts from 1 in each process. It is the `number` of a decision in the API, and `#123` in the search field
  of the console's *Live* page finds it while the decision log holds it (`extender.decisionLog`).

## Levels

| level | what |
|---|---|
| `debug` | a line for each decision on a managed pod; nothing is put together for it at other levels |
| `info` | start and end, leadership, certificates, moves |
| `warning` | what somebody may have to look at: wrong policies, refused moves, faults in talking to the API server |
| `error` | bugs |

Faults in talking to the API server are logged once in ten seconds for each `source`, and counted all in
`spotmix_api_faults_total`.

"""


def render_reference() -> str:
    """The page, as Markdown."""
    return _HEAD + "\n".join(
        [
            *_table("Keys: what it is about", SUBJECT, attributes=True),
            *_table("Keys: the service itself", SERVICE),
            *_table("Keys of every line", LINE),
        ]
    )


def _table(title: str, keys: Iterable[Key], *, attributes: bool = False) -> Iterable[str]:
    yield f"## {title}\n"
    yield "| key | what | attribute of spans |" if attributes else "| key | what |"
    yield "|---|---|---|" if attributes else "|---|---|"
    for key in keys:
        yield f"| `{key.name}` | {key.text} |" + (f" `{key.attribute}` |" if attributes else "")
    yield ""
