"""Why: the closed list of reasons that feeds failed nodes, metrics, Events, logs and the command line.

Texts are constant: the scheduler requeues a pod whose PodScheduled message changes, so a count, a time or a name in
here would make every attempt trigger the next.
"""

from msgspec import Struct

from extender.core.model.textenum import TextEnum


class Reason(TextEnum):
    """`value` is the label used by metrics and logs; `text` is for people and for the scheduler's failed nodes.

    Three members say that pools hold `max-per-pool` replicas of a workload, each in an answer of its own:
    POOL_FULL why filter rejects a pod (all pools do), STAY_POOL_FULL why a surplus pod stays (all pools with room do),
    NODE_POOL_FULL why one node is not for a pod (its pool does). Members are sorted into named sets below.
    """

    # Passed by filter
    UNMANAGED = "unmanaged", "not managed by spotmix"
    SEAT = "seat", "takes the first unfilled seat of its workload"
    ORDINAL = "ordinal", "takes the seat of its ordinal"
    RUN = "run", "takes the next seat among the runs of its policy"
    INTERRUPTED_BEFORE = "interrupted-before", "its Job was interrupted as often as its policy lets it be"
    FALLBACK = "fallback", "its class has no room; another class stands in for it"
    AUDIT = "audit", "audit mode: decided and reported, nothing changed"
    OWNER_UNKNOWN = "owner-unknown", "its owner is not known yet; held on-demand"
    POLICY_INVALID = "policy-invalid", "its policy is invalid; held on-demand"
    WRITTEN = "written", "its capacity class is written on it"

    # Before any scheduler sees a pod
    GATED = "gated", "it waits for its capacity class to be written on it"
    GATED_BY_OTHERS = "gated-by-others", "it waits for others to take their scheduling gates away"
    NO_CLASS_LABEL = "no-class-label", "no label tells nodes of its class from others"

    # How classes are enforced
    ENFORCED_BY_POLICY = "enforced-by-policy", "the policy says so"
    NO_WEBHOOK = "no-webhook", "no webhook of Spotmix gates pods"
    AUTOSCALER_SEEN = "autoscaler-seen", "an autoscaler serves the cluster, and none asks extenders"
    SCHEDULER_ASKS = "scheduler-asks", "the scheduler asks the extender"
    SCHEDULER_NAMED = "scheduler-named", "the scheduler is said to ask the extender, and has had no pod yet"
    SCHEDULER_SILENT = "scheduler-silent", "the scheduler binds pods without asking the extender"
    SCHEDULER_UNKNOWN = "scheduler-unknown", "the scheduler has not asked the extender yet"

    # Rejected by filter
    WAIT_CLASS = "wait-class", "spotmix: waits for a node of its capacity class"
    WAIT_FALLBACK = "wait-fallback", "spotmix: waits for its capacity class before it falls back"
    WAIT_SAMPLE = "wait-sample", "spotmix: a node of its capacity class exists but was not offered"
    WAIT_NOMINATED = "wait-nominated", "spotmix: the nominated node is not of its capacity class"
    POOL_FULL = "pool-full", "spotmix: every pool holds its most replicas of this workload"
    LIMIT_REACHED = "limit-reached", "spotmix: its namespace holds as much of its capacity class as a limit allows"

    # Errors
    NOT_SYNCED = "not-synced", "spotmix: cluster state is not synced yet"
    NOT_LEADER = "not-leader", "spotmix: this replica is not the leader"
    TAKING_OVER = "taking-over", "spotmix: this replica is the leader and not ready to decide yet"
    NOT_WATCHED = "not-watched", "spotmix: the API server cannot be watched now"

    # Moves of the drift loop
    SURPLUS = "surplus", "its workload has more pods of this class than seats"
    INTERRUPTED = "interrupted", "its spot node is about to be taken away"

    # Why a surplus pod stays: the loop as a whole
    STALE = "stale", "what is known of the cluster may be out of date"
    MEMORY = "memory", "what is remembered of earlier moves cannot be read"
    NODES_NOT_READY = "nodes-not-ready", "too many nodes are not ready"
    CLUSTER_BUDGET = "cluster-budget", "as many moves are in flight in the cluster as may be"

    # .. its workload
    POLICY_FAULT = "policy-fault", "its policy is invalid; nothing is moved until it is put right"
    NO_SEAT = "no-seat", "no other class has a seat to fill: the workload has more pods than it wants, or awaits some"
    SINGLETON = "singleton", "its workload has one replica"
    RUNS_TO_COMPLETION = "runs-to-completion", "it would lose the work it has done"
    SIZE_UNKNOWN = "size-unknown", "how many replicas its workload wants is not known"
    ROLLOUT = "rollout", "a rollout of its workload is in progress"
    UNAVAILABLE = "unavailable", "as many pods of its workload are unavailable as may be"
    HELD_UP = "held-up", "a pod of its workload should have ended a minute ago, and holds the budget until it does"
    IN_FLIGHT = "in-flight", "as many moves of its workload are in flight as may be"
    WINDOW = "window", "it is outside of the workload's disruption schedule"
    HOURLY_BUDGET = "hourly-budget", "its workload has had its moves of this hour"
    BACK_OFF = "back-off", "the last such move of its workload was in vain"
    CIRCUIT_OPEN = "circuit-open", "several moves of its workload were in vain; the loop has given up"

    FAULT = "fault", "Spotmix met a fault of its own with this workload, and leaves it alone"

    # .. the pod itself
    YOUNG = "young", "it is too young"
    PENDING = "pending", "it is not running yet, and no budget would protect it"
    PROTECTED = "protected", "an annotation forbids to move it"
    PROTECTION_MALFORMED = "protection-malformed", "an annotation that may forbid to move it cannot be read"
    DRAINED = "drained", "another actor drains its node"
    NODE_NOT_READY = "node-not-ready", "its node is not ready, so that it could not end there"

    # .. its budgets
    BUDGET = "budget", "its PodDisruptionBudget allows no disruption now"
    BUDGET_STALE = "budget-stale", "the status of its PodDisruptionBudget is out of date"
    BUDGETS = "budgets", "more than one PodDisruptionBudget covers it, so the API refuses every eviction"

    # .. there is nowhere to go
    UNMODELLED = "unmodelled", "where its replacement could run depends on more than is counted"
    NO_NODE = "no-node", "there is no node of the class it should be on"
    DWELL = "dwell", "the nodes that would take it have not been back for long enough"
    NOT_ADMITTED = "not-admitted", "taints, node selector or node affinity keep it off every node of the class"
    NO_ROOM = "no-room", "no node of the class has room for it"
    VOLUME = "volume", "its volumes cannot be used on any node of the class that has room"
    HOST_PORT = "host-port", "its host ports are taken on every node of the class that has room"
    AFFINITY = "affinity", "pod affinity or anti-affinity keeps it off every node of the class that has room"
    SPREAD = "spread", "its topology spread constraints keep it off every node of the class that has room"
    STAY_POOL_FULL = "pool-cap", "every pool with room holds its most replicas of this workload"
    STAY_LIMIT_REACHED = "class-limit", "its namespace holds as much as a limit allows of the class it should be on"
    LATER = "later", "no node was found among those looked at this time; the others follow"
    AWAITS_NODE = "awaits-node", "a placeholder asks the autoscaler for a node of the class it should be on"
    PLACEHOLDER_REFUSED = "placeholder-refused", "no node of the class it should be on was brought for its placeholder"
    PLACEHOLDER_DENIED = "placeholder-denied", "the API server lets no placeholder be made for it"

    # What became of a move
    MOVED = "moved", "its replacement is ready and of the class that was wanted"
    LANDED_WRONG = "landed-wrong", "its replacement is ready, but not of the class that was wanted"
    NO_REPLACEMENT = "no-replacement", "its replacement did not become ready in time"
    NOT_REPLACED = "not-replaced", "its workload wants fewer replicas now"
    REFUSED = "refused", "the API server refused the eviction"
    CHANGED = "changed", "the pod had changed or was gone when its turn came"
    STUCK = "stuck", "it is still there a minute after its grace period ended"

    # What a node is to a pod
    FITS = "fits", "the pod may go there"
    OTHER_CLASS = "other-class", "another capacity class than that of the pod's seat"
    GOING_AWAY = "going-away", "about to go away"
    CORDONED = "cordoned", "cordoned"
    TAINTED = "tainted", "a taint that the pod does not tolerate"
    NOT_SELECTED = "not-selected", "not what the pod's node selector or node affinity asks for"
    FULL = "full", "no room for what the pod requests"
    NO_VOLUME = "no-volume", "the pod's volumes cannot be used there"
    PORT_TAKEN = "port-taken", "a host port of the pod is taken"
    NOT_BESIDE = "not-beside", "pod affinity or anti-affinity"
    SKEWED = "skewed", "the pod's topology spread constraints"
    NODE_POOL_FULL = "pool-at-cap", "a pool that holds its most replicas of the workload"
    OTHER_POOL = "other-pool", "another pool holds fewer replicas of the workload"

    # Why a pod or workload is not managed
    NO_CONTROLLER = "no-controller", "no object controls it"
    NEVER_MANAGED = "never-managed", "pods of its kind of owner are bound to their nodes"
    PROTECTED_NAMESPACE = "protected-namespace", "pods of its namespace always pass, so that a cluster can boot"
    OUTSIDE_NAMESPACES = "outside-namespaces", "its namespace is none of those that are managed"
    OWNER_UNREADABLE = "owner-unreadable", "objects of its owner's kind cannot be read"
    OPTED_OUT = "opted-out", "a label says that it is not to be managed"
    NOT_OPTED_IN = "not-opted-in", "neither it nor its Namespace has the label that opts in, and no policy selects it"


