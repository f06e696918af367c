"""Every metric there is: name, type, help text, labels. docs/reference/metrics.md is made of this.

Names follow Prometheus' conventions: base units, the unit last, `_total` for what only rises. No label holds the name
of a pod or a node, or a text of an error.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Kind = Literal["counter", "gauge", "histogram"]
WORKLOAD = ("kind", "namespace", "workload")
POOL = ("instance_type", "zone")


class Family(Struct, frozen=True):
    """One metric. `name` is as it is exposed, that of a histogram without `_bucket`, `_sum` and `_count`."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(f"spotmix_{name}_total", "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(f"spotmix_{name}", "gauge", text, labels)


# Requests

DECISIONS = _counter(
    "decisions",
    "Answers to the scheduler about a pod, by what came of it, the class given (of a pod that has to wait: the class it"
    " waits for) and the reason",
    *("verb", "outcome", "capacity_class", "reason"),
)
REQUEST_DURATION = Family(
    "spotmix_request_duration_seconds",
    "histogram",
    "Time to answer a request of a scheduler, or a review of the API server",
    ("verb",),
)
REQUEST_ERRORS = _counter("request_errors", "Requests answered with an error", "verb")
ADMISSIONS = _counter(
    "admissions", "Objects that the API server asked about, by what became of them", "verb", "outcome"
)
WAKES = _counter("wakes", "Patches that make the scheduler try a pod again", "how")
PODS_WAITING = _gauge("pods_waiting", "Pods that filter rejected and that wait", "reason")
PODS_GATED = _gauge("pods_gated", "Pods with our scheduling gate, by whose gate has to go next", "by")
GATED_LONGEST = _gauge(
    "pods_gated_longest_seconds",
    "For how long the pod has waited for Spotmix to take its gate away that waits longest; 0 where none does",
)
PODS_REPLACED = _counter(
    "pods_replaced",
    "Pods that never had a node and were deleted, since their class could not be had, by that class and why: the"
    " autoscaler refused it, it was closed by a refusal of others, or they had waited for as long as their policy says",
    *("capacity_class", "cause"),
)
CLASSES_CLOSED = _gauge(
    "classes_closed", "Needs for which a class is closed, since an autoscaler refused it", "capacity_class"
)
LIMIT_MOST = _gauge(
    "limit",
    "What each namespace that a policy selects may hold of a class, in cores, bytes or numbers; the first 500 limits",
    *("policy", "capacity_class", "resource"),
)
LIMIT_USED = _gauge(
    "limit_used_most",
    "What the namespace holds of it that holds most",
    *("policy", "capacity_class", "resource"),
)
LIMIT_REACHED = _gauge(
    "limit_reached_namespaces",
    "Namespaces that hold all of it, or where pods wait until there is more",
    *("policy", "capacity_class", "resource"),
)
GATE_DURATION = Family(
    "spotmix_gate_duration_seconds",
    "histogram",
    "For how long pods waited for Spotmix to take its scheduling gate away, by the class written; none where none was",
    ("capacity_class",),
)
PLACING_DURATION = Family(
    "spotmix_placing_duration_seconds",
    "histogram",
    "From the creation of a managed pod, which is known to the second, until it had a node: by the class of the node, "
    "and why the pod waited last; seat is one that had a node of its class at once",
    ("capacity_class", "reason"),
)
RELEASE_DURATION = Family(
    "spotmix_release_duration_seconds",
    "histogram",
    "Spotmix's own part of that: from the watch event that showed a pod with no other gate until the patch that takes "
    "the gate away was sent",
    (),
)
ENFORCEMENT = _gauge(
    "enforcement",
    "Always 1; tells how classes are enforced where a workload says nothing of it, by scheduler where that matters",
    *("scheduler", "enforcement", "reason"),
)
DELETION_COSTS = _counter(
    "deletion_costs",
    "Deletion costs sent, by what became of them; foreign is one that somebody else set, and that stays",
    "outcome",
)
CONNECTIONS = _gauge("connections", "Open connections of clients", "port")
CONNECTIONS_ENDED = _counter(
    "connections_ended", "Connections of clients that a limit has ended or refused", "port", "why"
)
RESERVATIONS = _gauge("reservations", "Seats held for pods that have not been seen bound", "capacity_class")
PROVISIONAL = _gauge(
    "provisional_reservations",
    "Seats held for pods that the API server has not reported; many of them were asked for by no scheduler",
)

