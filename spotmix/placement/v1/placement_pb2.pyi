from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkloadOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKLOAD_ORDER_UNSPECIFIED: _ClassVar[WorkloadOrder]
    WORKLOAD_ORDER_WORST_FIRST: _ClassVar[WorkloadOrder]
    WORKLOAD_ORDER_NAME: _ClassVar[WorkloadOrder]
    WORKLOAD_ORDER_REPLICAS: _ClassVar[WorkloadOrder]
    WORKLOAD_ORDER_SURPLUS: _ClassVar[WorkloadOrder]
    WORKLOAD_ORDER_MISSING: _ClassVar[WorkloadOrder]

class Condition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONDITION_UNSPECIFIED: _ClassVar[Condition]
    CONDITION_FLOOR_BREACHED: _ClassVar[Condition]
    CONDITION_HELD_ON_DEMAND: _ClassVar[Condition]
    CONDITION_POLICY_INVALID: _ClassVar[Condition]
    CONDITION_OFF_TARGET: _ClassVar[Condition]
    CONDITION_WAITING: _ClassVar[Condition]
    CONDITION_INCOMPLETE: _ClassVar[Condition]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_UNMANAGED: _ClassVar[Reason]
    REASON_SEAT: _ClassVar[Reason]
    REASON_ORDINAL: _ClassVar[Reason]
    REASON_RUN: _ClassVar[Reason]
    REASON_INTERRUPTED_BEFORE: _ClassVar[Reason]
    REASON_FALLBACK: _ClassVar[Reason]
    REASON_AUDIT: _ClassVar[Reason]
    REASON_OWNER_UNKNOWN: _ClassVar[Reason]
    REASON_POLICY_INVALID: _ClassVar[Reason]
    REASON_WAIT_CLASS: _ClassVar[Reason]
    REASON_WAIT_FALLBACK: _ClassVar[Reason]
    REASON_WAIT_SAMPLE: _ClassVar[Reason]
    REASON_WAIT_NOMINATED: _ClassVar[Reason]
    REASON_POOL_FULL: _ClassVar[Reason]
    REASON_LIMIT_REACHED: _ClassVar[Reason]
    REASON_NOT_SYNCED: _ClassVar[Reason]
    REASON_NOT_LEADER: _ClassVar[Reason]
    REASON_TAKING_OVER: _ClassVar[Reason]
    REASON_NOT_WATCHED: _ClassVar[Reason]
    REASON_SURPLUS: _ClassVar[Reason]
    REASON_INTERRUPTED: _ClassVar[Reason]
    REASON_STALE: _ClassVar[Reason]
    REASON_MEMORY: _ClassVar[Reason]
    REASON_NODES_NOT_READY: _ClassVar[Reason]
    REASON_CLUSTER_BUDGET: _ClassVar[Reason]
    REASON_POLICY_FAULT: _ClassVar[Reason]
    REASON_NO_SEAT: _ClassVar[Reason]
    REASON_SINGLETON: _ClassVar[Reason]
    REASON_RUNS_TO_COMPLETION: _ClassVar[Reason]
    REASON_SIZE_UNKNOWN: _ClassVar[Reason]
    REASON_ROLLOUT: _ClassVar[Reason]
    REASON_UNAVAILABLE: _ClassVar[Reason]
    REASON_HELD_UP: _ClassVar[Reason]
    REASON_IN_FLIGHT: _ClassVar[Reason]
    REASON_WINDOW: _ClassVar[Reason]
    REASON_HOURLY_BUDGET: _ClassVar[Reason]
    REASON_BACK_OFF: _ClassVar[Reason]
    REASON_CIRCUIT_OPEN: _ClassVar[Reason]
    REASON_YOUNG: _ClassVar[Reason]
    REASON_PENDING: _ClassVar[Reason]
    REASON_PROTECTED: _ClassVar[Reason]
    REASON_PROTECTION_MALFORMED: _ClassVar[Reason]
    REASON_DRAINED: _ClassVar[Reason]
    REASON_NODE_NOT_READY: _ClassVar[Reason]
    REASON_BUDGET: _ClassVar[Reason]
    REASON_BUDGET_STALE: _ClassVar[Reason]
    REASON_BUDGETS: _ClassVar[Reason]
    REASON_UNMODELLED: _ClassVar[Reason]
    REASON_NO_NODE: _ClassVar[Reason]
    REASON_DWELL: _ClassVar[Reason]
    REASON_NOT_ADMITTED: _ClassVar[Reason]
    REASON_NO_ROOM: _ClassVar[Reason]
    REASON_VOLUME: _ClassVar[Reason]
    REASON_HOST_PORT: _ClassVar[Reason]
    REASON_AFFINITY: _ClassVar[Reason]
    REASON_SPREAD: _ClassVar[Reason]
    REASON_POOL_CAP: _ClassVar[Reason]
    REASON_CLASS_LIMIT: _ClassVar[Reason]
    REASON_LATER: _ClassVar[Reason]
    REASON_MOVED: _ClassVar[Reason]
    REASON_LANDED_WRONG: _ClassVar[Reason]
    REASON_NO_REPLACEMENT: _ClassVar[Reason]
    REASON_NOT_REPLACED: _ClassVar[Reason]
    REASON_REFUSED: _ClassVar[Reason]
    REASON_CHANGED: _ClassVar[Reason]
    REASON_STUCK: _ClassVar[Reason]
    REASON_FITS: _ClassVar[Reason]
    REASON_OTHER_CLASS: _ClassVar[Reason]
    REASON_GOING_AWAY: _ClassVar[Reason]
    REASON_CORDONED: _ClassVar[Reason]
    REASON_TAINTED: _ClassVar[Reason]
    REASON_NOT_SELECTED: _ClassVar[Reason]
    REASON_FULL: _ClassVar[Reason]
    REASON_NO_VOLUME: _ClassVar[Reason]
    REASON_PORT_TAKEN: _ClassVar[Reason]
    REASON_NOT_BESIDE: _ClassVar[Reason]
    REASON_SKEWED: _ClassVar[Reason]
    REASON_POOL_AT_CAP: _ClassVar[Reason]
    REASON_OTHER_POOL: _ClassVar[Reason]
    REASON_NO_CONTROLLER: _ClassVar[Reason]
    REASON_NEVER_MANAGED: _ClassVar[Reason]
    REASON_PROTECTED_NAMESPACE: _ClassVar[Reason]
    REASON_OWNER_UNREADABLE: _ClassVar[Reason]
    REASON_OPTED_OUT: _ClassVar[Reason]
    REASON_NOT_OPTED_IN: _ClassVar[Reason]
    REASON_OUTSIDE_NAMESPACES: _ClassVar[Reason]
    REASON_WRITTEN: _ClassVar[Reason]
    REASON_GATED: _ClassVar[Reason]
    REASON_GATED_BY_OTHERS: _ClassVar[Reason]
    REASON_NO_CLASS_LABEL: _ClassVar[Reason]
    REASON_AWAITS_NODE: _ClassVar[Reason]
    REASON_PLACEHOLDER_REFUSED: _ClassVar[Reason]
    REASON_PLACEHOLDER_DENIED: _ClassVar[Reason]
    REASON_ENFORCED_BY_POLICY: _ClassVar[Reason]
    REASON_NO_WEBHOOK: _ClassVar[Reason]
    REASON_AUTOSCALER_SEEN: _ClassVar[Reason]
    REASON_SCHEDULER_ASKS: _ClassVar[Reason]
    REASON_SCHEDULER_NAMED: _ClassVar[Reason]
    REASON_SCHEDULER_SILENT: _ClassVar[Reason]
    REASON_SCHEDULER_UNKNOWN: _ClassVar[Reason]
    REASON_FAULT: _ClassVar[Reason]
