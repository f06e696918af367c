"""`spotmix lint`."""

from typing import TYPE_CHECKING, Literal

import click

from extender.cli.help import Command
from extender.cli.options import options_of, settings_from
from extender.cli.output import note, print_json, print_line

if TYPE_CHECKING:
    from extender.lint.findings import Finding, LintReport

SHOWN = 5
"""Workloads of a policy that are named."""

SAMPLE = """\
apiVersion: spotmix.io/v1alpha1
kind: PlacementPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {tier: web}}
  classes:
    - {name: on-demand, weight: 30, base: 2}
    - {name: spot, weight: 70}
"""


@click.command(
    cls=Command,
    examples=(
        "spotmix lint policy.yaml deployment.yaml",
        "helm template ./chart | spotmix lint - --strict",
        "kustomize build overlays/prod | spotmix lint - -n shop",
        "kubectl get deploy,ns,pp,cpp -A -o yaml | spotmix lint -",
        "spotmix lint manifests/*.yaml --output github     # in a GitHub workflow",
    ),
    samples={"A policy": SAMPLE},
    exit_codes={
        0: "no error; warnings do not count without --strict",
        1: "at least one error, or a warning with --strict",
        2: "a file cannot be read, or is neither YAML nor JSON; or an option or a setting is wrong",
    },
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "-n",
    "--namespace",
    default="default",
    show_default=True,
    metavar="NAMESPACE",
    help="Namespace of objects that do not say theirs, as for kubectl apply.",
)
@click.option("--strict", is_flag=True, help="Let warnings count as errors for the exit code.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="Format: a line for each finding as FILE:LINE, all there is as json, or the annotations that GitHub shows at "
    "the lines of a pull request.",
)
@options_of("policy", "classes")
@click.pass_context
def lint(
    context: click.Context,
    /,
    files: tuple[str, ...],
    *,
    namespace: str,
    strict: bool,
    output: Literal["text", "json", "github"],
    config_file: str,
    **given: str | None,
) -> None:
    """Say what is wrong with policies and annotations in manifests, before they are applied and without a cluster.

    FILE is what `kubectl apply -f` takes, with any number of documents, or - for standard input. Whatever is given is
    taken as applied together: policies are matched with the workloads and Namespaces beside them.

    An error is what the API server would refuse, what the webhook would call wrong, and what keeps a policy object from
    acting; a warning is what is right and pointless. Every finding names object, field, value and fix. What only a
    cluster knows is not told of: Namespaces, workloads and policies that are not in the files.
    """
    from extender.cli.textfile import STDIN, read_text
    from extender.lint.check import check
    from extender.settings.rules import rules_of

    rules = rules_of(settings_from(config_file, given))
    texts = [("standard input" if file == STDIN else file, read_text(file)) for file in dict.fromkeys(files)]
    report = check(texts, rules, namespace)
    _PRINTERS[output](report)
    context.exit(1 if report.count("error") or (strict and report.findings) else 0)


def _as_json(report: "LintReport") -> None:
    print_json(report, indent=2)


def _as_text(report: "LintReport") -> None:
    for finding in report.findings:
        print_line(f"{_place(finding)}: {finding.severity}: {finding.text}")
    for policy in report.policies:
        names = [*policy.speaks_for[:SHOWN], *([".."] if len(policy.speaks_for) > SHOWN else [])]
        whom = f"{len(policy.speaks_for)} ({', '.join(names)})" if names else "none"
        print_line(f"{policy.policy}: workloads here that it speaks for: {whom}")
        for workload, winner in list(policy.loses.items())[:SHOWN]:
            print_line(f"{policy.policy}: loses {workload} to {winner}")
    print_line(_summary(report))


def _as_github(report: "LintReport") -> None:
    """Workflow commands.

    Source: docs.github.com, "Workflow commands for GitHub Actions".
    """
    for finding in report.findings:
        line = f",line={finding.line}" if finding.line else ""
        file = _escaped(finding.file).replace(":", "%3A").replace(",", "%2C")
        print_line(f"::{finding.severity} file={file}{line},title=spotmix lint::{_escaped(finding.text)}")
    note(_summary(report))


_PRINTERS = {"text": _as_text, "json": _as_json, "github": _as_github}


def _place(finding: "Finding") -> str:
    return f"{finding.file}:{finding.line}" if finding.line else f"{finding.file}: document {finding.document}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _summary(report: "LintReport") -> str:
    looked = f"objects: {report.objects}, workloads: {report.workloads}, policies that act: {len(report.policies)}"
    return f"{looked}; errors: {report.count('error')}, warnings: {report.count('warning')}"
