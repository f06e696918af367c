"""One workload: what its policy asks for, and what it has."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from extender.telemetry import catalogue as m
from monitoring.overview import BAD, ODD, ON_DEMAND, SPOT
from monitoring.panels import dashboard, graph, number, table, variable
from monitoring.promql import RANGE, SERVICE, most

HERE = ('namespace="$namespace"', 'workload="$workload"')
CLASS = ("capacity_class",)


def _sum(family: m.Family, *matchers: str) -> str:
    by = tuple(label for label in ("kind", "capacity_class") if label in family.labels)
    return f"sum({most(family, *HERE, *matchers, by=by)})"


def _share(family: m.Family) -> str:
    return f"{_sum(family, SPOT)} / ({_sum(family)} > 0)"


def workload() -> Dashboard:
    """The dashboard."""
    known = m.WORKLOAD_INFO.name
    board = dashboard(
        "spotmix-workload", "Spotmix / Workload", "One workload: wanted and actual replicas, drift, floor"
    )
    board = board.with_variable(
        variable("namespace", "Namespace", f"label_values({known}{{{SERVICE}}}, namespace)")
    ).with_variable(variable("workload", "Workload", f"label_values({known}{{{SERVICE},{HERE[0]}}}, workload)"))
    surplus = _sum(m.WORKLOAD_SURPLUS)
    return (
        board.with_row(Row("$namespace / $workload"))
        .with_panel(
            number(
                "Spot",
                "Replicas on spot nodes, and those that the policy asks for",
                {"actual": _sum(m.WORKLOAD_ACTUAL, SPOT), "wanted": _sum(m.WORKLOAD_WANTED, SPOT)},
                width=5,
            )
        )
        .with_panel(
            number(
                "On-demand",
                "Replicas on on-demand nodes, and those that the policy asks for",
                {"actual": _sum(m.WORKLOAD_ACTUAL, ON_DEMAND), "wanted": _sum(m.WORKLOAD_WANTED, ON_DEMAND)},
                width=5,
            )
        )
        .with_panel(
            number("Surplus", "The drift: pods beyond the seats of their class", {"": surplus}, width=3, limits=ODD)
        )
        .with_panel(
            number(
                "Missing",
                "Replicas that are not created, not bound, or on a node that is going away",
                {"": _sum(m.WORKLOAD_MISSING)},
                width=3,
                limits=ODD,
            )
        )
        .with_panel(
            number(
                "Below floor",
                "Replicas missing to min-on-demand, on-demand-base or the base of a class",
                {"": _sum(m.WORKLOAD_BELOW_FLOOR)},
                width=3,
                limits=BAD,
            )
        )
        .with_panel(
            number(
                "Time on target",
                "Share of the time shown in which no pod was of the wrong class",
                {"": f"1 - avg_over_time(({surplus} > bool 0)[{RANGE}:$__interval])"},
                unit="percentunit",
                width=5,
                decimals=1,
            )
        )
        .with_panel(
            graph(
                "Replicas by class",
                "Replicas that hold a seat, and (dashed) those that the policy asks for",
                {
                    "{{capacity_class}}": most(m.WORKLOAD_ACTUAL, *HERE, by=CLASS),
                    "{{capacity_class}} wanted": most(m.WORKLOAD_WANTED, *HERE, by=CLASS),
                },
            )
        )
        .with_panel(
            graph(
                "Spot share",
                "Replicas on spot nodes by all replicas, as it is and as the policy asks",
                {"spot actual": _share(m.WORKLOAD_ACTUAL), "spot wanted": _share(m.WORKLOAD_WANTED)},
                unit="percentunit",
                upper=1,
            )
        )
        .with_panel(
            graph(
                "Drift",
                "Pods beyond the seats of their class, replicas without a seat, on-demand replicas below the floor",
                {
                    "surplus": surplus,
                    "missing": _sum(m.WORKLOAD_MISSING),
                    "below floor": _sum(m.WORKLOAD_BELOW_FLOOR),
                },
            )
        )
        .with_panel(
            table(
                "Policy",
                "How its policy is applied: enforce, or audit, which reports and changes nothing",
                {"": most(m.WORKLOAD_INFO, *HERE, by=("kind", "mode", "when_unsatisfiable"))},
                keys=("kind", "mode", "when_unsatisfiable"),
                width=6,
            )
        )
        .with_panel(
            table(
                "Wrong annotations",
                "Keys that are wrong: the last valid policy applies, or all pods are held on-demand",
                {"": most(m.POLICY_INVALID, *HERE, by=("key",))},
                keys=("key",),
                width=6,
            )
        )
    )
