"""`spotmix explain`."""

from typing import TYPE_CHECKING

import click

from extender.cli.cluster import Seen, cluster_options, namespace_option, not_found, see
from extender.cli.connection import connection_options
from extender.cli.formats import Output, output_option, print_answer, type_name
from extender.cli.help import COMMON_EXIT_CODES, Command
from extender.cli.objects import object_argument, parts_of
from extender.cli.options import settings_from
from extender.cli.service import Target, ask, default_namespace, note_obstacle, service_or_local_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extender.cli.client import Client
    from extender.cli.output import Part
    from extender.cli.questions import ExplainAnswer
    from extender.core.answers.pod import PodExplanation
    from extender.core.answers.workload import WorkloadExplanation


@click.command(
    cls=Command,
    examples=(
        "spotmix explain pod/web-7d4b9c6f5d-x2x9l",
        "spotmix explain deploy/web -n shop -o wide",
        "spotmix explain rollouts.argoproj.io/web",
        "kubectl spotmix explain sts db",
    ),
    exit_codes={0: "explained", **COMMON_EXIT_CODES, 1: f"there is no such object, or {COMMON_EXIT_CODES[1]}"},
)
@object_argument(required=True)
@namespace_option
@output_option
@service_or_local_options
@connection_options
@cluster_options
def explain(
    config_file: str,
    what: str,
    name: str,
    namespace: str,
    target: Target,
    *,
    output: Output,
    **given: str | None,
) -> None:
    """Say why a pod is on its node or has none, or how a workload stands.

    TYPE is pod, deploy, sts, rs, job, cronjob, rc or any kind that owns pods, with its group where the kind alone is
    not enough. `TYPE NAME` is understood too.

    A running Spotmix is asked, which is found through the kubeconfig. Where there is none, or with --local, the answer
    is computed here from what the kubeconfig lets list. A running Spotmix also tells the last decisions
    it made; what is computed here is what would be decided now.
    """
    kind, name = parts_of(what, name)
    answer = _asked(config_file, given, namespace, target, (kind, name))
    if answer is not None:
        _show(answer, output)
        return
    seen = see(config_file, given, namespace)
    explained = _explained(seen, kind, name)

    def people() -> "Iterator[Part]":
        from extender.cli.explain_text import text_of

        return text_of(explained, seen.now, wide=output.wide)

    print_answer(output, explained, [(_name_of(explained), explained)], people)
    seen.note_missing("poddisruptionbudgets.policy")


def _explained(seen: Seen, kind_text: str, name: str) -> "PodExplanation | WorkloadExplanation":
    from extender.core.answers.faults import answering
    from extender.core.answers.pod import explain_pod
    from extender.core.answers.workload import explain_owner
    from extender.core.state.lookup import find_owner, find_pod, kind_named

    kind, group = kind_named(kind_text)
    if (kind, group) == ("pod", ""):
        pod = find_pod(seen.state, seen.namespace, name)
        if pod is not None:
            ref = pod.revision.owner if pod.revision is not None else None
            with answering(seen.state, pod.namespace, ref):
                return explain_pod(seen.state, pod, seen.now)
    else:
        owner = find_owner(seen.state, kind, group, seen.namespace, name)
        if owner is not None:
            with answering(seen.state, owner.namespace, owner.ref):
                return explain_owner(seen.state, owner, seen.now)
    raise not_found(seen, kind, group, name)


def _name_of(explained: "PodExplanation | WorkloadExplanation") -> str:
    from extender.core.answers.pod import PodExplanation

    what = explained.pod if isinstance(explained, PodExplanation) else explained.workload
    return type_name(what.kind, what.name)


def _asked(
    config_file: str, given: "Mapping[str, str | None]", namespace: str, target: Target, what: tuple[str, str]
) -> "ExplainAnswer | None":
    """What a running Spotmix says; None when it is to be computed here. `what` is kind and name."""
    import asyncio

    from extender.core.state.lookup import kind_named

    settings = settings_from(config_file, dict(given))
    meant = namespace or default_namespace(settings, target)
    kind, name = what

    async def question(client: "Client") -> "ExplainAnswer":
        from extender.cli.questions import pod, workload

        if kind_named(kind) == ("pod", ""):
            return await pod(client, meant, name)
        return await workload(client, meant, kind, name)

    return asyncio.run(ask(target, settings, {"config_file": config_file, **given}, question))


def _show(answer: "ExplainAnswer", output: Output) -> None:
    import time

    import msgspec

    def people() -> "Iterator[Part]":
        from extender.cli.explain_text import drift_of, last_decisions, text_of

        yield from text_of(answer.explanation, time.time(), wide=output.wide)
        yield from last_decisions(answer.decisions)
        if answer.drift is not None:
            yield from drift_of(answer.drift, wide=output.wide)

    tree = msgspec.to_builtins(answer.explanation, str_keys=True)
    more = {"decisions": answer.decisions, **({"drift": answer.drift} if answer.drift is not None else {})}
    told = {**tree, **msgspec.to_builtins(more, str_keys=True)}
    print_answer(output, told, [(_name_of(answer.explanation), told)], people)
    note_obstacle(answer.obstacle)
