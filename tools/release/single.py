"""Makes the program as one file for each platform, packed as `kubectl krew` wants it, and krew's manifest.

A file runs with any of `PYTHONS` on its platform: what is compiled bears version and platform in its name, so that it
can lie side by side. It unpacks itself into `~/.shiv` when it first runs.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from programs import ROOT

from release.bill import REQUIREMENTS
from release.origin import Origin, ReleaseError, digest

PYTHONS = ("3.11", "3.12", "3.13")
HOME = "https://github.com/spotmix/spotmix"


class Platform(NamedTuple):
    """What a file runs on: as krew names it, and as uv does."""

    system: str
    machine: str
    wheels: str

    @property
    def name(self) -> str:
        """As files are called after it."""
        return f"{self.system}-{self.machine}"


PLATFORMS = {
    each.name: each
    for each in (
        Platform("linux", "amd64", "x86_64-manylinux_2_28"),
        Platform("linux", "arm64", "aarch64-manylinux_2_28"),
        Platform("darwin", "arm64", "aarch64-apple-darwin"),
    )
}


def single_files(dist: Path, origin: Origin, platforms: Iterable[str], pythons: Iterable[str] = PYTHONS) -> list[Path]:
    """Make an archive for each platform, with `spotmix` and the licence in it, and the manifest of all; none for none.

    `platforms` are names of `PLATFORMS`. Needs the package index; all that comes from there has its hash in
    requirements.txt.

    Raises:
        ReleaseError: something cannot be had, or does not fit.
    """
    (wheel,) = dist.glob("spotmix-*.whl")
    archives = {}
    for name in platforms:
        with tempfile.TemporaryDirectory() as folder:
            site = Path(folder) / "site"
            for python in pythons:
                _install(PLATFORMS[name], python, Path(folder) / python, "--require-hashes", "-r", str(REQUIREMENTS))
                shutil.copytree(Path(folder) / python, site, dirs_exist_ok=True)
                shutil.rmtree(Path(folder) / python)
            # Installed, it would have the time and the path of the wheel with it.
            shutil.unpack_archive(wheel, site, "zip")
            program = Path(folder) / "spotmix"
            command = ["-m", "shiv", "--site-packages", str(site), "--console-script", "spotmix", "--reproducible"]
            interpreter = "/usr/bin/env python3"
            _run(origin, *command, "--compressed", "--python", interpreter, "--output-file", str(program))
            archives[name] = _pack(dist / f"spotmix-{origin.version}-{name}.tar.gz", program, origin)
    if not archives:
        return []
    manifest = dist / f"spotmix-{origin.version}-krew.yaml"
    manifest.write_text(yaml.safe_dump(krew_manifest(origin.version, archives), sort_keys=False, width=120))
    return [*archives.values(), manifest]


def krew_manifest(version: str, archives: Mapping[str, Path]) -> dict[str, object]:
    """The plugin as krew knows it: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "spotmix"},
        "spec": {
            "version": f"v{version}",
            "homepage": HOME,
            "shortDescription": "Shows and explains the spot and on-demand split of workloads",
            "description": (
                "Shows how workloads are split between spot and on-demand nodes, why each pod is where it is, and\n"
                "what a change would do. Spotmix has to run in the cluster for most of it.\n"
            ),
            "caveats": f"It needs Python {PYTHONS[0]} to {PYTHONS[-1]} on the path, as python3.\n",
            "platforms": [
                {
                    "selector": {"matchLabels": {"os": PLATFORMS[name].system, "arch": PLATFORMS[name].machine}},
                    "uri": f"{HOME}/releases/download/v{version}/{file.name}",
                    "sha256": digest(file),
                    "bin": "spotmix",
                    "files": [{"from": "spotmix", "to": "."}, {"from": "LICENSE", "to": "."}],
                }
                for name, file in archives.items()
            ],
        },
    }


def _install(platform: Platform, python: str, target: Path, *what: str) -> None:
    for_them = ["--python-platform", platform.wheels, "--python-version", python, "--target", str(target)]
    _run(None, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", *for_them, *what)


def _run(origin: Origin | None, *arguments: str) -> None:
    environ = {**os.environ, **({"SOURCE_DATE_EPOCH": str(origin.seconds)} if origin is not None else {})}
    done = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{arguments[1]} failed:\n{done.stderr}{done.stdout}")


def _pack(file: Path, program: Path, origin: Origin) -> Path:
    with (
        file.open("wb") as raw,
        # It is compressed already.
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=origin.seconds) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for source, mode in ((program, 0o755), (ROOT / "LICENSE", 0o644)):
            entry = tarfile.TarInfo(source.name)
            entry.size, entry.mode, entry.mtime = source.stat().st_size, mode, origin.seconds
            with source.open("rb") as content:
                archive.addfile(entry, content)
    return file
