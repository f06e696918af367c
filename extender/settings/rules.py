"""How policies are read under some settings."""

from collections.abc import Iterable

from extender.core.objects import EMPTY
from extender.core.workloads import PolicyRules
from extender.settings.load import default_annotations
from extender.settings.sections import Settings
from extender.wire.schedule import schedule_fault


def rules_of(settings: Settings, own_namespaces: Iterable[str] = ()) -> PolicyRules:
    """The rules; `own_namespaces` are those that Spotmix runs in, whose pods always pass."""
    return PolicyRules(
        schedule_fault,
        settings.policy.prefixes,
        default_annotations(settings) or EMPTY,
        frozenset((*settings.policy.protected_namespaces, "kube-system", *own_namespaces)),
    )
