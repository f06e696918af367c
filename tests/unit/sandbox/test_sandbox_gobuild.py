"""The build from source, with programs in the place of Go that do what the test says."""

import io
import os
import threading
from pathlib import Path

import pytest

from extender.core.model.errors import SandboxError
from extender.sandbox.assets import missing_binaries
from extender.sandbox.gobuild import GoBuild
from extender.sandbox.progress import Progress
from extender.sandbox.versions import GO_WHEEL, KUBERNETES

GO = """#!/bin/sh
if [ "$1" = env ]; then echo {version}; exit 0; fi
echo k8s.io/first >&2
echo "$PWD $CGO_ENABLED $GOTOOLCHAIN $*" >> {folder}/called
{does}
"""
# Arguments: build -v -trimpath -ldflags FLAGS -o OUT/ tool
MAKES = 'for name in server kube-apiserver kube-controller-manager kube-scheduler; do cp "$0" "$7/$name"; done'


def put_go(folder: Path, version: str = "go1.26.0", does: str = MAKES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    go = folder / "go"
    go.write_text(GO.format(version=version, does=does, folder=folder))
    go.chmod(0o755)
    return go


def builder(tmp_path: Path, stop: threading.Event | None = None) -> GoBuild:
    path = f"{tmp_path / 'bin'}"
    return GoBuild(tmp_path / "cache", Progress(io.StringIO()), stop or threading.Event(), path)


def test_it_builds_the_four_stamped_with_their_version(tmp_path: Path) -> None:
    put_go(tmp_path / "bin")
    out = tmp_path / "out"
    out.mkdir()
    builder(tmp_path).build(KUBERNETES, out)
    assert missing_binaries(out) == []
    kubernetes, etcd = (tmp_path / "bin" / "called").read_text().splitlines()
    assert "1.37 0 local build -v -trimpath" in kubernetes
    assert "version.gitVersion=v1.37." in kubernetes
    assert "version.gitMinor=37" in kubernetes
    assert "etcd 0 local build -v -trimpath" in etcd
    assert "gitVersion" not in etcd


def test_a_failed_build_shows_what_go_said(tmp_path: Path) -> None:
    put_go(tmp_path / "bin", does="echo no such module >&2; exit 7")
    with pytest.raises(SandboxError, match=r"(?s)exit code 7:.*no such module"):
        builder(tmp_path).build(KUBERNETES, tmp_path)


def test_a_build_can_be_given_up_and_leaves_no_process(tmp_path: Path) -> None:
    put_go(tmp_path / "bin", does=f"echo $$ > {tmp_path}/pid; exec sleep 60")
    stop = threading.Event()
    stop.set()
    with pytest.raises(SandboxError, match="given up"):
        builder(tmp_path, stop).build(KUBERNETES, tmp_path)
    if (tmp_path / "pid").exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("version", ["go1.26.0", "go1.27rc1", "go2.0"])
def test_a_go_that_is_new_enough_is_taken(tmp_path: Path, version: str) -> None:
    go = put_go(tmp_path / "bin", version)
    assert builder(tmp_path).find_go() == go


@pytest.mark.parametrize("version", [None, "go1.25.9", "nonsense"])
def test_without_one_the_wheels_is_taken(tmp_path: Path, version: str | None) -> None:
    if version is not None:
        put_go(tmp_path / "bin", version)
    wheel = put_go(tmp_path / "cache" / GO_WHEEL.replace("==", "-") / "go" / "bin")
    assert builder(tmp_path).find_go() == wheel


def test_a_wheels_go_that_does_not_run_is_named(tmp_path: Path) -> None:
    put_go(tmp_path / "bin", "go1.20.1")
    put_go(tmp_path / "cache" / GO_WHEEL.replace("==", "-") / "go" / "bin", "nonsense")
    with pytest.raises(SandboxError, match=r"is Go 1\.20\.1, older than 1\.26, and the wheel .* does not run"):
        builder(tmp_path).find_go()


@pytest.mark.parametrize(("version", "taken"), [("go1.26.5", False), ("go1.26.6", True), ("go1.27.0", True)])
def test_a_module_says_how_new_its_go_has_to_be(tmp_path: Path, version: str, taken: bool) -> None:
    put_go(tmp_path / "bin", version)
    wheel = put_go(tmp_path / "cache" / GO_WHEEL.replace("==", "-") / "go" / "bin", "go1.26.6")
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module some\n\ngo 1.26.6\n")
    builder(tmp_path).compile(module, tmp_path, ".")
    assert (tmp_path / "bin" / "called").exists() is taken
    assert (wheel.parent / "called").exists() is not taken
