"""How the cluster stands: the ratio, who is off it, what spot storms did, what it saves, what is moved."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row, TextBoxVariable

from extender.telemetry import catalogue as m
from monitoring.panels import dashboard, graph, number, table
from monitoring.promql import RANGE, SERVICE, WORKLOAD, grown, most, quantile, rate, total

SPOT, ON_DEMAND = 'capacity_class="spot"', 'capacity_class="on-demand"'
ENFORCED = 'mode="enforce"'
BAD = ((None, "green"), (1, "red"))
ODD = ((None, "green"), (1, "orange"))
WORKLOAD_PAGE = (
    "/d/spotmix-workload?var-datasource=${datasource}&var-cluster=${cluster}&var-job=${job}"
    "&var-namespace=${__data.fields.namespace}&var-workload=${__data.fields.workload}"
)
CLASS = ("capacity_class",)
POOL = ("instance_type", "zone")
PRICE = "(1 - $spot_price / 100)"


def _share(family: m.Family) -> str:
    """Spot replicas by all, of workloads whose policy is enforced."""
    return f"{total(family, ENFORCED, SPOT)} / ({total(family, ENFORCED, each=CLASS)} > 0)"


def _beyond() -> str:
    """On-demand replicas beyond what policies ask for: they stand in for spot."""
    actual, wanted = (total(f, ENFORCED, ON_DEMAND) for f in (m.REPLICAS_ACTUAL, m.REPLICAS_WANTED))
    return f"clamp_min({actual} - {wanted}, 0)"


def _saving() -> str:
    cores = m.ALLOCATABLE_CPU
    return f"{most(cores, SPOT)} / ({total(cores, each=CLASS)} > 0) * {PRICE}"


def _interruptions(window: str) -> str:
    """Every replica sees each of them."""
    return f"max by (instance_type, zone) (increase({m.POOL_INTERRUPTIONS.name}{{{SERVICE}}}[{window}]))"


def overview() -> Dashboard:
    """The dashboard."""
    text = "Wanted against actual split of all workloads, spot storms and their cost, moves and what blocks them"
    board = dashboard("spotmix-overview", "Spotmix / Overview", text).with_variable(
        TextBoxVariable("spot_price").label("Spot price, % of on-demand").default_value("35")
    )
    for section in (_now, _split, _gates, _storms, _cost, _moves):
        board = section(board)
    return board


def _now(board: Dashboard) -> Dashboard:
    return (
        board.with_row(Row("Now"))
        .with_panel(
            number(
                "Spot share",
                "Replicas on spot nodes by all replicas of workloads whose policy is enforced, and as policies ask",
                {"actual": _share(m.REPLICAS_ACTUAL), "wanted": _share(m.REPLICAS_WANTED)},
                unit="percentunit",
                width=6,
                decimals=1,
            )
        )
        .with_panel(
            number(
                "Workloads off target",
                "Workloads with a pod of the wrong class, and all workloads under a policy",
                {"off target": total(m.OFF_TARGET, each=("mode",)), "of": total(m.WORKLOADS, each=("mode",))},
                width=5,
            )
        )
        .with_panel(
            number(
                "On-demand floor breaches",
                "Workloads with fewer on-demand replicas than their floor",
                {"": total(m.WORKLOADS_BELOW_FLOOR, each=("mode",))},
                width=3,
                limits=BAD,
            )
        )
        .with_panel(
            number(
                "Pods waiting",
                "Pods that filter rejected and that wait for their class",
                {"": total(m.PODS_WAITING, each=("reason",))},
                width=3,
                limits=ODD,
            )
        )
        .with_panel(
            number(
                "Wrong policies",
                "Workloads with an annotation or label that is wrong",
                {"": most(m.INVALID)},
                width=3,
                limits=ODD,
            )
        )
        .with_panel(
            number(
                "Estimated saving",
                "Against the same nodes all on-demand: spot's share of the nodes' CPU, times what spot is cheaper by",
                {"": _saving()},
                unit="percentunit",
                decimals=1,
            )
        )
    )


def _split(board: Dashboard) -> Dashboard:
    by_class = most(m.REPLICAS_ACTUAL, ENFORCED, by=CLASS)
    off = f"({most(m.WORKLOAD_SURPLUS, by=WORKLOAD)} > 0 or {most(m.WORKLOAD_BELOW_FLOOR, by=WORKLOAD)} > 0)"
    columns = {
        "surplus": most(m.WORKLOAD_SURPLUS, by=WORKLOAD),
        "missing": most(m.WORKLOAD_MISSING, by=WORKLOAD),
        "below floor": most(m.WORKLOAD_BELOW_FLOOR, by=WORKLOAD),
        "spot wanted": most(m.WORKLOAD_WANTED, SPOT, by=WORKLOAD),
        "spot actual": most(m.WORKLOAD_ACTUAL, SPOT, by=WORKLOAD),
        "on-demand wanted": most(m.WORKLOAD_WANTED, ON_DEMAND, by=WORKLOAD),
        "on-demand actual": most(m.WORKLOAD_ACTUAL, ON_DEMAND, by=WORKLOAD),
    }
    return (
        board.with_row(Row("Wanted against actual"))
        .with_panel(
            graph(
                "Spot share",
                "Replicas on spot nodes by all replicas, of workloads whose policy is enforced",
                {"spot actual": _share(m.REPLICAS_ACTUAL), "spot wanted": _share(m.REPLICAS_WANTED)},
                unit="percentunit",
                upper=1,
            )
        )
        .with_panel(
            graph(
                "Replicas by class",
                "Replicas that hold a seat, and (dashed) those that policies ask for",
                {
                    "{{capacity_class}}": by_class,
                    "{{capacity_class}} wanted": most(m.REPLICAS_WANTED, ENFORCED, by=CLASS),
                },
            )
        )
        .with_panel(
            graph(
                "Drift",
                "Pods beyond the seats of their class, replicas without a seat, replicas missing to floors",
                {
                    "surplus": total(m.REPLICAS_SURPLUS, each=("mode",)),
                    "missing": total(m.REPLICAS_MISSING, each=("mode",)),
                    "below floor": total(m.REPLICAS_BELOW_FLOOR, each=("mode",)),
                },
            )
        )
        .with_panel(
            graph(
                "On-demand floor breaches",
                "Replicas missing to the floor, the ten worst workloads",
                {"{{namespace}}/{{workload}}": f"topk(10, {most(m.WORKLOAD_BELOW_FLOOR, by=WORKLOAD)} > 0)"},
            )
        )
        .with_panel(
            table(
                "Workloads off target",
                "Workloads with pods of the wrong class or fewer on-demand replicas than their floor, of those that"
                " have series of their own (metrics.workloadSeries)",
                {name: f"{query} and on (kind, namespace, workload) {off}" for name, query in columns.items()},
                keys=WORKLOAD,
                link=WORKLOAD_PAGE,
            )
        )
    )


def _gates(board: Dashboard) -> Dashboard:
    """Classes that are written on pods."""
    return (
        board.with_row(Row("Classes written on pods"))
        .with_panel(
            graph(
                "Gated pods",
                "Pods with the gate of Spotmix, by whose gate has to go next",
                {"{{by}}": most(m.PODS_GATED, by=("by",))},
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Longest wait for a class",
                "For how long the pod has waited for Spotmix alone that has waited longest",
                {"longest": most(m.GATED_LONGEST)},
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Classes written",
                "Gates that were taken away, by the class that was written; without one where none could be",
                {"{{capacity_class}}": grown(m.GATE_DURATION, by=CLASS)},
                stacked=True,
                bars=True,
            )
        )
        .with_panel(
            graph(
                "Time gated",
                "For how long half of the pods, and all but one in a hundred, waited for their class",
                {
                    "half, {{capacity_class}}": quantile(0.5, m.GATE_DURATION, by=CLASS),
                    "99 %, {{capacity_class}}": quantile(0.99, m.GATE_DURATION, by=CLASS),
                },
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Time until pods have a node",
                "For how long half of the managed pods, and all but one in a hundred, waited, by why they waited last",
                {
                    "half, {{reason}}": quantile(0.5, m.PLACING_DURATION, by=("reason",)),
                    "99 %, {{reason}}": quantile(0.99, m.PLACING_DURATION, by=("reason",)),
                },
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Pods replaced, classes closed",
                "Pods that never had a node and were deleted, by class and cause; needs for which a class is closed",
                {
                    "{{capacity_class}} {{cause}}": grown(m.PODS_REPLACED, by=(*CLASS, "cause")),
                    "closed: {{capacity_class}}": most(m.CLASSES_CLOSED, by=CLASS),
                },
            )
        )
        .with_panel(
            graph(
                "Placeholders",
                "Pods of Spotmix that have an autoscaler bring a node before anything is moved to it",
                {"{{state}}": most(m.PLACEHOLDERS, by=("state",))},
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "What became of placeholders",
                "By class and outcome",
                {"{{capacity_class}} {{outcome}}": grown(m.PLACEHOLDERS_ENDED, by=("capacity_class", "outcome"))},
                stacked=True,
                bars=True,
            )
        )
    )


def _storms(board: Dashboard) -> Dashboard:
    hours = f"avg_over_time(({_beyond()})[{RANGE}:$__interval]) * $__range_s / 3600"
    fell_back = ('verb="filter"', 'reason="fallback"')
    leaving = most(m.POOL_GOING_AWAY, by=(*CLASS, *POOL))
    return (
        board.with_row(Row("Spot storms"))
        .with_panel(
            number(
                "Interruptions",
                "Spot nodes that platforms took away, or were about to, in the time shown",
                {"": f"sum({_interruptions(RANGE)})"},
                decimals=0,
                width=6,
            )
        )
        .with_panel(
            number(
                "Replicas that fell back",
                "Decisions in the time shown by which another class stood in for a pod's own",
                {"": grown(m.DECISIONS, *fell_back, window=RANGE)},
                decimals=0,
                width=6,
            )
        )
        .with_panel(
            number(
                "Replica-hours beyond wanted",
                "On-demand replicas beyond what policies ask for, added up over the time shown",
                {"": hours},
                unit="h",
                decimals=2,
                width=6,
            )
        )
        .with_panel(
            number(
                "What they cost",
                "The same, in hours of an on-demand replica: what they cost more than spot replicas would have",
                {"": f"{hours} * {PRICE}"},
                unit="h",
                decimals=2,
                width=6,
            )
        )
        .with_panel(
            graph(
                "Interruptions per pool",
                "Spot nodes that platforms took away, or were about to, by instance type and zone",
                {"{{instance_type}} {{zone}}": _interruptions("$__rate_interval")},
                stacked=True,
                bars=True,
            )
        )
        .with_panel(
            graph(
                "Nodes going away",
                "By pool, of every class",
                {"{{capacity_class}} {{instance_type}} {{zone}}": f"{leaving} > 0"},
                stacked=True,
            )
        )
        .with_panel(
            graph("Nodes", "By class, those that are going away too", {"{{capacity_class}}": most(m.NODES, by=CLASS)})
        )
        .with_panel(
            graph(
                "Fallbacks, and pods that wait",
                "Pods given another class than their own, a second; pods that wait, by reason",
                {
                    "falls back to {{capacity_class}}": rate(m.DECISIONS, *fell_back, by=CLASS),
                    "waits: {{reason}}": f"{most(m.PODS_WAITING, by=('reason',))} > 0",
                },
            )
        )
    )


def _cost(board: Dashboard) -> Dashboard:
    replicas = f"({_share(m.REPLICAS_ACTUAL)}) * {PRICE}"
    wanted = f"({_share(m.REPLICAS_WANTED)}) * {PRICE}"
    shares = {
        f"{what} {kind}": f"{most(family, SPOT)} / ({total(family, each=CLASS)} > 0)"
        for what, kind, family in (
            ("CPU", "offered", m.ALLOCATABLE_CPU),
            ("CPU", "asked for", m.REQUESTED_CPU),
            ("memory", "offered", m.ALLOCATABLE_MEMORY),
            ("memory", "asked for", m.REQUESTED_MEMORY),
        )
    }
    return (
        board.with_row(Row("Spot share and its cost effect"))
        .with_panel(
            graph(
                "Spot share of the nodes",
                "CPU and memory of spot nodes by that of all nodes: what they offer, and what pods on them ask for",
                shares,
                unit="percentunit",
                upper=1,
            )
        )
        .with_panel(
            graph(
                "Estimated saving",
                "Against all on-demand, with the price of spot given above: of the nodes as they are; of replicas, if"
                " each cost the same, as they are and at the split that policies ask for",
                {"nodes": _saving(), "replicas": replicas, "replicas at the wanted split": wanted},
                unit="percentunit",
                upper=1,
            )
        )
    )


def _moves(board: Dashboard) -> Dashboard:
    return (
        board.with_row(Row("Moves"))
        .with_panel(
            graph(
                "Moves",
                "Steps of moves, by result; dry runs apart",
                {"{{mode}} {{result}}": f"{grown(m.DRIFT_MOVES, by=('mode', 'result'))} > 0"},
                stacked=True,
                bars=True,
            )
        )
        .with_panel(
            graph(
                "What keeps surplus pods where they are",
                "By reason; the reference of metrics tells what each means",
                {"{{reason}}": f"{most(m.DRIFT_STAYING, by=('reason',))} > 0"},
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Moves under way, and given up",
                "Moves in flight, stuck ones, and workloads given up on after moves in vain",
                {
                    "in flight": most(m.DRIFT_IN_FLIGHT),
                    "stuck": most(m.DRIFT_STUCK),
                    "given up": most(m.DRIFT_CIRCUITS_OPEN),
                    "paused: {{reason}}": most(m.DRIFT_PAUSED, by=("reason",)),
                },
            )
        )
        .with_panel(
            graph(
                "Evictions",
                "Answers of the API server; budget, budgets and later are PodDisruptionBudgets that block",
                {"{{mode}} {{outcome}}": f"{grown(m.DRIFT_EVICTIONS, by=('mode', 'outcome'))} > 0"},
                stacked=True,
                bars=True,
            )
        )
    )
