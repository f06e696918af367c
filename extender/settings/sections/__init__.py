"""The sections of the configuration file: each setting with its kind, default and effect.

The docstring of a section is its heading in `spotmix serve --help` and in the reference; the text of a setting is its
description there. Both have to be understood alone.
"""

from typing import Annotated

from msgspec import field

from extender.core.model.classes import ClassRules
from extender.settings.sections.drift import DriftSettings
from extender.settings.sections.placing import PlacementSettings, PolicySettings, ScaleInSettings
from extender.settings.sections.ports import (
    ApiSettings,
    ConsoleSettings,
    ExpanderSettings,
    ExtenderSettings,
    MetricsSettings,
)
from extender.settings.sections.process import (
    CacheSettings,
    LeaderElectionSettings,
    LogSettings,
    SchedulerConfigSettings,
)
from extender.settings.sections.webhook import WebhookSettings
from extender.settings.values import CONTEXT, FILE, RELOADED, Section, doc


class Settings(Section, frozen=True):
    """Which cluster, and how its nodes are told apart."""

    kubeconfig: Annotated[
        str,
        doc(
            "Kubeconfig file, which says where the cluster is; empty takes $KUBECONFIG, else ~/.kube/config, else the "
            "pod's service account",
            FILE,
        ),
    ] = ""
    context: Annotated[str, doc("Context of the kubeconfig that is used; empty takes its current context", CONTEXT)] = (
        ""
    )
    extender: ExtenderSettings = field(default_factory=ExtenderSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    expander: ExpanderSettings = field(default_factory=ExpanderSettings)
    log: LogSettings = field(default_factory=LogSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    scale_in: ScaleInSettings = field(default_factory=ScaleInSettings)
    leader_election: LeaderElectionSettings = field(default_factory=LeaderElectionSettings)
    placement: PlacementSettings = field(default_factory=PlacementSettings)
    drift: DriftSettings = field(default_factory=DriftSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    scheduler_config: SchedulerConfigSettings = field(default_factory=SchedulerConfigSettings)
    classes: Annotated[
        ClassRules,
        doc(
            "Which labels tell spot nodes from on-demand ones, and which taints and conditions say that a node is "
            "about to go away; extraRules and extraGoingAwayTaints add to what is built in"
        ),
        RELOADED,
    ] = field(default_factory=ClassRules)
