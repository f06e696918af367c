"""How many points the scheduler's own plugins can give a node, against which our weight stands."""

from collections.abc import Mapping

from extender.schedulerconfig.read import text_of
from extender.schedulerconfig.yamltree import YamlNode

# Kubernetes 1.36, pkg/scheduler/apis/config/v1/default_plugins.go; those that score.
_DEFAULT_WEIGHTS: Mapping[str, int] = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
    "DynamicResources": 2,
}
_CLAIMS = "DynamicResources"
_PLUGIN_SCORE = 100


def in_tree_scores(root: YamlNode) -> tuple[int, int]:
    """The most points all plugins together give a node, over all profiles: without and with resource claims."""
    profiles = root.find("profiles")
    weights = [_weights(item.target) for item in (profiles.items if profiles else ())] or [dict(_DEFAULT_WEIGHTS)]
    with_claims = max(sum(profile.values()) for profile in weights)
    without = max(sum(weight for name, weight in profile.items() if name != _CLAIMS) for profile in weights)
    return without * _PLUGIN_SCORE, with_claims * _PLUGIN_SCORE


def _weights(profile: YamlNode) -> dict[str, int]:
    """Weight by plugin that may score; one that is enabled for all points and unknown is not taken to."""
    weights = dict(_DEFAULT_WEIGHTS)
    plugins = profile.find("plugins")
    for point in ("multiPoint", "score"):
        plugin_set = plugins.find(point) if plugins is not None and plugins.kind == "mapping" else None
        if plugin_set is None or plugin_set.kind != "mapping":
            continue
        for name, _ in _named(plugin_set, "disabled"):
            if name == "*":
                weights.clear()
            weights.pop(name, None)
        for name, weight in _named(plugin_set, "enabled"):
            if point == "score" or name in _DEFAULT_WEIGHTS:
                weights[name] = weight or 1
    return weights


def _named(plugin_set: YamlNode, which: str) -> list[tuple[str, int]]:
    listed = plugin_set.find(which)
    found = []
    for item in listed.items if listed is not None else ():
        weight = item.target.find("weight")
        value = weight.scalar if weight is not None else None
        found.append((text_of(item.target, "name"), value if isinstance(value, int) else 0))
    return found