# The API

API_REQUESTS = _counter("api_requests", "Calls of the gRPC API that have ended, by their status", "rpc", "code")
API_REQUEST_DURATION = Family(
    "spotmix_api_request_duration_seconds",
    "histogram",
    "Time to answer a call of the gRPC API, the wait for its turn included",
    ("rpc",),
)
API_REFUSED = _counter(
    "api_refused",
    "Calls of the gRPC API refused because as many such calls were running as may be",
    *("calls", "limit"),
)
API_WATCHES = _gauge("api_watches", "Callers that follow decisions by the gRPC API")

# Requests to the API server

APISERVER_REQUESTS = _counter(
    "apiserver_requests", "Requests of Spotmix to the API server, by its answer", "verb", "resource", "code"
)
APISERVER_DURATION = Family(
    "spotmix_apiserver_request_duration_seconds",
    "histogram",
    "Time until the API server began to answer a request of Spotmix",
    ("verb", "resource"),
)

# Workloads in all

WORKLOADS = _gauge("workloads", "Workloads under a policy that have replicas or want some", "mode")
OFF_TARGET = _gauge("workloads_off_target", "Workloads with a pod of the wrong class", "mode")
WORKLOADS_BELOW_FLOOR = _gauge("workloads_below_floor", "Workloads short of a floor", "mode")
INVALID = _gauge("workloads_invalid", "Workloads with a policy that is wrong")
UNLISTED = _gauge(
    "workloads_unlisted", "Workloads without series of their own, because `metrics.workloadSeries` allows no more"
)
REPLICAS_WANTED = _gauge("replicas_wanted", "Replicas that policies ask for", "mode", "capacity_class")
REPLICAS_ACTUAL = _gauge(
    "replicas_actual", "Replicas that hold a seat, by class of their node", "mode", "capacity_class"
)
REPLICAS_SURPLUS = _gauge("replicas_surplus", "The drift: pods beyond the seats of their class", "mode")
REPLICAS_MISSING = _gauge("replicas_missing", "Replicas wanted that hold no seat yet, or no more", "mode")
REPLICAS_BELOW_FLOOR = _gauge("replicas_below_floor", "Replicas of a class missing to its floors", "mode")

# Workload by workload

WORKLOAD_INFO = _gauge(
    "workload_info", "Always 1; tells how the policy is applied", *WORKLOAD, "mode", "when_unsatisfiable"
)
WORKLOAD_WANTED = _gauge("workload_replicas_wanted", "Replicas that the policy asks for", *WORKLOAD, "capacity_class")
WORKLOAD_ACTUAL = _gauge(
    "workload_replicas_actual", "Replicas that hold a seat, by their node's class", *WORKLOAD, "capacity_class"
)
WORKLOAD_SURPLUS = _gauge("workload_replicas_surplus", "The drift: pods beyond the seats of their class", *WORKLOAD)
WORKLOAD_MISSING = _gauge("workload_replicas_missing", "Replicas wanted that hold no seat yet, or no more", *WORKLOAD)
WORKLOAD_BELOW_FLOOR = _gauge("workload_replicas_below_floor", "Replicas of a class missing to its floor", *WORKLOAD)
POLICY_INVALID = _gauge(
    "policy_invalid", "1 for each annotation, label or policy field that is wrong", *WORKLOAD, "key"
)

WORKLOAD_FAULTS = _counter(
    "workload_faults", "Faults of Spotmix itself that one workload met, and that cost no other anything", "step"
)

# Nodes

