"""How commands reach the cluster: options of kubectl, beside the kubeconfig and its context."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from extender.cli.help import HeadedOption, Heading

if TYPE_CHECKING:
    from extender.kube.client import ApiClient
    from extender.kube.connection import ConnectionSource
    from extender.kube.overrides import Overrides
    from extender.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_META = "spotmix.overrides"
_NAMES = ("as_user", "as_groups", "as_uid", "given_cluster", "given_user", "request_timeout")
"""Of the parameters."""
_HEADING = Heading("How the cluster is reached", "Beside --kubeconfig and --context, as of kubectl.")


class TimeoutType(click.ParamType[float]):
    """Seconds, of a number of them or a duration; 0 is no limit."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        from extender.core.policy.values import parse_duration

        try:
            return float(value) if str(value).isdecimal() else parse_duration(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def connection_options(command: F) -> F:
    """Give a command the options; what they say goes with its context, see `connect` and `source`."""

    @functools.wraps(command)
    def bundled(*args: Any, **given: Any) -> Any:
        click.get_current_context().meta[_META] = overrides_in(given)
        return command(*args, **{name: value for name, value in given.items() if name not in _NAMES})

    def option(flag: str, name: str, metavar: str, text: str, **more: Any) -> Callable[[Any], Any]:
        given = {"default": "", **more}
        return click.option(flag, name, cls=HeadedOption, heading=_HEADING, metavar=metavar, help=text, **given)

    made: Any = bundled
    for each in (
        option(
            "--request-timeout",
            "request_timeout",
            "DURATION",
            "How long a request may take, such as 5s or 1m, or a number of seconds; 0 is no limit. Without it 30 s.",
            type=TimeoutType(),
            default=None,
        ),
        option("--user", "given_user", "NAME", "Entry of the kubeconfig's users to use instead of the context's."),
        option(
            "--cluster", "given_cluster", "NAME", "Entry of the kubeconfig's clusters to use instead of the context's."
        ),
        option("--as-uid", "as_uid", "UID", "UID of the user in --as."),
        option(
            "--as-group", "as_groups", "GROUP", "Group of the user in --as. May be repeated.", multiple=True, default=()
        ),
        option(
            "--as",
            "as_user",
            "USER",
            "User to act as, also system:serviceaccount:NAMESPACE:NAME; needs the right to impersonate.",
        ),
    ):
        made = each(made)
    return made  # type: ignore[no-any-return]  # what the decorators of click give back is what they were given


def overrides() -> "Overrides":
    """What the options of the command that runs say."""
    from extender.kube.overrides import Overrides

    context = click.get_current_context(silent=True)
    found = context.meta.get(_META) if context is not None else None
    return found if isinstance(found, Overrides) else Overrides()


def overrides_in(given: Mapping[str, Any]) -> "Overrides":
    """What the options say, among the parameters of a command that may be incomplete or have none of them."""
    from extender.kube.overrides import Impersonation, Overrides

    user, groups, uid, cluster, entry, timeout = (given.get(name) for name in _NAMES)
    return Overrides(cluster or "", entry or "", Impersonation(user or "", tuple(groups or ()), uid or ""), timeout)


async def connect(settings: "Settings", given: "Overrides | None" = None) -> "ApiClient":
    """A client of the API server; `given` is what counts beside the kubeconfig, if not what the command's options say.

    Raises:
        ConfigError: an option or the kubeconfig is wrong.
    """
    from extender.kube.client import ApiClient

    return await ApiClient.connect(settings.kubeconfig or None, settings.context or None, given or overrides())


def source(settings: "Settings") -> "ConnectionSource":
    """Where that client finds the API server.

    Raises:
        ConfigError: an option or the kubeconfig is wrong.
    """
    from extender.kube.connection import ConnectionSource

    return ConnectionSource(settings.kubeconfig or None, settings.context or None, overrides=overrides())
