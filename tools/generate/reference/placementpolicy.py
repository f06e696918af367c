"""The fields of policy objects, for people: docs/reference/placement-policy.md is what this gives."""

from collections.abc import Iterator
from typing import Any

from extender.core.policystatus.status import ConditionReason
from generate.schemas import definitions, schema_of

_HEAD = """\
# PlacementPolicy and ClusterPlacementPolicy

`spotmix.io/v1alpha1`, short names `pp` and `cpp`, category `spotmix`. A PlacementPolicy is for workloads of its
namespace, a ClusterPlacementPolicy for those of the namespaces that it selects. How to write one, and what beats what,
is told [here](../how-to/write-a-policy.md). `kubectl explain placementpolicy.spec` says the same as this page, and
`deploy/schemas` has both kinds as JSON Schema for editors.

This page is made from deploy/manifests by `make reference`.
"""
_STATUS = """
## Status

Written by the replica that decides, by server-side apply as `spotmix`: when it changes, at most once in 5 s for each
object and 50 times a second in all.

"""
_REASONS = """
Reasons of conditions: {reasons}. `Converged` is `Unknown` while the policy does not act.
"""


def render_reference() -> str:
    """The whole page."""
    namespaced, of_cluster = (schema_of(each)["properties"] for each in definitions())
    mine, wide = namespaced["spec"]["properties"], of_cluster["spec"]["properties"]
    more = {name: schema for name, schema in wide.items() if name not in mine}
    reasons = ", ".join(f"`{each.value}`" for each in ConditionReason)
    return "".join(
        (
            _HEAD,
            "\n## Spec of both\n\n",
            _table(mine, "spec"),
            "\n## Spec of a ClusterPlacementPolicy besides\n\n",
            _table(more, "spec"),
            _STATUS,
            _table(namespaced["status"]["properties"], "status"),
            _REASONS.format(reasons=reasons),
        )
    )


def _table(properties: dict[str, Any], path: str) -> str:
    rows = "".join(f"| `{name}` | {kind} | {text} |\n" for name, kind, text in _rows(properties, path))
    return f"| field | value | meaning |\n|---|---|---|\n{rows}"


def _rows(properties: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    for name, schema in properties.items():
        full = f"{path}.{name}"
        if "description" in schema:
            yield full, _kind(schema), " ".join((schema["description"], *_fixes(schema))).replace("|", "\\|")
        inner = schema.get("items", schema)
        yield from _rows(inner.get("properties", {}), f"{full}[]" if "items" in schema else full)


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "number or text"
    kind: str = schema["type"]
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f", {low} to {high}" if low is not None and high is not None else ""
    default = schema.get("default")
    return kind + bounds + (f", default {default}" if isinstance(default, int) else "")


def _fixes(schema: dict[str, Any]) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        message: str = rule["message"]
        yield f"Else refused: {message}."
