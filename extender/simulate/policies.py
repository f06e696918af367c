"""Policy objects of a scenario: as they are written in a manifest, judged as the API server judges them."""

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from extender.core.model.policies import PlacementPolicy
from extender.lint.check import definitions
from extender.lint.schema import flaws, named
from extender.simulate.scenario import API_VERSION, DeleteAct, PolicyPart
from extender.wire.placementpolicy_v1 import read_policy


def policy_of(part: PolicyPart) -> PlacementPolicy:
    """A policy object, without UID and age.

    Raises:
        ValueError: the API server would refuse it; the text names field, value and fix.
    """
    wrong = flaws(definitions()[part.kind], part.spec, ("spec",))
    if wrong:
        first = wrong[0]
        seen = "" if isinstance(first.value, dict | list) or first.value is None else f" is {first.value!r}"
        raise ValueError(f"{named(first.path)}{seen}: {first.text}" + (f"; {first.fix}" if first.fix else ""))
    metadata: dict[str, str] = {"name": part.metadata.name}
    if part.kind == "PlacementPolicy":
        metadata["namespace"] = part.metadata.namespace
    manifest: dict[str, Any] = {"apiVersion": API_VERSION, "kind": part.kind, "metadata": metadata, "spec": part.spec}
    return read_policy(msgspec.json.encode(manifest))


def title_of(act: DeleteAct) -> str:
    """What people call the object that an event deletes."""
    return f"{act.kind} {act.namespace}/{act.name}" if act.kind == "PlacementPolicy" else f"{act.kind} {act.name}"


def absent(title: str, known: Mapping[str, PlacementPolicy]) -> str:
    """That there is no such policy object."""
    titles = [each.title for each in known.values()]
    near = difflib.get_close_matches(title, titles, 1)
    return f"there is no {title}" + (f"; did you mean {near[0]}?" if near else "")
