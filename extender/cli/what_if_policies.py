"""The policy objects that `spotmix what-if --policy` is given: read and checked as `spotmix lint` does it."""

from collections.abc import Sequence
from typing import Any

from extender.cli.output import note
from extender.cli.textfile import STDIN, read_text
from extender.core.model.errors import ConfigError
from extender.core.policy.rules import PolicyRules


def manifests(files: Sequence[str], rules: PolicyRules, namespace: str) -> list[str]:
    """The policy objects in some files, each as JSON.

    Args:
        files: their names; `-` is standard input.
        rules: how policies are read.
        namespace: that an object is in which does not say.

    Raises:
        ConfigError: an object is one that the API server would refuse, or there is none.
        WireError: a file is neither YAML nor JSON.
    """
    import msgspec

    from extender.lint.check import check
    from extender.lint.documents import documents
    from extender.lint.manifests import Thing, things

    texts = [("standard input" if file == STDIN else file, read_text(file)) for file in dict.fromkeys(files)]
    refused = [finding for finding in check(texts, rules, namespace).findings if finding.is_refusal]
    if refused:
        first, more = refused[0], f" (and {len(refused) - 1} more: see spotmix lint)" if len(refused) > 1 else ""
        raise ConfigError(f"{first.file}:{first.line}: {first.text}{more}")
    found: dict[str, dict[str, Any]] = {}
    others = 0
    for file, text in texts:
        for each in things(file, documents(text), namespace):
            if not isinstance(each, Thing) or not each.is_policy:
                others += 1
                continue
            if each.title in found:
                raise ConfigError(f"{file}:{each.line}: {each.title} is there twice; give it once")
            metadata = {"name": each.name, "namespace": each.namespace}
            found[each.title] = {**each.value, "metadata": metadata}
    if not found:
        raise ConfigError(
            f"{', '.join(file for file, _ in texts)}: has no PlacementPolicy and no ClusterPlacementPolicy"
        )
    if others:
        note(f"documents that are no policy objects are passed over: {others}")
    return [msgspec.json.encode(each).decode() for each in found.values()]
