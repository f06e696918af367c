"""What is asked for, checked: a refusal names the field, the value seen and the fix."""

import base64
import binascii
import zlib
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeVar

from msgspec import Struct

from extender.core.answers.decisions import Entry
from extender.core.answers.overview import Condition, WorkloadRow
from extender.core.answers.scope import Scope
from extender.core.model.errors import SelectorError
from extender.core.model.labelquery import read_selector
from extender.core.model.reasons import Reason
from extender.core.state.lookup import kind_named
from extender.servers.answers.search import matches
from extender.servers.grpc.calls import Code, RefusedError
from extender.wire.placement_v1 import member_of
from spotmix.placement.v1 import placement_pb2 as pb

E = TypeVar("E", bound=Enum)
V = TypeVar("V")

PAGE, MOST_PER_PAGE = 100, 1000
DECISIONS, MOST_DECISIONS = 20, 1000
MOST_REPLAYED = 10_000
LONGEST = 253
"""Characters of a name, or of words to search for."""
LONGEST_SELECTOR = 4096
"""Characters of a label selector."""
MOST_VALUES = 100
"""Values of a field that may have several."""

ORDERS: dict[int, Callable[[WorkloadRow], float]] = {
    pb.WORKLOAD_ORDER_REPLICAS: lambda row: -row.replicas,
    pb.WORKLOAD_ORDER_SURPLUS: lambda row: -row.surplus,
    pb.WORKLOAD_ORDER_MISSING: lambda row: -row.missing,
    pb.WORKLOAD_ORDER_NAME: lambda _row: 0,
}
"""How workloads are sorted before their names; those that are not here come worst first."""


class WorkloadQuery(Struct, frozen=True):
    """Which workloads: those of `scope` that `wants` says yes to.

    `size` of them from number `start` on, counted from 0. `mark` is a digest of all but `start`.
    """

    scope: Scope
    wants: Callable[[WorkloadRow], bool]
    order: int
    size: int
    start: int
    mark: int

    def sorted(self, rows: Sequence[WorkloadRow]) -> list[WorkloadRow]:
        """The rows that are wanted, in order; they come worst first."""
        found = [row for row in rows if self.wants(row)]
        key = ORDERS.get(self.order)
        if key is not None:
            found.sort(key=lambda row: (key(row), row.namespace, row.name, row.kind))
        return found

    def token(self, start: int) -> str:
        """The page token for the page that begins at `start`."""
        return base64.urlsafe_b64encode(f"{start}.{self.mark}".encode()).decode()


def bad(field: str, value: object, fault: str, fix: str) -> RefusedError:
    """A field of a request is wrong."""
    return RefusedError(Code.INVALID_ARGUMENT, f"{field}={value!r} {fault}; {fix}")


def workload_query(request: pb.ListWorkloadsRequest) -> WorkloadQuery:
    """What ListWorkloads is asked for.

    Raises:
        RefusedError: a field is wrong.
    """
    asked_for = scope(request.namespace, request.label_selector)
    words = tuple(text("query", request.query).lower().split())
    numbers = few("conditions", request.conditions)
    conditions = frozenset(_member("conditions", number, Condition) for number in numbers)
    if request.order not in pb.WorkloadOrder.values():
        raise bad("order", request.order, "is no order", "use one of WorkloadOrder")
    size = limit_of("page_size", request.page_size, PAGE, MOST_PER_PAGE)
    ranks = sorted(each.rank for each in conditions)
    asked = repr((request.namespace, request.label_selector, words, ranks, request.order, size))
    mark = zlib.crc32(asked.encode())

    def wants(row: WorkloadRow) -> bool:
        return (not conditions or not conditions.isdisjoint(row.conditions)) and matches(
            words, row.kind, row.namespace, row.name
        )

    return WorkloadQuery(asked_for, wants, request.order, size, _start(request.page_token, mark), mark)


