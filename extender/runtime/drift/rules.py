"""How careful the drift loop is, from the settings."""

from extender.core.drift.rules import DriftRules
from extender.core.policy import parse_duration
from extender.settings.sections import DriftSettings
from extender.wire.schedule import window_open


def drift_rules(settings: DriftSettings) -> DriftRules:
    """The rules of plans and judgements under these settings."""
    return DriftRules(
        window_open,
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
    )