PASSES = (
    Reason.UNMANAGED,
    Reason.SEAT,
    Reason.ORDINAL,
    Reason.RUN,
    Reason.INTERRUPTED_BEFORE,
    Reason.FALLBACK,
    Reason.AUDIT,
    Reason.OWNER_UNKNOWN,
    Reason.POLICY_INVALID,
    Reason.WRITTEN,
)
"""Reasons with which filter lets a pod pass."""

GIVES_A_CLASS = frozenset(PASSES) - {Reason.UNMANAGED, Reason.AUDIT, Reason.WRITTEN}
"""Of `PASSES`, the reasons with which a pod is given nodes of a class."""

GATES = (Reason.GATED, Reason.GATED_BY_OTHERS, Reason.NO_CLASS_LABEL)
"""Reasons for which no scheduler sees a pod yet, and one for which it was let go without a class."""

OF_ENFORCEMENT = (
    Reason.ENFORCED_BY_POLICY,
    Reason.NO_WEBHOOK,
    Reason.AUTOSCALER_SEEN,
    Reason.SCHEDULER_ASKS,
    Reason.SCHEDULER_NAMED,
    Reason.SCHEDULER_SILENT,
    Reason.SCHEDULER_UNKNOWN,
)
"""Why classes are enforced by the extender, or by what is written on pods."""