PODS = _gauge("pods", "Pods known")
NODES = _gauge("nodes", "Nodes known", "capacity_class")
NODES_DOUBTFUL = _gauge(
    "nodes_doubtful",
    "Nodes that look like spot and no rule knows, whose marks contradict each other, or whose class label is not known",
)
NODES_UNNAMED = _gauge("nodes_unnamed", "Nodes of a class that no policy names: no managed replica is placed on them")
ALLOCATABLE_CPU = _gauge("nodes_allocatable_cpu_cores", "CPU that nodes offer", "capacity_class")
REQUESTED_CPU = _gauge("nodes_requested_cpu_cores", "CPU that pods on nodes ask for", "capacity_class")
ALLOCATABLE_MEMORY = _gauge("nodes_allocatable_memory_bytes", "Memory that nodes offer", "capacity_class")
REQUESTED_MEMORY = _gauge("nodes_requested_memory_bytes", "Memory that pods on nodes ask for", "capacity_class")
POOL_NODES = _gauge("pool_nodes", "Nodes of a pool", "capacity_class", *POOL)
POOL_GOING_AWAY = _gauge("pool_nodes_going_away", "Nodes of a pool that are going away", "capacity_class", *POOL)
POOL_INTERRUPTIONS = _counter("pool_interruptions", "Spot nodes that a platform took away or was about to", *POOL)

# The drift loop

DRIFT_MOVES = _counter(
    "drift_moves",
    "Steps of moves: started or refused, and how those that were started ended; dry runs are moves of nothing",
    *("result", "reason", "mode"),
)
DRIFT_EVICTIONS = _counter("drift_evictions", "Answers of the API server to evictions", "outcome", "mode")
DRIFT_STAYING = _gauge("drift_staying_replicas", "Surplus pods that are not moved now, by why", "reason")
DRIFT_IN_FLIGHT = _gauge(
    "drift_in_flight", "Moves whose pod has not ended, or whose replacement is not Ready, or not judged yet"
)
DRIFT_STUCK = _gauge("drift_stuck", "Moves whose pod should have ended a minute ago")
DRIFT_CIRCUITS_OPEN = _gauge("drift_circuits_open", "Workloads given up on after moves in vain")
DRIFT_CIRCUITS_OPENED = _counter("drift_circuits_opened", "Times that a workload was given up on after moves in vain")
DRIFT_UNREADABLE = _gauge(
    "drift_unreadable_histories", "Workloads left alone because what is stored of them does not decode"
)
DRIFT_PAUSED = _gauge("drift_paused", "1 while nothing is moved at all, by why", "reason")
DRIFT_CYCLE_FAULTS = _counter("drift_cycle_faults", "Cycles that ended with a fault of our own")
PLACEHOLDERS = _gauge("placeholders", "Placeholders that there are, by whether they run yet", "state")
PLACEHOLDERS_ENDED = _counter(
    "placeholders_ended", "Placeholders that are no more, by what became of them", "capacity_class", "outcome"
)
PLACEHOLDER_SECONDS = _counter(
    "placeholder_seconds", "Time for which placeholders that are no more were there", "capacity_class"
)
DRIFT_PLAN_DURATION = Family(
    "spotmix_drift_plan_duration_seconds",
    "histogram",
    "Time to plan for one slice of the workloads; nothing else runs meanwhile",
)
DRIFT_CYCLE_DURATION = Family(
    "spotmix_drift_cycle_duration_seconds",
    "histogram",
    "Time to look at all workloads that are due, with other work in between",
)

# The caches and the API

CACHE_SYNCED = _gauge("cache_synced", "1 when the resource has been listed", "resource")
CACHE_STALENESS = _gauge("cache_staleness_seconds", "Time since the resource was last heard of", "resource")
CACHE_FAILURES = _counter("cache_failures", "Failed lists and watches", "resource")
CACHE_RELISTS = _counter("cache_relists", "Lists after the first one", "resource")
CACHE_REWATCHES = _counter(
    "cache_watch_restarts", "Watches after the first one; the API server ends each after 5 to 10 minutes", "resource"
)
CACHE_EVENTS = _counter("cache_events", "Objects taken from lists and watches", "resource")
CACHE_UNDECODABLE = _counter("cache_undecodable", "Objects that did not decode", "resource")
API_FAULTS = _counter("api_faults", "Faults in talking to the Kubernetes API", "source")
EVENTS = _counter("events", "Events about pods and workloads, by what became of them", "outcome")

# The process

