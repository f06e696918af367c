"""What the core goes by, from the settings: how policies are read, pods are mutated and moved."""

from collections.abc import Iterable

from extender.core.admission.mutate import MutationRules
from extender.core.drift.rules import DriftOptions, DriftRules
from extender.core.model.objects import EMPTY
from extender.core.placement.tolerations import parse_taint
from extender.core.policy.rules import PolicyRules
from extender.core.policy.values import parse_duration
from extender.core.state.schedulers import DEFAULT_SCHEDULER
from extender.settings.load import default_annotations
from extender.settings.sections import Settings
from extender.settings.sections.drift import DriftSettings


def rules_of(settings: Settings, own_namespaces: Iterable[str] = (), *, serves: bool = False) -> PolicyRules:
    """The rules.

    Args:
        settings: the configuration.
        own_namespaces: those that Spotmix runs in, whose pods always pass.
        serves: whether they are of a running service, which knows whether pods are gated.
    """
    asking = {*settings.placement.asking_schedulers, settings.webhook.default_scheduler_name}
    return PolicyRules(
        settings.policy.prefixes,
        default_annotations(settings) or EMPTY,
        frozenset((*settings.policy.protected_namespaces, "kube-system", *own_namespaces)),
        settings.classes,
        settings.webhook.enabled if serves else None,
        frozenset(asking - {"", DEFAULT_SCHEDULER}) | {*settings.placement.asking_schedulers},
        frozenset(settings.policy.namespaces),
        settings.policy.namespace_selector.selector(),
        tuple(parse_taint(text) for text in settings.webhook.extra_spot_taints),
    )


def mutation_rules(settings: Settings) -> MutationRules:
    """What pods get under these settings."""
    webhook = settings.webhook
    return MutationRules(
        webhook.default_scheduler_name,
        webhook.preference_weight,
    )


def drift_rules(settings: DriftSettings) -> DriftRules:
    """The rules of plans and judgements under these settings."""
    return DriftRules(
        max_in_flight=settings.max_moves_in_flight,
        workload_in_flight=settings.workload_in_flight,
        max_unavailable=settings.max_unavailable,
        min_age=parse_duration(settings.min_pod_age),
        dwell=parse_duration(settings.dwell),
        not_ready=settings.not_ready_nodes,
        singletons=settings.move_singletons,
        drain=settings.drain_on_interruption,
        drain_unavailable=settings.drain_max_unavailable,
        back_off=parse_duration(settings.back_off),
        max_back_off=parse_duration(settings.max_back_off),
        circuit_moves=settings.circuit_moves,
        circuit_window=parse_duration(settings.circuit_window),
        circuit_reset=parse_duration(settings.circuit_reset),
        patience=parse_duration(settings.replacement_timeout),
        blocked_after=parse_duration(settings.blocked_after),
        placeholders=settings.placeholders,
    )


def drift_options(settings: DriftSettings) -> DriftOptions:
    """How the drift loop runs under these settings."""
    return DriftOptions(drift_rules(settings), parse_duration(settings.interval), settings.read_only)
