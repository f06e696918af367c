"""Annotations that forbid to move pods: our own, and those that users write for other tools.

A value that cannot be read protects: whoever wrote it meant something.
"""

from collections.abc import Iterable, Sequence

from extender.core.model.objects import OptOut, Protection
from extender.core.policy.policy import Layer, Problem, find_key
from extender.core.policy.values import parse_duration

DO_NOT_DISRUPT = "do-not-disrupt"
"""Our key: true, false, or for how long after a pod's creation."""

KARPENTER = "karpenter.sh/do-not-disrupt"
"""As ours."""

CLUSTER_AUTOSCALER = "cluster-autoscaler.kubernetes.io/safe-to-evict"
"""False protects, true does not."""

DESCHEDULER = "descheduler.alpha.kubernetes.io/prefer-no-eviction"
"""That it is there protects, whatever its value."""


CAST_AI = "autoscaling.cast.ai/removal-disabled"
"""As ours; a label too."""

OCEAN = "spotinst.io/restrict-scale-down"
"""As ours, as a label."""

OLDER = "karpenter.sh/do-not-evict"
"""The earlier spelling of `KARPENTER`."""

SHOWN = 64
"""Characters of a value that are kept, to be shown."""


def opt_out_keys(prefixes: Iterable[str]) -> tuple[str, ...]:
    """The annotations of a pod by which users say today that it is not to be moved; `prefixes` are ours, without the
    slash. `OLDER` and `CAST_AI` count too.
    """
    ours = (f"{prefix}/{DO_NOT_DISRUPT}" for prefix in prefixes)
    return tuple(dict.fromkeys((*ours, KARPENTER, CLUSTER_AUTOSCALER, DESCHEDULER)))


def parse_opt_out(key: str, value: str) -> OptOut | None:
    """What such an annotation says; None when it forbids nothing."""
    value = value[:SHOWN]
    if key == DESCHEDULER:
        return OptOut(key, value)
    text = value.strip().lower()
    forbids, allows = ("false", "true") if key == CLUSTER_AUTOSCALER else ("true", "false")
    if text == allows:
        return None
    if text == forbids:
        return OptOut(key, value)
    if key != CLUSTER_AUTOSCALER:
        try:
            return OptOut(key, value, parse_duration(text))
        except ValueError:
            pass
    return OptOut(key, value, malformed=True)


def pod_protection(annotations: Iterable[tuple[str, str]], created: float) -> Protection | None:
    """What protects a pod the longest of its own annotations, one that can be read first.

    Args:
        annotations: those of its annotations that are of `opt_out_keys`.
        created: when it was created (seconds since the epoch).
    """
    found = [opt_out.of_pod(created) for key, value in annotations if (opt_out := parse_opt_out(key, value))]
    return max(found, key=_strength, default=None)


def _strength(protection: Protection) -> tuple[bool, bool, float]:
    return protection.until is None, not protection.malformed, protection.until or 0.0


def workload_opt_out(layers: Sequence[Layer], prefixes: Sequence[str]) -> tuple[OptOut | None, Problem | None]:
    """What a workload says for all of its pods, or its Namespace does, and what is wrong with that.

    Args:
        layers: most specific first; the first that has our key decides.
        prefixes: as in `opt_out_keys`.
    """
    found = find_key(layers, prefixes, DO_NOT_DISRUPT)
    if found is None:
        return None, None
    layer, key, value = found
    opt_out = parse_opt_out(key, value)
    if opt_out is None or not opt_out.malformed:
        return opt_out, None
    fix = 'write "true", "false", or how long after its creation a pod is left alone, such as "30m"'
    return opt_out, Problem(layer.source, key, value, "cannot be read, so no pod is moved", fix, warning=True)