LEADER = _gauge("leader", "1 while this replica holds the Lease, or needs none")
CERTIFICATE_EXPIRY = _gauge(
    "certificate_expiry_timestamp_seconds", "When a serving certificate ends, in seconds since the epoch", "certificate"
)
LOOP_HELD_UP = _gauge(
    "event_loop_longest_step_seconds",
    "The longest time of the last minute for which one step of work held up all others, the scheduler's requests too",
)
CONFIG_RELOADS = _counter(
    "config_reloads", "Changes of the configuration while the process runs, by what became of them", "outcome"
)
CONFIG_SUCCESSFUL = _gauge(
    "config_last_reload_successful", "0 while the configuration as it is written is wrong, and an older one in force"
)
CONFIG_SUCCEEDED = _gauge(
    "config_last_reload_success_timestamp_seconds",
    "When a right configuration was last read, in seconds since the epoch",
)
CONFIG_RESTART = _gauge(
    "config_restart_required", "1 of each setting whose change waits for a restart of this process", "setting"
)
BUILD_INFO = _gauge("build_info", "Always 1; tells what runs", "version", "python_version")

GROUPS: tuple[tuple[str, tuple[Family, ...]], ...] = (
    (
        "Requests",
        (
            *(DECISIONS, REQUEST_DURATION, REQUEST_ERRORS, ADMISSIONS, WAKES, PODS_WAITING, PODS_GATED),
            *(GATED_LONGEST, GATE_DURATION, RELEASE_DURATION, PLACING_DURATION, PODS_REPLACED, CLASSES_CLOSED),
            *(LIMIT_MOST, LIMIT_USED, LIMIT_REACHED),
            *(RESERVATIONS, PROVISIONAL, ENFORCEMENT, DELETION_COSTS, CONNECTIONS, CONNECTIONS_ENDED),
        ),
    ),
    (
        "Workloads in all",
        (
            WORKLOADS,
            OFF_TARGET,
            WORKLOADS_BELOW_FLOOR,
            INVALID,
            UNLISTED,
            REPLICAS_WANTED,
            REPLICAS_ACTUAL,
            REPLICAS_SURPLUS,
            REPLICAS_MISSING,
            REPLICAS_BELOW_FLOOR,
        ),
    ),
    (
        "Workload by workload",
        (
            WORKLOAD_INFO,
            WORKLOAD_WANTED,
            WORKLOAD_ACTUAL,
            WORKLOAD_SURPLUS,
            WORKLOAD_MISSING,
            WORKLOAD_BELOW_FLOOR,
            POLICY_INVALID,
            WORKLOAD_FAULTS,
        ),
    ),
    (
        "Nodes",
        (
            PODS,
            NODES,
            NODES_DOUBTFUL,
            NODES_UNNAMED,
            ALLOCATABLE_CPU,
            REQUESTED_CPU,
            ALLOCATABLE_MEMORY,
            REQUESTED_MEMORY,
            POOL_NODES,
            POOL_GOING_AWAY,
            POOL_INTERRUPTIONS,
        ),
    ),
    (
        "The drift loop",
        (
            DRIFT_MOVES,
            DRIFT_EVICTIONS,
            DRIFT_STAYING,
            DRIFT_IN_FLIGHT,
            DRIFT_STUCK,
            DRIFT_CIRCUITS_OPEN,
            DRIFT_CIRCUITS_OPENED,
            DRIFT_UNREADABLE,
            DRIFT_PAUSED,
            DRIFT_CYCLE_FAULTS,
            PLACEHOLDERS,
            PLACEHOLDERS_ENDED,
            PLACEHOLDER_SECONDS,
            DRIFT_PLAN_DURATION,
            DRIFT_CYCLE_DURATION,
        ),
    ),
    (
        "Caches and API",
        (
            CACHE_SYNCED,
            CACHE_STALENESS,
            CACHE_FAILURES,
            CACHE_RELISTS,
            CACHE_REWATCHES,
            CACHE_EVENTS,
            CACHE_UNDECODABLE,
            API_FAULTS,
            EVENTS,
        ),
    ),
    ("The API", (API_REQUESTS, API_REQUEST_DURATION, API_REFUSED, API_WATCHES)),
    ("Requests to the API server", (APISERVER_REQUESTS, APISERVER_DURATION)),
    ("The process", (LEADER, LOOP_HELD_UP, CERTIFICATE_EXPIRY, BUILD_INFO)),
    ("The configuration", (CONFIG_RELOADS, CONFIG_SUCCESSFUL, CONFIG_SUCCEEDED, CONFIG_RESTART)),
)

FAMILIES: tuple[Family, ...] = tuple(family for _, families in GROUPS for family in families)

