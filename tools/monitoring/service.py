"""Spotmix itself: latency, errors, caches, leader, memory."""

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from extender.telemetry import catalogue as m
from monitoring.overview import BAD, ODD
from monitoring.panels import dashboard, graph, number, table
from monitoring.promql import RATE, SERVICE, grown, most, quantile, rate, select, total

SCHEDULER = 'verb=~"filter|prioritize"'
WEBHOOK = 'verb!~"filter|prioritize"'
RESOURCE = ("resource",)


def service() -> Dashboard:
    """The dashboard."""
    text = "Latency and errors of the extender and the webhook, caches, leader, memory"
    board = dashboard("spotmix-service", "Spotmix / Service", text)
    for section in (_now, _requests, _caches, _process):
        board = section(board)
    return board


def _now(board: Dashboard) -> Dashboard:
    expires = f"min by (certificate) ({select(m.CERTIFICATE_EXPIRY)}) - time()"
    return (
        board.with_row(Row("Now"))
        .with_panel(number("Replicas", "Replicas that are scraped", {"": f"count({select(m.BUILD_INFO)})"}, width=3))
        .with_panel(
            number(
                "Leaders",
                "One replica should lead",
                {"": f"sum({select(m.LEADER)})"},
                width=3,
                limits=((None, "red"), (1, "green"), (2, "red")),
            )
        )
        .with_panel(
            number(
                "Oldest cache",
                "Time since the resource was heard of that has been silent for longest; some 60 s are usual",
                {"": f"max({select(m.CACHE_STALENESS)})"},
                unit="s",
                limits=((None, "green"), (120, "orange"), (180, "red")),
            )
        )
        .with_panel(
            number(
                "Resources not listed",
                "Resources that a replica has not listed yet",
                {"": f"count({select(m.CACHE_SYNCED)} == 0) or vector(0)"},
                limits=ODD,
            )
        )
        .with_panel(
            number(
                "Errors",
                "Requests answered with an error, a second",
                {"": rate(m.REQUEST_ERRORS)},
                unit="reqps",
                limits=((None, "green"), (0.001, "red")),
            )
        )
        .with_panel(
            number(
                "Certificates end in",
                "The soonest of all replicas",
                {"{{certificate}}": expires},
                unit="s",
                width=6,
                limits=((None, "red"), (604800, "green")),
            )
        )
    )


def _requests(board: Dashboard) -> Dashboard:
    decisions = rate(m.DECISIONS, 'verb="filter"', by=("outcome", "capacity_class", "reason"))
    board = board.with_row(Row("Requests"))
    for verb in ("filter", "prioritize"):
        board = board.with_panel(
            graph(
                f"Time to answer: {verb}",
                "Percentiles of all replicas",
                {f"{100 * q:g} %": quantile(q, m.REQUEST_DURATION, f'verb="{verb}"') for q in (0.5, 0.9, 0.99)},
                unit="s",
            )
        )
    return (
        board.with_panel(
            graph(
                "Time to answer: webhook",
                "99th percentile, by verb",
                {"{{verb}}": quantile(0.99, m.REQUEST_DURATION, WEBHOOK, by=("verb",))},
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Requests",
                "By verb",
                {"{{verb}}": f"sum by (verb) (rate({select(m.REQUEST_DURATION, suffix='_count')}[{RATE}]))"},
                unit="reqps",
            )
        )
        .with_panel(
            graph(
                "Errors",
                "Requests answered with an error, by verb; faults in talking to the API, by what was asked",
                {
                    "{{verb}}": rate(m.REQUEST_ERRORS, by=("verb",)),
                    "API: {{source}}": f"{rate(m.API_FAULTS, by=('source',))} > 0",
                },
                unit="ops",
            )
        )
        .with_panel(
            graph(
                "Decisions",
                "About managed pods, by outcome, class and reason",
                {"{{outcome}} {{capacity_class}} {{reason}}": f"{decisions} > 0"},
                unit="ops",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Objects at the webhook",
                "By verb and what became of them",
                {"{{verb}} {{outcome}}": f"{rate(m.ADMISSIONS, by=('verb', 'outcome'))} > 0"},
                unit="ops",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Writes on pods",
                "Pods woken, and deletion costs, by what became of them",
                {
                    "wake: {{how}}": rate(m.WAKES, by=("how",)),
                    "cost: {{outcome}}": rate(m.DELETION_COSTS, by=("outcome",)),
                },
                unit="ops",
            )
        )
    )