WORKLOAD_ORDER_UNSPECIFIED: WorkloadOrder
WORKLOAD_ORDER_WORST_FIRST: WorkloadOrder
WORKLOAD_ORDER_NAME: WorkloadOrder
WORKLOAD_ORDER_REPLICAS: WorkloadOrder
WORKLOAD_ORDER_SURPLUS: WorkloadOrder
WORKLOAD_ORDER_MISSING: WorkloadOrder
CONDITION_UNSPECIFIED: Condition
CONDITION_FLOOR_BREACHED: Condition
CONDITION_HELD_ON_DEMAND: Condition
CONDITION_POLICY_INVALID: Condition
CONDITION_OFF_TARGET: Condition
CONDITION_WAITING: Condition
CONDITION_INCOMPLETE: Condition
REASON_UNSPECIFIED: Reason
REASON_UNMANAGED: Reason
REASON_SEAT: Reason
REASON_ORDINAL: Reason
REASON_RUN: Reason
REASON_INTERRUPTED_BEFORE: Reason
REASON_FALLBACK: Reason
REASON_AUDIT: Reason
REASON_OWNER_UNKNOWN: Reason
REASON_POLICY_INVALID: Reason
REASON_WAIT_CLASS: Reason
REASON_WAIT_FALLBACK: Reason
REASON_WAIT_SAMPLE: Reason
REASON_WAIT_NOMINATED: Reason
REASON_POOL_FULL: Reason
REASON_LIMIT_REACHED: Reason
REASON_NOT_SYNCED: Reason
REASON_NOT_LEADER: Reason
REASON_TAKING_OVER: Reason
REASON_NOT_WATCHED: Reason
REASON_SURPLUS: Reason
REASON_INTERRUPTED: Reason
REASON_STALE: Reason
REASON_MEMORY: Reason
REASON_NODES_NOT_READY: Reason
REASON_CLUSTER_BUDGET: Reason
REASON_POLICY_FAULT: Reason
REASON_NO_SEAT: Reason
REASON_SINGLETON: Reason
REASON_RUNS_TO_COMPLETION: Reason
REASON_SIZE_UNKNOWN: Reason
REASON_ROLLOUT: Reason
REASON_UNAVAILABLE: Reason
REASON_HELD_UP: Reason
REASON_IN_FLIGHT: Reason
REASON_WINDOW: Reason
REASON_HOURLY_BUDGET: Reason
REASON_BACK_OFF: Reason
REASON_CIRCUIT_OPEN: Reason
REASON_YOUNG: Reason
REASON_PENDING: Reason
REASON_PROTECTED: Reason
REASON_PROTECTION_MALFORMED: Reason
REASON_DRAINED: Reason
REASON_NODE_NOT_READY: Reason
REASON_BUDGET: Reason
REASON_BUDGET_STALE: Reason
REASON_BUDGETS: Reason
REASON_UNMODELLED: Reason
REASON_NO_NODE: Reason
REASON_DWELL: Reason
REASON_NOT_ADMITTED: Reason
REASON_NO_ROOM: Reason
REASON_VOLUME: Reason
REASON_HOST_PORT: Reason
REASON_AFFINITY: Reason
REASON_SPREAD: Reason
REASON_POOL_CAP: Reason
REASON_CLASS_LIMIT: Reason
REASON_LATER: Reason
REASON_MOVED: Reason
REASON_LANDED_WRONG: Reason
REASON_NO_REPLACEMENT: Reason
REASON_NOT_REPLACED: Reason
REASON_REFUSED: Reason
REASON_CHANGED: Reason
REASON_STUCK: Reason
REASON_FITS: Reason
REASON_OTHER_CLASS: Reason
REASON_GOING_AWAY: Reason
REASON_CORDONED: Reason
REASON_TAINTED: Reason
REASON_NOT_SELECTED: Reason
REASON_FULL: Reason
REASON_NO_VOLUME: Reason
REASON_PORT_TAKEN: Reason
REASON_NOT_BESIDE: Reason
REASON_SKEWED: Reason
REASON_POOL_AT_CAP: Reason
REASON_OTHER_POOL: Reason
REASON_NO_CONTROLLER: Reason
REASON_NEVER_MANAGED: Reason
REASON_PROTECTED_NAMESPACE: Reason
REASON_OWNER_UNREADABLE: Reason
REASON_OPTED_OUT: Reason
REASON_NOT_OPTED_IN: Reason
REASON_OUTSIDE_NAMESPACES: Reason
REASON_WRITTEN: Reason
REASON_GATED: Reason
REASON_GATED_BY_OTHERS: Reason
REASON_NO_CLASS_LABEL: Reason
REASON_AWAITS_NODE: Reason
REASON_PLACEHOLDER_REFUSED: Reason
REASON_PLACEHOLDER_DENIED: Reason
REASON_ENFORCED_BY_POLICY: Reason
REASON_NO_WEBHOOK: Reason
REASON_AUTOSCALER_SEEN: Reason
REASON_SCHEDULER_ASKS: Reason
REASON_SCHEDULER_NAMED: Reason
REASON_SCHEDULER_SILENT: Reason
REASON_SCHEDULER_UNKNOWN: Reason
REASON_FAULT: Reason

