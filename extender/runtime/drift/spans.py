"""The spans of moves: one for each, from the plan to the verdict on it, and within it the eviction and the wait for the
replacement.
"""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

from extender.core.drift.eviction import Result
from extender.core.drift.history import Judgement
from extender.core.drift.moves import Move
from extender.core.model.reasons import Reason
from extender.runtime.tracing import of_move
from extender.telemetry.traces import NO_SPAN, Span, Tracer
from extender.telemetry.vocabulary import CLASS, DRY, NODE, OUTCOME, REPLACEMENT

_IN_VAIN = (Reason.LANDED_WRONG, Reason.NO_REPLACEMENT, Reason.REFUSED, Reason.STUCK)


class MoveSpans:
    """The spans of the moves under way. Moves are told apart by the UIDs of their pods.

    Args:
        tracer: makes spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._moves: dict[str, Span] = {}
        self._waits: dict[str, Span] = {}

    def begin(self, move: Move, *, dry: bool) -> None:
        """A move was planned, in the current span; one that has begun already keeps its own."""
        if self._tracer.on and move.pod.uid not in self._moves:
            self._moves[move.pod.uid] = self._tracer.start("move", {**of_move(move), DRY: dry})

    def under(self, move: Move) -> AbstractContextManager[Span]:
        """What is done for a move is within its span."""
        return self._tracer.within(self._moves.get(move.pod.uid, NO_SPAN))

    def evicting(self, move: Move) -> AbstractContextManager[Span]:
        """Its pod is looked at and evicted."""
        return self._tracer.span("evict", of_move(move)) if self._tracer.on else contextlib.nullcontext(NO_SPAN)

    def attempted(self, move: Move, result: Result, text: str, *, judged: bool) -> None:
        """Its eviction was granted, or not.

        Args:
            move: the move.
            result: of the attempt.
            text: of a refusal.
            judged: whether there will be a verdict on a move that was or may have been made.
        """
        span = self._moves.get(move.pod.uid)
        if span is None:
            return
        span.note({OUTCOME: result})
        if result in ("refused", "unanswered"):
            span.fail(text)
        if judged and result in ("started", "unanswered"):
            self._waits[move.pod.uid] = self._tracer.start("replace", of_move(move), under=span)
        else:
            del self._moves[move.pod.uid]
            span.end()

    @contextlib.contextmanager
    def judged(self, verdict: Judgement) -> Iterator[None]:
        """There is a verdict on a move, which is told of within; one that another made has its spans now."""
        if not self._tracer.on:
            yield
            return
        entry, outcome = verdict.in_flight, verdict.outcome
        pod, about = entry.move.pod.uid, of_move(entry.move)
        span = self._moves.pop(pod, None) or self._tracer.start("move", about, at=entry.at)
        wait = self._waits.pop(pod, None) or self._tracer.start("replace", about, under=span, at=entry.at)
        replacement = verdict.replacement.name if verdict.replacement is not None else ""
        wait.note({NODE: verdict.node, CLASS: verdict.landed})
        for each in (wait, span):
            each.note({OUTCOME: str(outcome), REPLACEMENT: replacement})
            if outcome in _IN_VAIN:
                each.fail(outcome.text)
        try:
            with self._tracer.within(span):
                yield
        finally:
            if outcome is Reason.STUCK:
                # It goes on, and another verdict comes.
                self._moves[pod], self._waits[pod] = span, wait
            else:
                wait.end()
                span.end()

    def leave(self) -> None:
        """What is under way is for another to judge."""
        for span in (*self._waits.values(), *self._moves.values()):
            span.note({OUTCOME: "handed-over"})
            span.end()
        self._waits.clear()
        self._moves.clear()
