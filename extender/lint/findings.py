"""What `check` tells."""

from collections.abc import Mapping

from msgspec import Struct

ERROR, WARNING = "error", "warning"
REFUSED = "is refused: "
"""What the fault of an object begins with that the API server would not take."""
SHOWN = 60
"""Characters of a value that a finding shows."""


class Finding(Struct, frozen=True, rename="camel"):
    """Something to be told.

    Attributes:
        severity: ERROR, where an object would be refused or would not do what it says; or WARNING.
        file: where the object is from.
        document: the number of its document there, from 1 on.
        line: of the field; 0 where that is not known.
        object: what it is about, such as `Deployment shop/web`.
        field: which field, label or annotation.
        value: what stands there, cut short; empty where there is none, or it is a mapping or a list.
        fault: what is wrong.
        fix: what to do; empty where the fault says so.
    """

    severity: str
    file: str
    document: int
    line: int
    object: str
    field: str
    value: str
    fault: str
    fix: str = ""

    @property
    def is_refusal(self) -> bool:
        """Whether the API server would not take the object."""
        return self.fault.startswith(REFUSED)

    @property
    def text(self) -> str:
        """One line without the place."""
        what = f"{self.field}={self.value}" if self.value else self.field
        return (
            f"{self.object}: " * bool(self.object) + f"{what} {self.fault}".strip() + f"; {self.fix}" * bool(self.fix)
        )


class Spoken(Struct, frozen=True, rename="camel"):
    """The workloads of the manifests that a policy of these speaks for, and those that it loses, with the winner."""

    policy: str
    speaks_for: tuple[str, ...]
    loses: Mapping[str, str]


class LintReport(Struct, frozen=True, rename="camel"):
    """All findings, in the order of the text; how many objects were looked at; and whom each policy speaks for."""

    findings: tuple[Finding, ...]
    objects: int
    workloads: int
    policies: tuple[Spoken, ...]

    def count(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)
