"""Which commit a release is made from, by what, and that the tree is fit for it."""

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import NamedTuple

import yaml
from generate.chart import CHART
from programs import ROOT, helm

import extender

TOOLS = ("hatchling", "hatch-fancy-pypi-readme", "cyclonedx-python-lib", "shiv", "uv")


class ReleaseError(Exception):
    """No release can be made of this tree; the text says why, and what to do."""


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Origin(NamedTuple):
    """Where a release comes from.

    Attributes:
        version: of Spotmix.
        commit: its full name.
        seconds: when that was committed, since the epoch; all times in what is made are this one.
        dirty: whether there were changes that are not committed.
    """

    version: str
    commit: str
    seconds: int
    dirty: bool

    @classmethod
    def look(cls, *, allow_dirty: bool) -> "Origin":
        """Look at the tree.

        Raises:
            ReleaseError: it is not fit for a release.
        """
        dirty = bool(_git("status", "--porcelain"))
        if dirty and not allow_dirty:
            raise ReleaseError("there are changes that are not committed; commit them, or add --allow-dirty to try")
        check_versions(extender.__version__)
        return cls(extender.__version__, _git("rev-parse", "HEAD"), int(_git("log", "-1", "--format=%ct")), dirty)

    @property
    def time(self) -> datetime:
        """When the commit was made."""
        return datetime.fromtimestamp(self.seconds, UTC)

    def write(self, dist: Path, made: Iterable[Path]) -> Path:
        """Write the provenance of files: an in-toto statement with a predicate of SLSA 1.0, which nobody has signed.

        See https://slsa.dev/spec/v1.0/provenance.
        """
        commit = {"uri": f"git+https://github.com/spotmix/spotmix@{self.commit}", "digest": {"gitCommit": self.commit}}
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": file.name, "digest": {"sha256": digest(file)}} for file in sorted(made)],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://github.com/spotmix/spotmix/blob/main/docs/how-to/release.md",
                    "externalParameters": {"target": "release", "version": self.version, "dirty": self.dirty},
                    "resolvedDependencies": [commit],
                },
                "runDetails": {
                    "builder": {
                        "id": "make release",
                        "version": {
                            "python": platform.python_version(),
                            "helm": _run(str(helm()), "version", "--template", "{{.Version}}"),
                            **{name: installed(name) for name in TOOLS},
                        },
                    },
                    "metadata": {"startedOn": self.time.isoformat()},
                },
            },
        }
        file = dist / f"spotmix-{self.version}.provenance.json"
        file.write_text(json.dumps(statement, indent=2) + "\n")
        return file


def check_versions(version: str) -> None:
    """See that chart and change log are of this version.

    Raises:
        ReleaseError: one is not.
    """
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    for key in ("version", "appVersion"):
        if str(described[key]) != version:
            raise ReleaseError(f"{key} of Chart.yaml is {described[key]}, and the package's version {version}")
    if not re.search(rf"^## \[{re.escape(version)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md has no section [{version}]")


def _git(*arguments: str) -> str:
    # Whose tree it is makes no difference: the code that runs is of this tree.
    return _run("git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", *arguments)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