def _start(token: str, mark: int) -> int:
    if not token:
        return 0
    try:
        start, _, seen = base64.urlsafe_b64decode(token.encode()).decode().partition(".")
        numbers = int(start), int(seen)
    except (binascii.Error, ValueError) as error:
        raise bad("page_token", token[:LONGEST], "is none", "send next_page_token of the answer before") from error
    if numbers[1] != mark or numbers[0] < 0:
        fault = "is of another request"
        raise bad("page_token", token[:LONGEST], fault, "leave all other fields as they were for the first page")
    return numbers[0]


def scope(namespace: str, label_selector: str) -> Scope:
    """The workloads that `namespace` and `label_selector` of a request mean.

    Raises:
        RefusedError: one of them is wrong.
    """
    if len(label_selector) > LONGEST_SELECTOR:
        seen = f"{label_selector[:20]}…"
        raise bad("label_selector", seen, f"is longer than {LONGEST_SELECTOR} characters", "shorten it")
    try:
        selector = read_selector(label_selector) if label_selector else None
    except SelectorError as error:
        raise RefusedError(Code.INVALID_ARGUMENT, f"label_selector: {error}") from error
    return Scope(text("namespace", namespace), selector)


def name(field: str, value: str) -> str:
    """A name that has to be given.

    Raises:
        RefusedError: it is not, or is too long for one.
    """
    if not value:
        raise bad(field, value, "is empty", f"say which {field}")
    return text(field, value)


def text(field: str, value: str) -> str:
    """A text that may be empty.

    Raises:
        RefusedError: it is too long.
    """
    if len(value) > LONGEST:
        raise bad(field, f"{value[:20]}…", f"is longer than {LONGEST} characters", "shorten it")
    return value


def decisions(limit: int) -> int:
    """How many decisions an answer is to have.

    Raises:
        RefusedError: the limit is none.
    """
    return limit_of("decision_limit", limit, DECISIONS, MOST_DECISIONS)


class Following(Struct, frozen=True):
    """Which decisions: those that `wants` says yes to, and `replay` of the last ones first."""

    namespace: str
    wants: Callable[[Entry], bool]
    replay: int


def following(request: pb.WatchDecisionsRequest) -> Following:
    """What WatchDecisions is asked for.

    Raises:
        RefusedError: a field is wrong.
    """
    namespace, workload = text("namespace", request.namespace), text("workload", request.workload)
    kind, _ = kind_named(text("kind", request.kind))
    if kind and not workload:
        raise bad("kind", request.kind, "is given without workload", "give both, or workload alone")
    pod = text("pod", request.pod)
    classes = frozenset(text("capacity_classes", each) for each in few("capacity_classes", request.capacity_classes))
    reasons = frozenset(_member("reasons", number, Reason) for number in few("reasons", request.reasons))
    replay = limit_of("replay", request.replay, 0, MOST_REPLAYED)

    def wants(entry: Entry) -> bool:
        return (
            namespace in ("", entry.namespace)
            and pod in ("", entry.pod)
            and workload in ("", entry.workload)
            and kind in ("", entry.kind.lower())
            and (not reasons or entry.reason in reasons)
            and (not classes or entry.wanted in classes or entry.given in classes)
        )

    return Following(namespace, wants, replay)


def limit_of(field: str, value: int, default: int, most: int) -> int:
    """A limit, or the default where none is set.

    Raises:
        RefusedError: it is out of bounds.
    """
    if not 0 <= value <= most:
        raise bad(field, value, f"is not between 0 and {most}", f"leave it out for {default}, or send at most {most}")
    return value or default


def few(field: str, values: Sequence[V]) -> Sequence[V]:
    """The values of a field that may have several.

    Raises:
        RefusedError: there are too many.
    """
    if len(values) > MOST_VALUES:
        raise bad(field, f"{len(values)} values", "are too many", f"send at most {MOST_VALUES}")
    return values


def _member(field: str, number: int, enum: type[E]) -> E:
    found = member_of(enum, number)
    if found is None:
        raise bad(field, number, f"is no {enum.__name__.lower()}", f"use one of {enum.__name__}, or leave it out")
    return found