class ListWorkloadsRequest(_message.Message):
    __slots__ = ("namespace", "conditions", "query", "order", "page_size", "page_token", "label_selector")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    conditions: _containers.RepeatedScalarFieldContainer[Condition]
    query: str
    order: WorkloadOrder
    page_size: int
    page_token: str
    label_selector: str
    def __init__(self, namespace: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[Condition, str]]] = ..., query: _Optional[str] = ..., order: _Optional[_Union[WorkloadOrder, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., label_selector: _Optional[str] = ...) -> None: ...

class ListWorkloadsResponse(_message.Message):
    __slots__ = ("overview", "next_page_token", "total_size", "obstacle", "selected")
    OVERVIEW_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    SELECTED_FIELD_NUMBER: _ClassVar[int]
    overview: Overview
    next_page_token: str
    total_size: int
    obstacle: Reason
    selected: bool
    def __init__(self, overview: _Optional[_Union[Overview, _Mapping]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ..., obstacle: _Optional[_Union[Reason, str]] = ..., selected: _Optional[bool] = ...) -> None: ...

class GetWorkloadRequest(_message.Message):
    __slots__ = ("namespace", "kind", "name", "decision_limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DECISION_LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    kind: str
    name: str
    decision_limit: int
    def __init__(self, namespace: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., decision_limit: _Optional[int] = ...) -> None: ...

class GetWorkloadResponse(_message.Message):
    __slots__ = ("workload", "decisions", "drift", "obstacle")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    workload: WorkloadExplanation
    decisions: _containers.RepeatedCompositeFieldContainer[Decision]
    drift: DriftReport
    obstacle: Reason
    def __init__(self, workload: _Optional[_Union[WorkloadExplanation, _Mapping]] = ..., decisions: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ..., drift: _Optional[_Union[DriftReport, _Mapping]] = ..., obstacle: _Optional[_Union[Reason, str]] = ...) -> None: ...

class ExplainPodRequest(_message.Message):
    __slots__ = ("namespace", "name", "decision_limit")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DECISION_LIMIT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    decision_limit: int
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., decision_limit: _Optional[int] = ...) -> None: ...

class ExplainPodResponse(_message.Message):
    __slots__ = ("pod", "decisions", "obstacle")
    POD_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    pod: PodExplanation
    decisions: _containers.RepeatedCompositeFieldContainer[Decision]
    obstacle: Reason
    def __init__(self, pod: _Optional[_Union[PodExplanation, _Mapping]] = ..., decisions: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ..., obstacle: _Optional[_Union[Reason, str]] = ...) -> None: ...

class PlanDriftRequest(_message.Message):
    __slots__ = ("namespace", "label_selector")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    label_selector: str
    def __init__(self, namespace: _Optional[str] = ..., label_selector: _Optional[str] = ...) -> None: ...

class PlanDriftResponse(_message.Message):
    __slots__ = ("report", "off", "mode", "obstacle", "selected")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    OFF_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    SELECTED_FIELD_NUMBER: _ClassVar[int]
    report: DriftReport
    off: int
    mode: str
    obstacle: Reason
    selected: bool
    def __init__(self, report: _Optional[_Union[DriftReport, _Mapping]] = ..., off: _Optional[int] = ..., mode: _Optional[str] = ..., obstacle: _Optional[_Union[Reason, str]] = ..., selected: _Optional[bool] = ...) -> None: ...

class SimulateRequest(_message.Message):
    __slots__ = ("change", "workload_limit", "policy_objects")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_LIMIT_FIELD_NUMBER: _ClassVar[int]
    POLICY_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    change: Change
    workload_limit: int
    policy_objects: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, change: _Optional[_Union[Change, _Mapping]] = ..., workload_limit: _Optional[int] = ..., policy_objects: _Optional[_Iterable[str]] = ...) -> None: ...

class SimulateResponse(_message.Message):
    __slots__ = ("what_if", "obstacle", "total_size")
    WHAT_IF_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    what_if: WhatIf
    obstacle: Reason
    total_size: int
    def __init__(self, what_if: _Optional[_Union[WhatIf, _Mapping]] = ..., obstacle: _Optional[_Union[Reason, str]] = ..., total_size: _Optional[int] = ...) -> None: ...

class WatchDecisionsRequest(_message.Message):
    __slots__ = ("namespace", "workload", "kind", "pod", "capacity_classes", "reasons", "replay")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_CLASSES_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    workload: str
    kind: str
    pod: str
    capacity_classes: _containers.RepeatedScalarFieldContainer[str]
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    replay: int
    def __init__(self, namespace: _Optional[str] = ..., workload: _Optional[str] = ..., kind: _Optional[str] = ..., pod: _Optional[str] = ..., capacity_classes: _Optional[_Iterable[str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ..., replay: _Optional[int] = ...) -> None: ...

class WatchDecisionsResponse(_message.Message):
    __slots__ = ("decisions", "lost", "obstacle")
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    OBSTACLE_FIELD_NUMBER: _ClassVar[int]
    decisions: _containers.RepeatedCompositeFieldContainer[Decision]
    lost: int
    obstacle: Reason
    def __init__(self, decisions: _Optional[_Iterable[_Union[Decision, _Mapping]]] = ..., lost: _Optional[int] = ..., obstacle: _Optional[_Union[Reason, str]] = ...) -> None: ...

class Overview(_message.Message):
    __slots__ = ("at", "totals", "workloads", "pools", "enforcement")
    AT_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    at: float
    totals: Totals
    workloads: _containers.RepeatedCompositeFieldContainer[WorkloadRow]
    pools: _containers.RepeatedCompositeFieldContainer[PoolRow]
    enforcement: _containers.RepeatedCompositeFieldContainer[Enforced]
    def __init__(self, at: _Optional[float] = ..., totals: _Optional[_Union[Totals, _Mapping]] = ..., workloads: _Optional[_Iterable[_Union[WorkloadRow, _Mapping]]] = ..., pools: _Optional[_Iterable[_Union[PoolRow, _Mapping]]] = ..., enforcement: _Optional[_Iterable[_Union[Enforced, _Mapping]]] = ...) -> None: ...

class Enforced(_message.Message):
    __slots__ = ("enforcement", "reason", "scheduler", "detail")
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    enforcement: str
    reason: Reason
    scheduler: str
    detail: str
    def __init__(self, enforcement: _Optional[str] = ..., reason: _Optional[_Union[Reason, str]] = ..., scheduler: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Totals(_message.Message):
    __slots__ = ("workloads", "audited", "conditions", "replicas", "wanted", "actual", "surplus", "missing", "below_floor", "pending", "nodes")
    class ConditionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class WantedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ActualEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class NodesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    BELOW_FLOOR_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    workloads: int
    audited: int
    conditions: _containers.ScalarMap[str, int]
    replicas: int
    wanted: _containers.ScalarMap[str, int]
    actual: _containers.ScalarMap[str, int]
    surplus: int
    missing: int
    below_floor: int
    pending: int
    nodes: _containers.ScalarMap[str, int]
    def __init__(self, workloads: _Optional[int] = ..., audited: _Optional[int] = ..., conditions: _Optional[_Mapping[str, int]] = ..., replicas: _Optional[int] = ..., wanted: _Optional[_Mapping[str, int]] = ..., actual: _Optional[_Mapping[str, int]] = ..., surplus: _Optional[int] = ..., missing: _Optional[int] = ..., below_floor: _Optional[int] = ..., pending: _Optional[int] = ..., nodes: _Optional[_Mapping[str, int]] = ...) -> None: ...

class WorkloadRow(_message.Message):
    __slots__ = ("kind", "namespace", "name", "uid", "mode", "policy", "conditions", "replicas", "wanted", "actual", "reserved", "surplus", "missing", "below_floor", "pending", "waiting", "problems", "policies", "counted")
    class WantedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ActualEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ReservedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class WaitingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    BELOW_FLOOR_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    uid: str
    mode: str
    policy: str
    conditions: _containers.RepeatedScalarFieldContainer[Condition]
    replicas: int
    wanted: _containers.ScalarMap[str, int]
    actual: _containers.ScalarMap[str, int]
    reserved: _containers.ScalarMap[str, int]
    surplus: int
    missing: int
    below_floor: int
    pending: int
    waiting: _containers.ScalarMap[str, int]
    problems: int
    policies: _containers.RepeatedScalarFieldContainer[str]
    counted: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., uid: _Optional[str] = ..., mode: _Optional[str] = ..., policy: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[Condition, str]]] = ..., replicas: _Optional[int] = ..., wanted: _Optional[_Mapping[str, int]] = ..., actual: _Optional[_Mapping[str, int]] = ..., reserved: _Optional[_Mapping[str, int]] = ..., surplus: _Optional[int] = ..., missing: _Optional[int] = ..., below_floor: _Optional[int] = ..., pending: _Optional[int] = ..., waiting: _Optional[_Mapping[str, int]] = ..., problems: _Optional[int] = ..., policies: _Optional[_Iterable[str]] = ..., counted: _Optional[str] = ...) -> None: ...

class PoolRow(_message.Message):
    __slots__ = ("capacity_class", "instance_type", "zone", "nodes", "going_away", "cordoned", "not_ready", "pods", "interruptions", "interrupted", "doubtful", "doubt", "unnamed")
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    GOING_AWAY_FIELD_NUMBER: _ClassVar[int]
    CORDONED_FIELD_NUMBER: _ClassVar[int]
    NOT_READY_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIONS_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    DOUBTFUL_FIELD_NUMBER: _ClassVar[int]
    DOUBT_FIELD_NUMBER: _ClassVar[int]
    UNNAMED_FIELD_NUMBER: _ClassVar[int]
    capacity_class: str
    instance_type: str
    zone: str
    nodes: int
    going_away: int
    cordoned: int
    not_ready: int
    pods: int
    interruptions: float
    interrupted: int
    doubtful: int
    doubt: str
    unnamed: bool
    def __init__(self, capacity_class: _Optional[str] = ..., instance_type: _Optional[str] = ..., zone: _Optional[str] = ..., nodes: _Optional[int] = ..., going_away: _Optional[int] = ..., cordoned: _Optional[int] = ..., not_ready: _Optional[int] = ..., pods: _Optional[int] = ..., interruptions: _Optional[float] = ..., interrupted: _Optional[int] = ..., doubtful: _Optional[int] = ..., doubt: _Optional[str] = ..., unnamed: _Optional[bool] = ...) -> None: ...

class Subject(_message.Message):
    __slots__ = ("kind", "namespace", "name", "uid")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    uid: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., uid: _Optional[str] = ...) -> None: ...