REJECTS = (
    Reason.WAIT_CLASS,
    Reason.WAIT_FALLBACK,
    Reason.WAIT_SAMPLE,
    Reason.WAIT_NOMINATED,
    Reason.POOL_FULL,
    Reason.LIMIT_REACHED,
)
"""Reasons with which filter rejects a pod."""

OBSTACLES = (Reason.NOT_SYNCED, Reason.NOT_LEADER, Reason.TAKING_OVER, Reason.NOT_WATCHED)
"""Reasons for which nothing is decided."""

OF_DECISIONS = (*PASSES, *REJECTS, *OBSTACLES)
"""Reasons of the extender's decisions."""

OF_MOVES = (Reason.SURPLUS, Reason.INTERRUPTED)
"""Reasons for which the drift loop moves a pod."""

OF_PAUSES = (Reason.STALE, Reason.MEMORY, Reason.NODES_NOT_READY)
"""Reasons for which no pod at all is moved."""

NO_DESTINATION = (
    Reason.UNMODELLED,
    Reason.NO_NODE,
    Reason.DWELL,
    Reason.NOT_ADMITTED,
    Reason.NO_ROOM,
    Reason.VOLUME,
    Reason.HOST_PORT,
    Reason.AFFINITY,
    Reason.SPREAD,
    Reason.STAY_POOL_FULL,
    Reason.STAY_LIMIT_REACHED,
    Reason.LATER,
    Reason.AWAITS_NODE,
    Reason.PLACEHOLDER_REFUSED,
    Reason.PLACEHOLDER_DENIED,
)
"""Reasons for which there is no node that a pod could be moved to."""

OF_STAYS = (
    *OF_PAUSES,
    Reason.CLUSTER_BUDGET,
    # its workload
    Reason.POLICY_FAULT,
    Reason.NO_SEAT,
    Reason.SINGLETON,
    Reason.RUNS_TO_COMPLETION,
    Reason.SIZE_UNKNOWN,
    Reason.ROLLOUT,
    Reason.UNAVAILABLE,
    Reason.HELD_UP,
    Reason.IN_FLIGHT,
    Reason.WINDOW,
    Reason.HOURLY_BUDGET,
    Reason.BACK_OFF,
    Reason.CIRCUIT_OPEN,
    Reason.FAULT,
    # the pod itself
    Reason.YOUNG,
    Reason.PENDING,
    Reason.PROTECTED,
    Reason.PROTECTION_MALFORMED,
    Reason.DRAINED,
    Reason.NODE_NOT_READY,
    # its budgets
    Reason.BUDGET,
    Reason.BUDGET_STALE,
    Reason.BUDGETS,
    *NO_DESTINATION,
)
"""Reasons for which a surplus pod stays."""

OF_RESULTS = (
    Reason.MOVED,
    Reason.LANDED_WRONG,
    Reason.NO_REPLACEMENT,
    Reason.NOT_REPLACED,
    Reason.REFUSED,
    Reason.CHANGED,
    Reason.STUCK,
)
"""What became of a move."""

OF_NODES = (
    Reason.FITS,
    Reason.OTHER_CLASS,
    Reason.GOING_AWAY,
    Reason.CORDONED,
    Reason.TAINTED,
    Reason.NOT_SELECTED,
    Reason.FULL,
    Reason.NO_VOLUME,
    Reason.PORT_TAKEN,
    Reason.NOT_BESIDE,
    Reason.SKEWED,
    Reason.NODE_POOL_FULL,
    Reason.OTHER_POOL,
    Reason.WAIT_FALLBACK,
    Reason.LIMIT_REACHED,
)
"""What a node is to a pod."""

OF_UNMANAGED = (
    Reason.NO_CONTROLLER,
    Reason.NEVER_MANAGED,
    Reason.PROTECTED_NAMESPACE,
    Reason.OUTSIDE_NAMESPACES,
    Reason.OWNER_UNREADABLE,
    Reason.OPTED_OUT,
    Reason.NOT_OPTED_IN,
)
"""Reasons for which a pod or workload is not managed."""


class Refusal(Struct, frozen=True, gc=False):
    """Why a pod is not moved; `detail` names the object that is in the way, if one is."""

    reason: Reason
    detail: str = ""
