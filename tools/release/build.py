"""Makes wheel, sdist and chart archive."""

import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from generate.chart import CHART, run_helm
from programs import ROOT

from release.origin import Origin, ReleaseError


def prepare(dist: Path) -> None:
    """Have an empty folder.

    Raises:
        ReleaseError: it is not empty.
    """
    dist.mkdir(parents=True, exist_ok=True)
    if any(dist.iterdir()):
        raise ReleaseError(f"{dist} is not empty; remove it, or name another folder by --dist")


def python_packages(dist: Path, origin: Origin) -> list[Path]:
    """Make sdist and wheel."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(origin.seconds)}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(dist)]
    # What it says is of no interest unless it fails.
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"hatchling failed:\n{done.stderr}{done.stdout}")
    return [dist / f"spotmix-{origin.version}.tar.gz", dist / f"spotmix-{origin.version}-py3-none-any.whl"]


def chart(dist: Path, origin: Origin) -> Path:
    """Make the archive of the Helm chart."""
    with tempfile.TemporaryDirectory() as folder:
        said = run_helm("package", str(CHART), "--destination", folder)
        packed = Path(said.strip().rpartition(": ")[2])
        return _at(origin.seconds, packed, dist / packed.name)


def _at(seconds: int, source: Path, made: Path) -> Path:
    """Copy an archive, all of whose times become one: helm writes those of today."""
    with (
        tarfile.open(source) as read,
        made.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w") as written,
    ):
        for member in read:
            member.mtime = seconds
            written.addfile(member, read.extractfile(member))
    return made