class WorkloadExplanation(_message.Message):
    __slots__ = ("workload", "unmanaged", "row", "revisions", "pods", "settings", "problems", "enforcement", "runs")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    UNMANAGED_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    workload: Subject
    unmanaged: Unmanaged
    row: WorkloadRow
    revisions: _containers.RepeatedCompositeFieldContainer[RevisionRow]
    pods: _containers.RepeatedCompositeFieldContainer[PodRow]
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    enforcement: Enforced
    runs: RunsOf
    def __init__(self, workload: _Optional[_Union[Subject, _Mapping]] = ..., unmanaged: _Optional[_Union[Unmanaged, _Mapping]] = ..., row: _Optional[_Union[WorkloadRow, _Mapping]] = ..., revisions: _Optional[_Iterable[_Union[RevisionRow, _Mapping]]] = ..., pods: _Optional[_Iterable[_Union[PodRow, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., enforcement: _Optional[_Union[Enforced, _Mapping]] = ..., runs: _Optional[_Union[RunsOf, _Mapping]] = ...) -> None: ...

class RevisionRow(_message.Message):
    __slots__ = ("revision", "replicas", "rolling", "seats", "surplus", "pending")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    ROLLING_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    revision: Subject
    replicas: int
    rolling: bool
    seats: _containers.RepeatedCompositeFieldContainer[SeatsOf]
    surplus: int
    pending: int
    def __init__(self, revision: _Optional[_Union[Subject, _Mapping]] = ..., replicas: _Optional[int] = ..., rolling: _Optional[bool] = ..., seats: _Optional[_Iterable[_Union[SeatsOf, _Mapping]]] = ..., surplus: _Optional[int] = ..., pending: _Optional[int] = ...) -> None: ...

class PodRow(_message.Message):
    __slots__ = ("name", "uid", "revision", "node", "capacity_class", "instance_type", "zone", "going_away", "seat", "ready", "terminating", "created", "reason", "wanted", "surplus")
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    GOING_AWAY_FIELD_NUMBER: _ClassVar[int]
    SEAT_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    TERMINATING_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    revision: str
    node: str
    capacity_class: str
    instance_type: str
    zone: str
    going_away: str
    seat: int
    ready: bool
    terminating: bool
    created: float
    reason: Reason
    wanted: str
    surplus: bool
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., revision: _Optional[str] = ..., node: _Optional[str] = ..., capacity_class: _Optional[str] = ..., instance_type: _Optional[str] = ..., zone: _Optional[str] = ..., going_away: _Optional[str] = ..., seat: _Optional[int] = ..., ready: _Optional[bool] = ..., terminating: _Optional[bool] = ..., created: _Optional[float] = ..., reason: _Optional[_Union[Reason, str]] = ..., wanted: _Optional[str] = ..., surplus: _Optional[bool] = ...) -> None: ...

class PodExplanation(_message.Message):
    __slots__ = ("pod", "revision", "terminating", "place", "workload", "unmanaged", "outcome", "mode", "policy", "replicas", "seat", "seats", "surplus", "held", "waits", "classes", "scores", "settings", "problems", "unmodelled", "on_pod", "enforcement", "counted", "limits", "runs")
    POD_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TERMINATING_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    UNMANAGED_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    SEAT_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    UNMODELLED_FIELD_NUMBER: _ClassVar[int]
    ON_POD_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    pod: Subject
    revision: Subject
    terminating: bool
    place: Place
    workload: Subject
    unmanaged: Unmanaged
    outcome: Outcome
    mode: str
    policy: str
    replicas: int
    seat: Seat
    seats: _containers.RepeatedCompositeFieldContainer[SeatsOf]
    surplus: Surplus
    held: Held
    waits: Waits
    classes: _containers.RepeatedCompositeFieldContainer[ClassVerdict]
    scores: _containers.RepeatedCompositeFieldContainer[NodeScore]
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    unmodelled: _containers.RepeatedScalarFieldContainer[str]
    on_pod: OnPod
    enforcement: Enforced
    counted: str
    limits: _containers.RepeatedScalarFieldContainer[str]
    runs: RunsOf
    def __init__(self, pod: _Optional[_Union[Subject, _Mapping]] = ..., revision: _Optional[_Union[Subject, _Mapping]] = ..., terminating: _Optional[bool] = ..., place: _Optional[_Union[Place, _Mapping]] = ..., workload: _Optional[_Union[Subject, _Mapping]] = ..., unmanaged: _Optional[_Union[Unmanaged, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, _Mapping]] = ..., mode: _Optional[str] = ..., policy: _Optional[str] = ..., replicas: _Optional[int] = ..., seat: _Optional[_Union[Seat, _Mapping]] = ..., seats: _Optional[_Iterable[_Union[SeatsOf, _Mapping]]] = ..., surplus: _Optional[_Union[Surplus, _Mapping]] = ..., held: _Optional[_Union[Held, _Mapping]] = ..., waits: _Optional[_Union[Waits, _Mapping]] = ..., classes: _Optional[_Iterable[_Union[ClassVerdict, _Mapping]]] = ..., scores: _Optional[_Iterable[_Union[NodeScore, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., unmodelled: _Optional[_Iterable[str]] = ..., on_pod: _Optional[_Union[OnPod, _Mapping]] = ..., enforcement: _Optional[_Union[Enforced, _Mapping]] = ..., counted: _Optional[str] = ..., limits: _Optional[_Iterable[str]] = ..., runs: _Optional[_Union[RunsOf, _Mapping]] = ...) -> None: ...

class OnPod(_message.Message):
    __slots__ = ("gates", "capacity_class", "created", "coming", "refused")
    GATES_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    COMING_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    gates: _containers.RepeatedScalarFieldContainer[str]
    capacity_class: str
    created: float
    coming: str
    refused: str
    def __init__(self, gates: _Optional[_Iterable[str]] = ..., capacity_class: _Optional[str] = ..., created: _Optional[float] = ..., coming: _Optional[str] = ..., refused: _Optional[str] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("node", "capacity_class", "instance_type", "zone", "going_away", "counted", "interruptions")
    NODE_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    GOING_AWAY_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIONS_FIELD_NUMBER: _ClassVar[int]
    node: str
    capacity_class: str
    instance_type: str
    zone: str
    going_away: str
    counted: bool
    interruptions: float
    def __init__(self, node: _Optional[str] = ..., capacity_class: _Optional[str] = ..., instance_type: _Optional[str] = ..., zone: _Optional[str] = ..., going_away: _Optional[str] = ..., counted: _Optional[bool] = ..., interruptions: _Optional[float] = ...) -> None: ...

class Unmanaged(_message.Message):
    __slots__ = ("reason", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    detail: str
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("reason", "wanted", "given", "passing", "wake_at")
    REASON_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    PASSING_FIELD_NUMBER: _ClassVar[int]
    WAKE_AT_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    wanted: str
    given: str
    passing: int
    wake_at: float
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., wanted: _Optional[str] = ..., given: _Optional[str] = ..., passing: _Optional[int] = ..., wake_at: _Optional[float] = ...) -> None: ...

class Seat(_message.Message):
    __slots__ = ("number", "capacity_class", "beyond")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    BEYOND_FIELD_NUMBER: _ClassVar[int]
    number: int
    capacity_class: str
    beyond: bool
    def __init__(self, number: _Optional[int] = ..., capacity_class: _Optional[str] = ..., beyond: _Optional[bool] = ...) -> None: ...

class SeatsOf(_message.Message):
    __slots__ = ("capacity_class", "target", "filled", "reserved")
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FILLED_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    capacity_class: str
    target: int
    filled: int
    reserved: int
    def __init__(self, capacity_class: _Optional[str] = ..., target: _Optional[int] = ..., filled: _Optional[int] = ..., reserved: _Optional[int] = ...) -> None: ...

class RunsOf(_message.Message):
    __slots__ = ("policy", "seats")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    SEATS_FIELD_NUMBER: _ClassVar[int]
    policy: str
    seats: _containers.RepeatedCompositeFieldContainer[SeatsOf]
    def __init__(self, policy: _Optional[str] = ..., seats: _Optional[_Iterable[_Union[SeatsOf, _Mapping]]] = ...) -> None: ...

class Surplus(_message.Message):
    __slots__ = ("count", "pods", "wanting")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    WANTING_FIELD_NUMBER: _ClassVar[int]
    count: int
    pods: int
    wanting: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, count: _Optional[int] = ..., pods: _Optional[int] = ..., wanting: _Optional[_Iterable[str]] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("capacity_class", "since", "stand_in", "instance_type", "zone")
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STAND_IN_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    capacity_class: str
    since: float
    stand_in: bool
    instance_type: str
    zone: str
    def __init__(self, capacity_class: _Optional[str] = ..., since: _Optional[float] = ..., stand_in: _Optional[bool] = ..., instance_type: _Optional[str] = ..., zone: _Optional[str] = ...) -> None: ...

class Waits(_message.Message):
    __slots__ = ("reason", "capacity_class", "since", "wake_at", "nominee")
    REASON_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    WAKE_AT_FIELD_NUMBER: _ClassVar[int]
    NOMINEE_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    capacity_class: str
    since: float
    wake_at: float
    nominee: str
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., capacity_class: _Optional[str] = ..., since: _Optional[float] = ..., wake_at: _Optional[float] = ..., nominee: _Optional[str] = ...) -> None: ...

class ClassVerdict(_message.Message):
    __slots__ = ("capacity_class", "role", "given", "nodes", "groups")
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    capacity_class: str
    role: str
    given: bool
    nodes: int
    groups: _containers.RepeatedCompositeFieldContainer[NodeGroup]
    def __init__(self, capacity_class: _Optional[str] = ..., role: _Optional[str] = ..., given: _Optional[bool] = ..., nodes: _Optional[int] = ..., groups: _Optional[_Iterable[_Union[NodeGroup, _Mapping]]] = ...) -> None: ...

class NodeGroup(_message.Message):
    __slots__ = ("reason", "detail", "count", "examples")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    detail: str
    count: int
    examples: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., detail: _Optional[str] = ..., count: _Optional[int] = ..., examples: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeScore(_message.Message):
    __slots__ = ("node", "total", "parts")
    class PartsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NODE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    node: str
    total: int
    parts: _containers.ScalarMap[str, int]
    def __init__(self, node: _Optional[str] = ..., total: _Optional[int] = ..., parts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Setting(_message.Message):
    __slots__ = ("key", "value", "source", "written", "applied")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    source: str
    written: str
    applied: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., source: _Optional[str] = ..., written: _Optional[str] = ..., applied: _Optional[bool] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("source", "key", "value", "fault", "fix", "warning")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    source: str
    key: str
    value: str
    fault: str
    fix: str
    warning: bool
    def __init__(self, source: _Optional[str] = ..., key: _Optional[str] = ..., value: _Optional[str] = ..., fault: _Optional[str] = ..., fix: _Optional[str] = ..., warning: _Optional[bool] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("number", "at", "verb", "namespace", "pod", "pod_uid", "kind", "workload", "workload_uid", "wanted", "given", "reason", "offered", "passed")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    POD_UID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_UID_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    number: int
    at: float
    verb: str
    namespace: str
    pod: str
    pod_uid: str
    kind: str
    workload: str
    workload_uid: str
    wanted: str
    given: str
    reason: Reason
    offered: int
    passed: int
    def __init__(self, number: _Optional[int] = ..., at: _Optional[float] = ..., verb: _Optional[str] = ..., namespace: _Optional[str] = ..., pod: _Optional[str] = ..., pod_uid: _Optional[str] = ..., kind: _Optional[str] = ..., workload: _Optional[str] = ..., workload_uid: _Optional[str] = ..., wanted: _Optional[str] = ..., given: _Optional[str] = ..., reason: _Optional[_Union[Reason, str]] = ..., offered: _Optional[int] = ..., passed: _Optional[int] = ...) -> None: ...

class DriftReport(_message.Message):
    __slots__ = ("at", "paused", "moves", "stays", "in_flight", "off_target")
    AT_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    STAYS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    OFF_TARGET_FIELD_NUMBER: _ClassVar[int]
    at: float
    paused: Why
    moves: _containers.RepeatedCompositeFieldContainer[PlannedMove]
    stays: _containers.RepeatedCompositeFieldContainer[PlannedStay]
    in_flight: _containers.RepeatedCompositeFieldContainer[OngoingMove]
    off_target: _containers.RepeatedCompositeFieldContainer[Imbalance]
    def __init__(self, at: _Optional[float] = ..., paused: _Optional[_Union[Why, _Mapping]] = ..., moves: _Optional[_Iterable[_Union[PlannedMove, _Mapping]]] = ..., stays: _Optional[_Iterable[_Union[PlannedStay, _Mapping]]] = ..., in_flight: _Optional[_Iterable[_Union[OngoingMove, _Mapping]]] = ..., off_target: _Optional[_Iterable[_Union[Imbalance, _Mapping]]] = ...) -> None: ...

class Why(_message.Message):
    __slots__ = ("reason", "text", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    text: str
    detail: str
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., text: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class PodId(_message.Message):
    __slots__ = ("namespace", "name", "uid")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    uid: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., uid: _Optional[str] = ...) -> None: ...

class WorkloadName(_message.Message):
    __slots__ = ("namespace", "kind", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    kind: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class EvictionVerdict(_message.Message):
    __slots__ = ("answer", "status", "text")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    answer: str
    status: int
    text: str
    def __init__(self, answer: _Optional[str] = ..., status: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class PlannedMove(_message.Message):
    __slots__ = ("pod", "workload", "node", "to", "target", "why", "audit", "verdict")
    POD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    pod: PodId
    workload: WorkloadName
    node: str
    to: str
    target: str
    why: Why
    audit: bool
    verdict: EvictionVerdict
    def __init__(self, pod: _Optional[_Union[PodId, _Mapping]] = ..., workload: _Optional[_Union[WorkloadName, _Mapping]] = ..., node: _Optional[str] = ..., to: _Optional[str] = ..., target: _Optional[str] = ..., why: _Optional[_Union[Why, _Mapping]] = ..., audit: _Optional[bool] = ..., verdict: _Optional[_Union[EvictionVerdict, _Mapping]] = ..., **kwargs) -> None: ...

class PlannedStay(_message.Message):
    __slots__ = ("pod", "workload", "node", "why", "to", "verdict")
    POD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    pod: PodId
    workload: WorkloadName
    node: str
    why: Why
    to: str
    verdict: EvictionVerdict
    def __init__(self, pod: _Optional[_Union[PodId, _Mapping]] = ..., workload: _Optional[_Union[WorkloadName, _Mapping]] = ..., node: _Optional[str] = ..., why: _Optional[_Union[Why, _Mapping]] = ..., to: _Optional[str] = ..., verdict: _Optional[_Union[EvictionVerdict, _Mapping]] = ..., **kwargs) -> None: ...

class OngoingMove(_message.Message):
    __slots__ = ("pod", "workload", "to", "since")
    POD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    pod: PodId
    workload: WorkloadName
    to: str
    since: float
    def __init__(self, pod: _Optional[_Union[PodId, _Mapping]] = ..., workload: _Optional[_Union[WorkloadName, _Mapping]] = ..., to: _Optional[str] = ..., since: _Optional[float] = ..., **kwargs) -> None: ...

class Imbalance(_message.Message):
    __slots__ = ("workload", "replicas", "wanted", "actual", "surplus", "missing")
    class WantedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ActualEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    workload: WorkloadName
    replicas: int
    wanted: _containers.ScalarMap[str, int]
    actual: _containers.ScalarMap[str, int]
    surplus: int
    missing: int
    def __init__(self, workload: _Optional[_Union[WorkloadName, _Mapping]] = ..., replicas: _Optional[int] = ..., wanted: _Optional[_Mapping[str, int]] = ..., actual: _Optional[_Mapping[str, int]] = ..., surplus: _Optional[int] = ..., missing: _Optional[int] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("workload", "replicas", "policy", "lost_pools", "prices")
    class PolicyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class PricesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    LOST_POOLS_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    workload: WorkloadName
    replicas: int
    policy: _containers.ScalarMap[str, str]
    lost_pools: _containers.RepeatedCompositeFieldContainer[LostPool]
    prices: _containers.ScalarMap[str, float]
    def __init__(self, workload: _Optional[_Union[WorkloadName, _Mapping]] = ..., replicas: _Optional[int] = ..., policy: _Optional[_Mapping[str, str]] = ..., lost_pools: _Optional[_Iterable[_Union[LostPool, _Mapping]]] = ..., prices: _Optional[_Mapping[str, float]] = ...) -> None: ...

class LostPool(_message.Message):
    __slots__ = ("capacity_class", "instance_type", "zone")
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    capacity_class: str
    instance_type: str
    zone: str
    def __init__(self, capacity_class: _Optional[str] = ..., instance_type: _Optional[str] = ..., zone: _Optional[str] = ...) -> None: ...

class Moves(_message.Message):
    __slots__ = ("needed", "possible", "blocked", "hours")
    class BlockedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    POSSIBLE_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    needed: int
    possible: int
    blocked: _containers.ScalarMap[str, int]
    hours: float
    def __init__(self, needed: _Optional[int] = ..., possible: _Optional[int] = ..., blocked: _Optional[_Mapping[str, int]] = ..., hours: _Optional[float] = ...) -> None: ...

class Outlook(_message.Message):
    __slots__ = ("replicas", "wanted", "actual", "pending", "pending_classes", "stand_ins", "surplus", "floor", "below_floor", "moves", "eventual", "nodes", "cost")
    class WantedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ActualEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class PendingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class PendingClassesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class EventualEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class NodesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    PENDING_CLASSES_FIELD_NUMBER: _ClassVar[int]
    STAND_INS_FIELD_NUMBER: _ClassVar[int]
    SURPLUS_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    BELOW_FLOOR_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    EVENTUAL_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    wanted: _containers.ScalarMap[str, int]
    actual: _containers.ScalarMap[str, int]
    pending: _containers.ScalarMap[str, int]
    pending_classes: _containers.ScalarMap[str, int]
    stand_ins: int
    surplus: int
    floor: int
    below_floor: int
    moves: Moves
    eventual: _containers.ScalarMap[str, int]
    nodes: _containers.ScalarMap[str, float]
    cost: float
    def __init__(self, replicas: _Optional[int] = ..., wanted: _Optional[_Mapping[str, int]] = ..., actual: _Optional[_Mapping[str, int]] = ..., pending: _Optional[_Mapping[str, int]] = ..., pending_classes: _Optional[_Mapping[str, int]] = ..., stand_ins: _Optional[int] = ..., surplus: _Optional[int] = ..., floor: _Optional[int] = ..., below_floor: _Optional[int] = ..., moves: _Optional[_Union[Moves, _Mapping]] = ..., eventual: _Optional[_Mapping[str, int]] = ..., nodes: _Optional[_Mapping[str, float]] = ..., cost: _Optional[float] = ...) -> None: ...

class WorkloadChange(_message.Message):
    __slots__ = ("kind", "namespace", "name", "uid", "managed", "mode", "policy", "lost", "removed", "made", "before", "after", "policies_before", "policies_after")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    MANAGED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    POLICIES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    POLICIES_AFTER_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    uid: str
    managed: bool
    mode: str
    policy: str
    lost: int
    removed: int
    made: int
    before: Outlook
    after: Outlook
    policies_before: _containers.RepeatedScalarFieldContainer[str]
    policies_after: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., uid: _Optional[str] = ..., managed: _Optional[bool] = ..., mode: _Optional[str] = ..., policy: _Optional[str] = ..., lost: _Optional[int] = ..., removed: _Optional[int] = ..., made: _Optional[int] = ..., before: _Optional[_Union[Outlook, _Mapping]] = ..., after: _Optional[_Union[Outlook, _Mapping]] = ..., policies_before: _Optional[_Iterable[str]] = ..., policies_after: _Optional[_Iterable[str]] = ...) -> None: ...

class PolicyForecast(_message.Message):
    __slots__ = ("kind", "namespace", "name", "replaces", "acts", "before", "after", "lost", "losses", "problems")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    ACTS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    replaces: bool
    acts: bool
    before: int
    after: int
    lost: int
    losses: _containers.RepeatedCompositeFieldContainer[LostWorkload]
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., replaces: _Optional[bool] = ..., acts: _Optional[bool] = ..., before: _Optional[int] = ..., after: _Optional[int] = ..., lost: _Optional[int] = ..., losses: _Optional[_Iterable[_Union[LostWorkload, _Mapping]]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class LostWorkload(_message.Message):
    __slots__ = ("kind", "namespace", "name", "by")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    namespace: str
    name: str
    by: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., by: _Optional[str] = ...) -> None: ...

class LostNodes(_message.Message):
    __slots__ = ("capacity_class", "instance_type", "zone", "nodes", "pods", "managed")
    CAPACITY_CLASS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    MANAGED_FIELD_NUMBER: _ClassVar[int]
    capacity_class: str
    instance_type: str
    zone: str
    nodes: int
    pods: int
    managed: int
    def __init__(self, capacity_class: _Optional[str] = ..., instance_type: _Optional[str] = ..., zone: _Optional[str] = ..., nodes: _Optional[int] = ..., pods: _Optional[int] = ..., managed: _Optional[int] = ...) -> None: ...

class Bystanders(_message.Message):
    __slots__ = ("placed", "pending", "gone")
    class PendingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    PLACED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    placed: int
    pending: _containers.ScalarMap[str, int]
    gone: int
    def __init__(self, placed: _Optional[int] = ..., pending: _Optional[_Mapping[str, int]] = ..., gone: _Optional[int] = ...) -> None: ...

class WhatIf(_message.Message):
    __slots__ = ("at", "workloads", "before", "after", "nodes_before", "nodes_after", "lost", "bystanders", "problems", "notes", "policies")
    class NodesBeforeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class NodesAfterEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    AT_FIELD_NUMBER: _ClassVar[int]
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    NODES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    NODES_AFTER_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    BYSTANDERS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    at: float
    workloads: _containers.RepeatedCompositeFieldContainer[WorkloadChange]
    before: Outlook
    after: Outlook
    nodes_before: _containers.ScalarMap[str, int]
    nodes_after: _containers.ScalarMap[str, int]
    lost: _containers.RepeatedCompositeFieldContainer[LostNodes]
    bystanders: Bystanders
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    notes: _containers.RepeatedScalarFieldContainer[str]
    policies: _containers.RepeatedCompositeFieldContainer[PolicyForecast]
    def __init__(self, at: _Optional[float] = ..., workloads: _Optional[_Iterable[_Union[WorkloadChange, _Mapping]]] = ..., before: _Optional[_Union[Outlook, _Mapping]] = ..., after: _Optional[_Union[Outlook, _Mapping]] = ..., nodes_before: _Optional[_Mapping[str, int]] = ..., nodes_after: _Optional[_Mapping[str, int]] = ..., lost: _Optional[_Iterable[_Union[LostNodes, _Mapping]]] = ..., bystanders: _Optional[_Union[Bystanders, _Mapping]] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ..., policies: _Optional[_Iterable[_Union[PolicyForecast, _Mapping]]] = ...) -> None: ...