LABELS: Mapping[str, str] = {
    "calls": "`call`, `watch` (of decisions), `stranger` (it is not known yet who calls), `health`, "
    "`health-watch`, `reflection` or `expander` (of cluster-autoscaler)",
    "limit": "whose limit was reached: `caller`, that of one caller, or `all`",
    "by": "`spotmix`, or `others` whose gates come first",
    "capacity_class": "`spot`, `on-demand`, and further classes of the rules in `classes`; empty where none was given,"
    " of gates `none`",
    "cause": "`refused` (by the autoscaler), `closed` (refused to others), `timeout`",
    "certificate": "what serves it: `api`, `expander`, `extender`, `metrics` (also of the console), `webhook`",
    "code": "a status of gRPC, such as `OK`, `NOT_FOUND`; `CANCELLED` also where a deadline has passed; of the API"
    " server that of HTTP, `0` where it was not reached",
    "enforcement": "`extender` (it keeps the class), `affinity` (the class is written on the pod)",
    "how": "`annotate` (an annotation on the pod), `nominate` (a nominated node)",
    "instance_type": "of the nodes of a pool, by `node.kubernetes.io/instance-type`",
    "key": "the annotation, label or policy field that is wrong",
    "kind": "of the workload, such as `Deployment`",
    "mode": "of a workload `enforce`, or `audit` where it is only reported of; of moves `enforce`, `dry_run`",
    "namespace": "of the workload",
    "outcome": "of a decision: `passed`, `rejected`, `scored` (nodes of a class preferred), `refused` (nothing may be"
    " decided now); of an object at the webhook: `mutated`, `unchanged`, `warned`, `denied`, `failed`; of a deletion"
    " cost: `written`, `removed`, `foreign`, `gone`; of an eviction: `evicted`, `gone`, `changed`, `budget` (it allows"
    " none), `later` (the server said when), `budgets` (more than one), `forbidden`, `failed`, `unanswered`; of an"
    " Event: `posted`, `repeated` (written into the first of a series), `dropped` (too many, or refused); of a changed"
    " configuration: `applied`, `unchanged`, `restart` (some of it needs one, the rest counts), `invalid` (nothing of"
    " it counts)",
    "policy": "the name of a ClusterPlacementPolicy",
    "port": "`extender`, `webhook`, `metrics` (health, metrics and the console)",
    "python_version": "of the interpreter",
    "reason": "one of the [reasons](#reasons)",
    "scheduler": "by its name; empty where it makes no difference",
    "resource": "what is followed or asked for, such as `pods`, `replicasets.apps` or `pods/eviction`; `none` of"
    " requests for no object, such as discovery; of a limit what pods request, such as `cpu`, or `pods`",
    "result": "`started`, `would-move` (dry run), `blocked` (by a budget), `refused`, `changed`, `unanswered`; then"
    " `moved`, `landed-wrong`, `no-replacement`, `not-replaced`, `stuck`",
    "rpc": "`ListWorkloads`, `GetWorkload`, `ExplainPod`, `PlanDrift`, `Simulate`, `WatchDecisions`; `BestOptions` of"
    " cluster-autoscaler's expander",
    "setting": "by its key in the file, such as `metrics.addr`",
    "source": "a resource that is followed, or `certificates`, `drift`, `event loop`, `events`, `expander`,"
    " `leadership`, `lease`, `own pod`, `patches`",
    "state": "of a placeholder: `running`, or `asked` for",
    "step": "what was being done: `decision`, `plan`, `costs`, `policy`, `count`, `answer`",
    "verb": "`filter`, `prioritize`; of the webhook `mutate-pods`, `mutate-scheduler-configs`, `validate-workloads`;"
    " of requests to the API server `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`",
    "version": "of Spotmix",
    "when_unsatisfiable": "`fallback`, `any`, `wait`",
    "why": "`full` (as many as may be, this one did least), `headers` or `body` (not complete in time, or too much of"
    " them), `memory` (bodies that arrive take too much together), `stalled` (its client takes no answer), `idle` (kept"
    " and not used)",
    "workload": "its name",
    "zone": "of the nodes of a pool, by `topology.kubernetes.io/zone`",
}
"""What the values of each label are, in Markdown."""
