"""The admission webhook: what becomes of a pod, a scheduler's configuration or a workload before it is written."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct

from extender.core.admission.mutate import Mutator
from extender.core.model.errors import BusyError, WireError
from extender.core.model.objects import Namespace, Owner
from extender.core.model.reasons import Reason
from extender.core.placement.decide import PodView
from extender.core.policy.advice import examine
from extender.core.policy.limitadvice import beyond_limits
from extender.core.policy.managed import Managed, Missing
from extender.core.policy.matching import NOTHING
from extender.core.policy.policy import Problem, parse_enabled
from extender.core.state.state import ClusterState
from extender.servers.extender import Owners
from extender.wire.admission_v1 import (
    Patch,
    WorkloadReview,
    data_patches,
    decode_config_map,
    decode_pod,
    decode_workload,
    encode_answer,
)

# The API server gives a webhook 2 s in all. A pod may have to wait twice: for its owner, and for that one's.
PATIENCE = 0.6

Inject = Callable[[Mapping[str, str]], Awaitable[Mapping[str, str]]]
"""Gives texts our extender where they are a scheduler's configuration; returns those that have changed, by key.

Raises `WireError` for a configuration that is invalid, `BusyError` where there is no time or room to look.
"""
_LEFT = "the object is left as it is"


class About(Struct, frozen=True):
    """What a review is about: a pod and the workload that it belongs to, or a workload; empty where it is not known."""

    namespace: str = ""
    pod: str = ""
    kind: str = ""
    workload: str = ""


UNKNOWN = About()


class ReviewAnswer(Struct, frozen=True):
    """What becomes of an object. `denied` is why it is refused; `failed`: it was not looked at as it should be."""

    uid: str
    patches: tuple[Patch, ...] = ()
    warnings: tuple[str, ...] = ()
    denied: str | None = None
    failed: bool = False
    about: About = UNKNOWN

    @property
    def outcome(self) -> str:
        """In a word: failed, denied, mutated, warned or unchanged."""
        if self.failed:
            return "failed"
        if self.denied is not None:
            return "denied"
        if self.patches:
            return "mutated"
        return "warned" if self.warnings else "unchanged"

    def encoded(self) -> bytes:
        """The answer to the API server."""
        return encode_answer(self.uid, patches=self.patches, warnings=self.warnings, denied=self.denied)


def failure(uid: str, fault: str, about: About = UNKNOWN) -> ReviewAnswer:
    """Let an object pass unchanged because something went wrong, and say so."""
    text = fault if fault.startswith("spotmix: ") else f"spotmix: {fault}"
    return ReviewAnswer(uid, warnings=(f"{text}; {_LEFT}",), failed=True, about=about)


class Admission:
    """Answers reviews from the cluster state, and changes nothing of it: a review may be a dry run or come twice.

    Args:
        state: the cluster state, kept current by others.
        owners: waits for owners the watch has not delivered yet, `PATIENCE` at most.
        synced: whether the state holds a full list of everything that is watched.
        mutator: says what pods get.
        inject: see `Inject`.
        deny: refuse what is wrong with a workload instead of warning about it.
        clock: monotonic seconds.
    """

    def __init__(  # noqa: PLR0917 - ports, each of a type of its own
        self,
        state: ClusterState,
        owners: Owners,
        synced: Callable[[], bool],
        mutator: Mutator,
        inject: Inject,
        deny: bool,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._owners = owners
        self._synced = synced
        self._mutator = mutator
        self._inject = inject
        self._deny = deny
        self._clock = clock

    def go_by(self, *, deny: bool) -> None:
        """Refuse what is wrong, or not, from now on; as of the class."""
        self._deny = deny

    async def mutate_pod(self, body: bytes | bytearray) -> ReviewAnswer:
        """Give a pod of a managed workload what it needs to be placed.

        Raises:
            WireError: the body is no review of a pod.
        """
        review = decode_pod(body)
        draft, workloads = review.draft, self._state.workloads
        if draft is None or not workloads.may_manage(draft.pod.namespace, draft.pod.owner):
            return ReviewAnswer(review.uid)
        about = About(draft.pod.namespace, draft.pod.name)
        if not self._synced():
            return failure(review.uid, Reason.NOT_SYNCED.text, about)
        owner = workloads.resolve(draft.pod.namespace, draft.pod.owner)
        # Waiting makes its kind be watched from now on, which a dry run has no business to do.
        if isinstance(owner, Missing) and not review.dry_run:
            owner = await self._arrival(owner, draft.pod)
        if isinstance(owner, Missing):
            fault = f"{owner.ref.kind} {owner.ref.name}, which controls the pod, is not known yet"
            return failure(review.uid, fault, about)
        if owner is None:
            return ReviewAnswer(review.uid, about=about)
        about = About(about.namespace, about.pod, owner.workload.kind, owner.workload.name)
        return ReviewAnswer(review.uid, tuple(review.patches(self._mutator.mutate(owner, draft))), about=about)

    async def _arrival(self, owner: Managed | Missing | None, pod: PodView) -> Managed | Missing | None:
        """What is known of a pod's owner once it has been waited for."""
        deadline = self._clock() + PATIENCE
        while isinstance(owner, Missing) and self._clock() <= deadline and await self._owners.arrival(owner):
            owner = self._state.workloads.resolve(pod.namespace, pod.owner)
        return owner

    async def mutate_scheduler_config(self, body: bytes | bytearray) -> ReviewAnswer:
        """Put our extender into the scheduler configurations of a ConfigMap that asks for it.

        Raises:
            WireError: the body is no review of a ConfigMap.
        """
        review = decode_config_map(body)
        prefixes = self._state.workloads.rules.prefixes
        if not any(parse_enabled(review.labels.get(f"{prefix}/inject-extender", "")) for prefix in prefixes):
            return ReviewAnswer(review.uid)
        try:
            changed = await self._inject(review.data)
        except WireError as error:
            return ReviewAnswer(review.uid, denied=f"ConfigMap {review.name}: {error}")
        except BusyError as error:
            return failure(review.uid, f"ConfigMap {review.name}: {error}")
        return ReviewAnswer(review.uid, tuple(data_patches(changed)))

    async def validate_workload(self, body: bytes | bytearray) -> ReviewAnswer:
        """Say what is wrong or pointless in the labels and annotations of an object that may carry a policy.

        Raises:
            WireError: the body is no review.
        """
        workloads = self._state.workloads
        rules = workloads.rules
        review = decode_workload(body, rules.prefixes)
        new = review.new
        beyond = self._beyond_limits(review)
        if new is None or ((_silent(new) or _same_words(review.old, new)) and not beyond):
            return ReviewAnswer(review.uid)
        about = About(new.name) if isinstance(new, Namespace) else About(new.namespace, "", new.kind, new.name)
        home = about.namespace
        if (rules.outside(home, None) if isinstance(new, Namespace) else workloads.outside(home)) is not None:
            return ReviewAnswer(review.uid)
        namespace = None if isinstance(new, Namespace) else workloads.namespaces.get(home)
        matching = NOTHING if isinstance(new, Namespace) else workloads.matching(new)
        problems: Sequence[Problem] = ()
        if not (_silent(new) or _same_words(review.old, new)):
            problems = examine(new, namespace, workloads.default_layer, rules, matching)
        problems = (*problems, *beyond)
        wrong = [problem.text for problem in problems if not problem.warning]
        doubtful = [problem.text for problem in problems if problem.warning]
        if wrong and self._deny:
            return ReviewAnswer(review.uid, warnings=tuple(doubtful), denied="; ".join(wrong), about=about)
        return ReviewAnswer(review.uid, warnings=(*wrong, *doubtful), about=about)

    def _beyond_limits(self, review: WorkloadReview) -> list[Problem]:
        """What no limit of its namespace lets a workload have, unless it is the same as before."""
        new, old = review.new, review.old
        account = self._state.holdings.accounts.get(new.namespace) if isinstance(new, Owner) else None
        if account is None or not isinstance(new, Owner) or new.owner is not None or review.asked is None:
            return []
        same = isinstance(old, Owner) and (old.replicas, review.asked_before) == (new.replicas, review.asked)
        if same and _same_words(old, new):
            return []
        workload = self._state.workloads.judged(new)
        return list(beyond_limits(new, workload.policy, review.asked, account.limits)) if workload is not None else []


def _silent(thing: Owner | Namespace) -> bool:
    """Whether an object says nothing of its own: a controller made it of its owner's words, or no key is ours."""
    controlled = isinstance(thing, Owner) and thing.owner is not None
    return controlled or not (thing.labels or thing.annotations)


def _same_words(old: Owner | Namespace | None, new: Owner | Namespace) -> bool:
    return old is not None and old.labels == new.labels and old.annotations == new.annotations
