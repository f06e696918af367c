"""The live table: renderables made of facts. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from extender.core.model.classes import ON_DEMAND, SPOT
from extender.core.model.objects import Node
from extender.sandbox.demo.facts import (
    Look,
    RevisionView,
    SplitState,
    WorkloadView,
    pods_by_node,
    same_split,
    view_workloads,
)
from extender.sandbox.demo.words import policy_words, short_split

COLORS: Mapping[str, str] = {SPOT: "yellow", ON_DEMAND: "cyan"}
VERDICTS: Mapping[SplitState, str] = {
    SplitState.EXACT: "bold green",
    SplitState.WAITS: "bold magenta",
    SplitState.MOVING: "dim",
    SplitState.OFF: "bold red",
}
_MOST_DOTS = 24
_NARROW = 120  # columns below which the table is narrow
_LEAST_LOG = 3


class Scene(Struct, frozen=True):
    """What the picture shows beside the cluster. `log` are (seconds, text), oldest first."""

    title: str
    act: str
    about: str
    log: Sequence[tuple[float, str]] = ()


def picture(scene: Scene, snapshot: Look, console: Console) -> RenderableType:
    """The whole picture, as wide as the console; the log is cut to the lines that are left."""
    options = console.options
    body = Group(
        Text(scene.title, style="bold"),
        Text.assemble(
            (f" {scene.act} ", "bold reverse"), "  ", (scene.about, "italic"), overflow="ellipsis", no_wrap=True
        ),
        workload_table(view_workloads(snapshot), narrow=options.max_width < _NARROW),
        node_table(snapshot),
        _legend(),
    )
    left = console.size.height - 1 - len(console.render_lines(body, options, pad=False))
    return Group(body, *log_lines(scene.log[-max(_LEAST_LOG, left) :]))


def workload_table(views: Iterable[WorkloadView], *, narrow: bool) -> Table:
    """A row for each workload; a narrow one has fewer columns with more in them."""
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("workload" + (" and policy" if narrow else ""), ratio=4 if narrow else None)
    if not narrow:
        table.add_column("policy", ratio=3)
    table.add_column("replicas", justify="right", no_wrap=True)
    table.add_column("wanted", no_wrap=True)
    table.add_column("actual" if narrow else "actual, by the node each pod is bound to", ratio=4)
    if not narrow:
        table.add_column("waiting, and why", ratio=3)
    for view in views:
        name, policy, waiting = Text(view.name, "bold"), policy_words(view.policy), _waiting(view)
        if narrow:
            actual = Text("\n").join([_actual(view), *([waiting] if waiting else [])])
            table.add_row(name.append(f" {policy}", "not bold"), str(view.replicas), short_split(view.wanted), actual)
        else:
            name.append(f"\n{view.kind}", "not bold dim")
            table.add_row(
                name, policy, str(view.replicas), short_split(view.wanted), _actual(view), waiting or Text("-", "dim")
            )
    return table


def _actual(view: WorkloadView) -> Text:
    now, verdict = view.newest, view.verdict
    text = _dots(now)
    text.append(f"{short_split(now.counts)}  ")
    word = view.doing if verdict is SplitState.MOVING else verdict.value
    if view.older:
        own = view.policy.seats.target(now.replicas)
        on_track = same_split(now.counts, own)
        text.append(f"new revision, {now.placed} of {view.replicas}", "green" if on_track else "dim")
        for revision in view.older:
            text.append("\n")
            text.append_text(_dots(revision))
            text.append(f"{short_split(revision.counts)}  old revision", "dim")
        return text
    text.append(word, VERDICTS[verdict])
    if view.policy.max_per_pool is not None and now.counts.get(SPOT) and verdict.settled:
        text.append(f", {now.fullest} per pool", "dim")
    return text


def _dots(revision: RevisionView) -> Text:
    text = Text()
    if revision.pods > _MOST_DOTS:
        return text
    for name in (SPOT, ON_DEMAND, *sorted(set(revision.counts) - {SPOT, ON_DEMAND})):
        text.append("●" * revision.counts.get(name, 0), COLORS.get(name, "white"))
    text.append("◌" * revision.leaving, "red")
    text.append("○" * sum(revision.waiting.values()), "magenta")
    text.append("  ")
    return text


def _waiting(view: WorkloadView) -> Text:
    reasons: dict[str, int] = {}
    for revision in (view.newest, *view.older):
        for reason, count in revision.waiting.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return Text("\n".join(f"{count}: {reason}" for reason, count in sorted(reasons.items())), "magenta")


def node_table(snapshot: Look) -> Table:
    """The nodes by class and zone, each with the number of its pods."""
    zones = sorted({node.zone for node in snapshot.nodes.values()})
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(Text("node: pods", "dim"), no_wrap=True)
    for zone in zones:
        table.add_column(Text(f"zone {zone}", "dim"), ratio=1)
    pods = {name: len(found) for name, found in pods_by_node(snapshot).items()}
    for capacity_class in (SPOT, ON_DEMAND):
        row = [Text(capacity_class, COLORS[capacity_class])]
        for zone in zones:
            here = [
                node for node in snapshot.nodes.values() if node.zone == zone and node.capacity_class == capacity_class
            ]
            row.append(_node_cell(here, pods))
        table.add_row(*row)
    return table


def _node_cell(nodes: Iterable[Node], pods: Mapping[str, int]) -> Text:
    text = Text()
    for node in sorted(nodes, key=lambda each: (each.instance_type, each.name)):
        family = node.instance_type.partition(".")[0]
        label = f"{family}:{pods.get(node.name, 0)}"
        text.append(label, "bold white on red" if node.going_away else "")
        text.append("  ")
    return text


def _legend() -> Text:
    return Text.assemble(
        "\n",
        ("● spot  ", COLORS[SPOT]),
        ("● on-demand  ", COLORS[ON_DEMAND]),
        ("○ waiting  ", "magenta"),
        ("◌ node goes  ", "red"),
        ("7 + 3: spot + on-demand", "dim"),
    )


def log_lines(log: Iterable[tuple[float, str]]) -> list[Text]:
    """What happened, a line each."""
    return [Text.assemble((f"{at:6.1f} s  ", "dim"), text, overflow="ellipsis", no_wrap=True) for at, text in log]