def _caches(board: Dashboard) -> Dashboard:
    return (
        board.with_row(Row("Caches"))
        .with_panel(
            graph(
                "Staleness",
                "Time since each resource was last heard of, of the replica where that is longest",
                {"{{resource}}": most(m.CACHE_STALENESS, by=RESOURCE)},
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Restarts of lists and watches",
                "Watches opened anew, lists made anew, failures of either",
                {
                    "watch {{resource}}": f"{grown(m.CACHE_REWATCHES, by=RESOURCE)} > 0",
                    "failed {{resource}}": f"{grown(m.CACHE_FAILURES, by=RESOURCE)} > 0",
                    "lists": grown(m.CACHE_RELISTS),
                },
                bars=True,
            )
        )
        .with_panel(
            graph(
                "Events taken",
                "Objects from lists and watches, by resource; those that did not decode",
                {
                    "{{resource}}": rate(m.CACHE_EVENTS, by=RESOURCE),
                    "undecodable": rate(m.CACHE_UNDECODABLE),
                },
                unit="ops",
                stacked=True,
            )
        )
        .with_panel(
            graph(
                "Held in memory",
                "Pods known, workloads under a policy, workloads without series of their own, seats reserved",
                {
                    "pods": most(m.PODS),
                    "workloads": total(m.WORKLOADS, each=("mode",)),
                    "unlisted workloads": most(m.UNLISTED),
                    "reserved {{capacity_class}}": most(m.RESERVATIONS, by=("capacity_class",)),
                    "reserved provisionally": most(m.PROVISIONAL),
                },
            )
        )
    )


def _process(board: Dashboard) -> Dashboard:
    each = f"{{{SERVICE}}}"
    return (
        board.with_row(Row("Process"))
        .with_panel(
            graph("Leader", "1 for the replica that leads", {"{{instance}}": f"max by (instance) ({select(m.LEADER)})"})
        )
        .with_panel(
            graph(
                "Memory",
                "Resident memory of each replica",
                {"{{instance}}": f"max by (instance) (process_resident_memory_bytes{each})"},
                unit="bytes",
            )
        )
        .with_panel(
            graph(
                "CPU",
                "Cores used by each replica",
                {"{{instance}}": f"max by (instance) (rate(process_cpu_seconds_total{each}[{RATE}]))"},
            )
        )
        .with_panel(
            graph(
                "Held up",
                "The longest step of the last minute, while which nobody is answered; faults that one workload met",
                {
                    "{{instance}}": f"max by (instance) ({select(m.LOOP_HELD_UP)})",
                    "faults: {{step}}": grown(m.WORKLOAD_FAULTS, by=("step",)),
                },
                unit="s",
            )
        )
        .with_panel(
            graph(
                "The drift loop",
                "99th percentiles of a plan and of a cycle; cycles that ended with a fault",
                {
                    "plan": quantile(0.99, m.DRIFT_PLAN_DURATION),
                    "cycle": quantile(0.99, m.DRIFT_CYCLE_DURATION),
                    "faults": grown(m.DRIFT_CYCLE_FAULTS),
                },
                unit="s",
            )
        )
        .with_panel(
            table(
                "Versions",
                "What runs",
                {"replicas": f"count by (version, python_version) ({select(m.BUILD_INFO)})"},
                keys=("version", "python_version"),
                width=12,
            )
        )
        .with_panel(
            number(
                "Trouble of the drift loop",
                "Workloads whose history cannot be read, and moves that are stuck",
                {"unreadable": most(m.DRIFT_UNREADABLE), "stuck": most(m.DRIFT_STUCK)},
                width=12,
                limits=BAD,
            )
        )
    )
