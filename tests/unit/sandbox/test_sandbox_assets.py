"""Where the control plane's binaries come from, in order, and that the cache is never half filled."""

import hashlib
import io
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from extender.cli import cli
from extender.core.model.errors import SandboxError
from extender.sandbox import versions
from extender.sandbox.assets import cache_home, fill, find_assets, host_platform, missing_binaries
from extender.sandbox.gobuild import GoBuild, module_directory
from extender.sandbox.ports import free_port
from extender.sandbox.progress import Progress


def put_binaries(folder: Path, names: Sequence[str] = versions.BINARIES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def cache_in(home: Path, release: str = versions.KUBERNETES) -> Path:
    return home / "spotmix" / "controlplane" / f"{release}-etcd-{versions.ETCD}-{host_platform()}"


def quiet() -> Progress:
    return Progress(io.StringIO())


@pytest.mark.parametrize("release", versions.RELEASES.values())
def test_each_release_has_a_go_module_with_its_staging_modules(release: str) -> None:
    folder = module_directory(versions.minor_of(release))
    text = (folder / "go.mod").read_text()
    assert re.search(rf"k8s.io/kubernetes {re.escape(release)}$| {re.escape(release)} ", text, re.MULTILINE)
    minor = versions.minor_of(release).removeprefix("1.")
    staged = re.findall(r"^\t?(?:replace )?(k8s\.io/\S+) => (k8s\.io/\S+) (v\S+)$", text, re.MULTILINE)
    assert len(staged) > 20
    assert [each for each in staged if each[0] != each[1] or not each[2].startswith(f"v0.{minor}.")] == []
    assert f"k8s.io/kubernetes {release} h1:" in (folder / "go.sum").read_text()


@pytest.mark.parametrize("name", ["1.33", "v1.33.13", "1.33.13"])
def test_a_release_is_named_by_minor_version_or_in_full(name: str) -> None:
    assert versions.release_named(name) == "v1.33.13"


@pytest.mark.parametrize("name", ["1.29", "1.33.1", "newest", ""])
def test_a_release_that_is_not_there_is_told_with_those_that_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"1\.31, 1\.32"):
        versions.release_named(name)
    if name:
        with pytest.raises(SandboxError, match=name):
            find_assets(environ={"SPOTMIX_SANDBOX_KUBERNETES": name, "XDG_CACHE_HOME": str(tmp_path)})


def test_a_named_release_is_that_of_the_cache_whatever_else_is_given(tmp_path: Path) -> None:
    put_binaries(tmp_path / "given")
    environ = {"KUBEBUILDER_ASSETS": str(tmp_path / "given"), "XDG_CACHE_HOME": str(tmp_path)}
    cache = cache_in(tmp_path, "v1.33.13")
    put_binaries(cache)
    assert find_assets("1.33", environ=environ) == cache
    assert find_assets(environ={**environ, "SPOTMIX_SANDBOX_KUBERNETES": "1.33"}) == cache
    with pytest.raises(SandboxError, match=r"no checksum of v1\.31\.14 is pinned"):
        find_assets("1.31", environ=environ, build=False, progress=quiet())


def test_another_release_is_built_into_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_binaries(cache_in(tmp_path))
    built: list[str] = []

    def build(_self: GoBuild, release: str, folder: Path) -> None:
        built.append(release)
        put_binaries(folder)

    monkeypatch.setattr(GoBuild, "build", build)
    found = find_assets("1.33", environ={"XDG_CACHE_HOME": str(tmp_path)}, progress=quiet())
    assert found == cache_in(tmp_path, "v1.33.13")
    assert built == ["v1.33.13"]


def test_the_help_names_the_releases_that_there_are() -> None:
    said = " ".join(CliRunner().invoke(cli, ["sandbox", "up", "--help"]).output.split())
    assert f"{min(versions.RELEASES)} to {max(versions.RELEASES)}" in said
    assert f"{versions.minor_of(versions.KUBERNETES)} unless it is given" in said


def test_etcd_is_that_of_its_go_module() -> None:
    folder = module_directory("etcd")
    assert f"go.etcd.io/etcd/server/v3 {versions.ETCD} " in (folder / "go.mod").read_text()
    assert f"go.etcd.io/etcd/server/v3 {versions.ETCD} h1:" in (folder / "go.sum").read_text()


@pytest.mark.parametrize("module", [versions.minor_of(versions.KUBERNETES), "etcd"])
def test_go_is_as_new_as_the_modules_ask_for(module: str) -> None:
    text = (module_directory(module) / "go.mod").read_text()
    go = next(line.split()[1] for line in text.splitlines() if line.startswith("go "))
    assert tuple(map(int, go.split(".")[:2])) == versions.GO_MINIMUM
    wheel = tuple(map(int, versions.GO_WHEEL.split("==")[1].split(".")))
    assert wheel >= tuple(map(int, go.split(".")))


def test_every_archive_of_every_platform_has_a_pinned_checksum() -> None:
    kubernetes, etcd = versions.KUBERNETES, versions.ETCD
    for platform in ("linux-amd64", "linux-arm64"):
        for path in (
            f"{kubernetes}/kubernetes-server-{platform}.tar.gz",
            f"{etcd}/etcd-{etcd}-{platform}.tar.gz",
        ):
            algorithm, digest = versions.CHECKSUMS[path].split(":")
            assert len(bytes.fromhex(digest)) == hashlib.new(algorithm).digest_size


