"""The tables that `spotmix status` prints."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from extender.cli.output import BAD, GOOD, SOSO, Part, plain_table
from extender.core.answers.overview import OFF, Condition, Overview, WorkloadRow
from extender.core.model.policies import short_titles
from extender.core.model.reasons import Reason


def tables(shown: Overview, where: str, *, wide: bool) -> Iterator[Part]:
    """The overview for people; `where` says which workloads were asked for."""
    if not shown.workloads:
        how = 'by the label spotmix.io/enabled: "true", or by a policy object'
        yield Text(f"No managed workloads {where}: none is opted in {how}.")
    else:
        yield _workloads(shown, wide=wide)
        yield Text()
        yield _summary(shown)
        yield from _counted(shown)
    yield from _doubts(shown)
    for each in shown.enforcement:
        yield Text(f"Enforcement {each.text}.")
    if wide:
        yield Text()
        yield _pools(shown)


class Rows:
    """Tables of workloads that are printed one after another, in columns as wide as those of the first."""

    def __init__(self, *, wide: bool) -> None:
        self._wide = wide
        self._widths: list[int] = []

    def table(self, shown: Overview, rows: Sequence[WorkloadRow]) -> Table:
        """Some workloads of an overview."""
        table = _workloads(replace(shown, workloads=tuple(rows)), wide=self._wide)
        for column, width in zip(table.columns, self._widths, strict=False):
            column.min_width = width
        if not self._widths:
            texts = ([str(column.header), *map(str, column.cells)] for column in table.columns)
            self._widths = [max(map(cell_len, each)) for each in texts]
        return table


def _doubts(shown: Overview) -> Iterator[Text]:
    for pool in shown.pools:
        if pool.doubtful:
            nodes = f"{pool.doubtful} node" + "s" * (pool.doubtful != 1)
            yield Text(f"{nodes} of class {pool.capacity_class} may be of another: {pool.doubt}.", style=BAD)
    unnamed = Counter[str]()
    for pool in shown.pools:
        if pool.unnamed:
            unnamed[pool.capacity_class] += pool.nodes
    for name, count in unnamed.items():
        nodes = f"{count} node" + "s" * (count != 1)
        yield Text(f"{nodes} of class {name} take no managed replica: no policy names the class.", style=BAD)


def _workloads(shown: Overview, *, wide: bool) -> Table:
    classes = tuple(shown.totals.wanted)
    more = ("SURPLUS", "MISSING", "PENDING", "RESERVED", "MODE", "POLICY", "BY", "PROBLEMS") if wide else ("PENDING",)
    names = tuple(name.upper() for name in classes)
    numbers = ("REPLICAS", *names, "SURPLUS", "MISSING", "PENDING", "PROBLEMS")
    table = plain_table("NAMESPACE", "WORKLOAD", "REPLICAS", *names, *more, "CONDITION", right=numbers)
    for row in shown.workloads:
        cells: dict[str, str] = {
            "SURPLUS": str(row.surplus),
            "MISSING": str(row.missing),
            "PENDING": str(row.pending),
            "RESERVED": _counts(row.reserved),
            "MODE": row.mode,
            "POLICY": row.policy,
            "BY": short_titles(row.policies) or "-",
            "PROBLEMS": str(row.problems),
        }
        table.add_row(
            row.namespace,
            f"{row.kind}/{row.name}",
            str(row.replicas),
            *(_split(row, name) for name in classes),
            *(cells[name] for name in more),
            state_of(row),
        )
    return table


def _split(row: WorkloadRow, name: str) -> str:
    """The pods of a class, and how many there are to be: that is not said of one workload where many are counted."""
    actual = str(row.actual.get(name, 0))
    return actual if row.counted else f"{actual}/{row.wanted.get(name, 0)}"


def _counted(shown: Overview) -> Iterator[Text]:
    for text, count in Counter(row.counted for row in shown.workloads if row.counted).items():
        yield Text(f"{count} workload{'s' * (count != 1)} {'is' if count == 1 else 'are'} {text}.")


def state_of(row: WorkloadRow) -> Text:
    """What is to be said about a workload, in colours."""
    if not row.conditions:
        return Text("audit" if row.mode == "audit" else "on target", style="" if row.mode == "audit" else GOOD)
    text = Text(", ").join(Text(str(each), style=_style(each)) for each in row.conditions)
    gated = sum(row.waiting.get(reason, 0) for reason in (Reason.GATED, Reason.GATED_BY_OTHERS))
    if gated:
        text += Text(f", {gated} gated", style=SOSO)
    return text + Text(" (audit)") if row.mode == "audit" else text


def _style(condition: Condition) -> str:
    return BAD if condition in OFF else SOSO


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"


def _summary(shown: Overview) -> Text:
    totals = shown.totals
    counts = [f"{count} {condition}" for condition, count in totals.conditions.items() if count]
    off = [row for row in shown.workloads if row.conditions]
    workloads = f"{totals.workloads} workload" + "s" * (totals.workloads != 1)
    state = ", ".join(counts) if off else "all on target"
    split = ", ".join(f"{totals.actual.get(name, 0)}/{wanted} {name}" for name, wanted in totals.wanted.items())
    return Text(f"{workloads}: {state}. Replicas: {split}.")


def _pools(shown: Overview) -> Table:
    numbers = ("NODES", "GOING AWAY", "CORDONED", "NOT READY", "PODS")
    table = plain_table("CLASS", "INSTANCE TYPE", "ZONE", *numbers, right=numbers)
    for pool in shown.pools:
        table.add_row(
            pool.capacity_class,
            pool.instance_type or "-",
            pool.zone or "-",
            str(pool.nodes),
            Text(str(pool.going_away), style=SOSO if pool.going_away else ""),
            str(pool.cordoned),
            Text(str(pool.not_ready), style=BAD if pool.not_ready else ""),
            str(pool.pods),
        )
    return table
