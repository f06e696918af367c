"""Where a command gets its answer: from a running Spotmix, by its address or through the kubeconfig, or from here."""

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import Struct

from extender.cli.connection import connect, overrides, source
from extender.cli.help import HeadedOption, Heading
from extender.cli.output import note
from extender.core.model.errors import ApiError, ConfigError, ServiceError, WireError

if TYPE_CHECKING:
    from extender.cli.client import Bearer, Client
    from extender.core.model.reasons import Reason
    from extender.kube.client import ApiClient
    from extender.kube.servicepod import ServicePod
    from extender.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_PREFIX = "target_"
_AWAY = (0, 401)
"""Answers of the API server after which nothing else need be asked of it."""


class Target(Struct, frozen=True):
    """Which service is meant.

    Attributes:
        server: its address; empty looks for it through the kubeconfig.
        ca, cert, key: PEM files for TLS.
        token: a file with the token to show; empty for that of the kubeconfig.
        namespace: where it is installed; empty looks everywhere.
        local: compute here.
    """

    server: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    token: str = ""
    namespace: str = ""
    local: bool = False


def service_options(command: F) -> F:
    """Give a command the options that say which service is asked, as one argument `target`."""
    return _bundled(command, local=False)


def service_or_local_options(command: F) -> F:
    """Likewise, of a command that can do without a service."""
    return _bundled(command, local=True)


def _bundled(command: F, *, local: bool) -> F:
    @functools.wraps(command)
    def bundled(*args: Any, **given: Any) -> Any:
        named = {
            field: given.pop(f"target_{field}") for field in Target.__struct_fields__ if f"target_{field}" in given
        }
        return command(*args, target=Target(**named), **given)

    def option(flag: str, field: str, metavar: str, text: str) -> Callable[[Any], Any]:
        env = "SPOTMIX_" + flag.removeprefix("--").replace("-", "_").upper()
        kind = click.Path() if metavar == "FILE" else str
        return click.option(
            flag,
            f"{_PREFIX}{field}",
            cls=HeadedOption,
            heading=heading,
            default="",
            envvar=env,
            type=kind,
            metavar=metavar,
            help=f"{text} [{env}]",
        )

    heading = Heading(
        "Which Spotmix is asked",
        "That of the cluster, which is found through the kubeconfig and reached by a port-forward, unless an option "
        "says otherwise.",
    )
    options = [
        option(
            "--server",
            "server",
            "HOST:PORT",
            "Address of the Spotmix to ask, such as localhost:9444; https:// before it for TLS.",
        ),
        option("--server-ca", "ca", "FILE", "PEM file of the CAs to trust; means TLS."),
        option("--server-cert", "cert", "FILE", "PEM file of the certificate to show to the service; means TLS."),
        option("--server-key", "key", "FILE", "PEM file of the private key of the certificate in --server-cert."),
        option(
            "--server-token-file",
            "token",
            "FILE",
            "File with the token to send when the service asks for one; without it the kubeconfig's token is sent.",
        ),
        option(
            "--server-namespace",
            "namespace",
            "NAMESPACE",
            "Namespace that Spotmix is installed in; without it all are searched.",
        ),
    ]
    if local:
        options.append(
            click.option(
                "--local",
                "target_local",
                cls=HeadedOption,
                heading=heading,
                is_flag=True,
                help="Ask no running Spotmix; compute the answer here from what the kubeconfig lets list.",
            )
        )
    made: Any = bundled
    for each in reversed(options):
        made = each(made)
    return made  # type: ignore[no-any-return]  # what the decorators of click give back is what they were given


async def ask(
    target: Target, settings: "Settings", given: Mapping[str, Any], question: "Callable[[Client], Awaitable[T]]"
) -> T | None:
    """Ask a running Spotmix.

    Args:
        target: which one.
        settings: where the cluster is.
        given: options that say how nodes and policies are read, and `config_file`; one of them means to compute here.
        question: makes the calls.

    Returns:
        The answer; None when it is to be computed here, which is said on standard error unless it was asked for.

    Raises:
        ServiceError: the service at the address that was given cannot be reached, or refuses.
        NotFoundError: it knows no such object.
        ConfigError: an option or the kubeconfig is wrong.
        ApiError: the API server cannot be reached.
        WireError: the service at that address is of another version.
    """
    computing = [name for name, value in given.items() if value and name not in ("kubeconfig", "context")]
    if target.local or (computing and not target.server):
        return None
    if computing:
        flag = "--" + computing[0].replace("_file", "").replace("_", "-")
        raise ConfigError(f"{flag} says how to compute, and --server who does; leave one of them out")
    try:
        async with connected(target, settings) as client:
            return await question(client)
    except (ServiceError, ApiError, WireError) as error:
        if target.server or (isinstance(error, ApiError) and error.status in _AWAY):
            raise
        note(f"computed here, from the kubeconfig: {error}")
        return None