def test_kubebuilder_assets_come_first(tmp_path: Path) -> None:
    put_binaries(tmp_path / "given")
    put_binaries(cache_in(tmp_path))
    environ = {"KUBEBUILDER_ASSETS": str(tmp_path / "given"), "XDG_CACHE_HOME": str(tmp_path)}
    assert find_assets(environ=environ) == tmp_path / "given"


def test_incomplete_kubebuilder_assets_are_passed_over_for_the_cache(tmp_path: Path) -> None:
    put_binaries(tmp_path / "given", ("etcd", "kube-apiserver"))
    put_binaries(cache_in(tmp_path))
    environ = {"KUBEBUILDER_ASSETS": str(tmp_path / "given"), "XDG_CACHE_HOME": str(tmp_path)}
    assert find_assets(environ=environ) == cache_in(tmp_path)


def test_cache_is_the_users_without_xdg() -> None:
    assert cache_home({}) == Path.home() / ".cache" / "spotmix"


def test_a_file_that_cannot_run_is_missing(tmp_path: Path) -> None:
    put_binaries(tmp_path)
    (tmp_path / "etcd").chmod(0o644)
    assert missing_binaries(tmp_path) == ["etcd"]


def test_the_failure_tells_what_each_way_said_and_what_helps(tmp_path: Path) -> None:
    put_binaries(tmp_path / "given", ("etcd", "kube-apiserver"))
    environ = {
        "KUBEBUILDER_ASSETS": str(tmp_path / "given"),
        "XDG_CACHE_HOME": str(tmp_path),
        "SPOTMIX_SANDBOX_ETCD_URL": f"http://127.0.0.1:{free_port()}",
    }
    with pytest.raises(SandboxError) as caught:
        find_assets(environ=environ, download=True, build=False, progress=quiet())
    text = str(caught.value)
    assert "no kube-controller-manager, kube-scheduler" in text
    assert "not there" in text
    assert "Connection refused" in text
    assert "build from source: switched off" in text
    assert "set KUBEBUILDER_ASSETS" in text


def test_download_can_be_switched_off_by_environment(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path), "SPOTMIX_SANDBOX_DOWNLOAD": "0"}
    with pytest.raises(SandboxError, match="SPOTMIX_SANDBOX_DOWNLOAD=0"):
        find_assets(environ=environ, build=False, progress=quiet())


def filled(make: Callable[[Path], None], cache: Path) -> Path:
    return fill(cache, make, quiet(), threading.Event())


def test_filling_makes_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "cache"
    assert filled(put_binaries, cache) == cache
    assert missing_binaries(cache) == []
    assert sorted(path.name for path in cache.parent.iterdir()) == [".cache.lock", "cache"]


@pytest.mark.parametrize(("made", "fault"), [((), "no luck"), (("etcd",), "it made no ")])
def test_a_failed_filling_leaves_nothing(tmp_path: Path, made: tuple[str, ...], fault: str) -> None:
    def make(folder: Path) -> None:
        put_binaries(folder, made)
        if not made:
            raise SandboxError("no luck")

    with pytest.raises(SandboxError, match=fault):
        filled(make, tmp_path / "cache")
    assert [path.name for path in tmp_path.iterdir()] == [".cache.lock"]


def test_an_incomplete_cache_is_replaced_as_a_whole(tmp_path: Path) -> None:
    put_binaries(tmp_path / "cache", ("etcd", "kubectl"))
    filled(put_binaries, tmp_path / "cache")
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(versions.BINARIES)


def test_an_incomplete_cache_stays_when_it_cannot_be_replaced(tmp_path: Path) -> None:
    put_binaries(tmp_path / "cache", ("etcd",))
    with pytest.raises(SandboxError, match="it made no etcd"):
        filled(lambda _: None, tmp_path / "cache")
    assert (tmp_path / "cache" / "etcd").exists()


def test_what_a_killed_filling_left_is_swept(tmp_path: Path) -> None:
    put_binaries(tmp_path / ".cache.0123.tmp", ("etcd",))
    filled(put_binaries, tmp_path / "cache")
    assert not (tmp_path / ".cache.0123.tmp").exists()


def test_two_fillings_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[Path] = []
    begun, go_on = threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        made.append(folder)
        begun.set()
        assert go_on.wait(10)
        put_binaries(folder)

    first = threading.Thread(target=filled, args=(make, tmp_path / "cache"))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=filled, args=(make, tmp_path / "cache"))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(made) == 1
    assert missing_binaries(tmp_path / "cache") == []


def test_waiting_for_another_filling_can_be_given_up(tmp_path: Path) -> None:
    stop = threading.Event()
    seen: list[SandboxError] = []

    def wait() -> None:
        try:
            fill(tmp_path / "cache", put_binaries, quiet(), stop)
        except SandboxError as error:
            seen.append(error)

    def make(folder: Path) -> None:
        waiter = threading.Thread(target=wait)
        waiter.start()
        stop.set()
        waiter.join(10)
        put_binaries(folder)

    filled(make, tmp_path / "cache")
    assert "given up" in str(seen[0])


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxError, match="cannot be filled"):
        filled(put_binaries, tmp_path / "file" / "cache")


def test_plain_progress_prints_steps_and_now_and_then_how_far_it_is() -> None:
    stream = io.StringIO()
    with Progress(stream, interval=3600) as progress:
        progress.step("first [x]")
        progress.update("not yet due")
    with Progress(stream, interval=0) as progress:
        progress.update("due")
    assert stream.getvalue() == "first [x]\ndue\n"