@contextlib.asynccontextmanager
async def connected(target: Target, settings: "Settings") -> "AsyncIterator[Client]":
    """A client of the service that is meant.

    Raises:
        ServiceError: there is none, or it cannot be reached.
        ConfigError: an option or the kubeconfig is wrong.
        ApiError: the API server cannot be reached, or refuses to tell of pods.
    """
    if target.server:
        from extender.cli.client import TlsFiles, direct

        async def bearer() -> str:
            if target.token:
                return _token_in(target.token)
            async with await connect(settings) as api:
                return await _own_token(api)

        tls = TlsFiles(target.ca, target.cert, target.key)
        async with direct(target.server, tls, bearer, deadline=_deadline()) as client:
            yield client
        return

    from extender.kube.portforward import PortForward
    from extender.kube.servicepod import find_service_pod

    async with await connect(settings) as api:
        pod = await find_service_pod(api, target.namespace)

        # It loads gRPC, which is of use once there is somebody to speak it with.
        from extender.cli.client import TlsFiles, tunnelled

        tls = TlsFiles(target.ca, target.cert, target.key)
        forward = PortForward(api, pod.namespace, pod.name, pod.port)

        def fault() -> str:
            return str(forward.failure or "")

        async with (
            forward.listening() as path,
            tunnelled(path, str(pod), tls, _bearer_for(pod, target, api), fault, deadline=_deadline()) as client,
        ):
            yield client


def _deadline() -> float | None:
    """Seconds that a call may take; None for no limit."""
    from extender.cli.client import DEADLINE

    asked = overrides().timeout
    return DEADLINE if asked is None else asked or None


def _bearer_for(pod: "ServicePod", target: Target, api: "ApiClient") -> "Bearer":
    """What token a pod is shown.

    Labels say that a pod is Spotmix, and whoever may make pods somewhere may set them. So the kubeconfig's token, which
    may be good for everything, goes to a namespace alone that the user or the installation's habit names.
    """
    from extender.kube.servicepod import HOME

    async def bearer() -> str:
        if target.token:
            return _token_in(target.token)
        if pod.namespace not in (HOME, target.namespace):
            raise ServiceError(
                f"{pod} asks for a token, and anybody may have labelled it; if it is Spotmix, "
                f"give --server-namespace {pod.namespace}"
            )
        return await _own_token(api)

    return bearer


async def _own_token(api: "ApiClient") -> str:
    """The kubeconfig's token, with which a service would see who really asks, and no `--as`."""
    if await api.impersonates():
        raise ServiceError(
            "the service asks for a token, and knows of nobody to act as; give a token of the user's own with "
            "--server-token-file, or --local"
        )
    token = await api.token()
    if not token:
        raise ServiceError(
            "the service asks for a token, and the kubeconfig has none; give one with --server-token-file "
            "(kubectl create token ACCOUNT makes one)"
        )
    return token


def _token_in(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--server-token-file {path}: {error}; give a file that holds a token") from error
    if not token:
        raise ConfigError(f"--server-token-file {path}: it is empty; give a file that holds a token")
    return token


def default_namespace(settings: "Settings", target: Target) -> str:
    """The namespace that is meant when none is given: of the kubeconfig's context.

    Raises:
        ConfigError: there is no kubeconfig, and without a server's address nothing else to go by.
    """
    try:
        return source(settings).namespace()
    except ConfigError:
        if not target.server or settings.kubeconfig:
            raise
        return "default"


def namespace_meant(settings: "Settings", target: Target, namespace: str, *, all_namespaces: bool) -> str:
    """The namespace that `-n` and `-A` mean; empty for all.

    Raises:
        click.UsageError: both are given.
        ConfigError: as of `default_namespace`.
    """
    if namespace and all_namespaces:
        raise click.UsageError("-n and -A exclude each other")
    return "" if all_namespaces else namespace or default_namespace(settings, target)


def note_obstacle(obstacle: "Reason | None") -> None:
    """Say on standard error that the replica that answered makes no decisions, and so does not know the last ones."""
    if obstacle is not None:
        note(f"the replica that answered makes no decisions: {obstacle.text}")
