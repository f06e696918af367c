"""The one exception tree.

::

    SpotmixError
    +-- ConfigError     a setting, flag, file or environment variable is wrong
    +-- WireError       bytes from a peer are not what the contract says
    +-- BusyError       there is no time or room for it
    +-- ApiError        the Kubernetes API refused a request, or could not be reached
    +-- NotFoundError   the cluster has no such object
    +-- ServiceError    the API of a running Spotmix cannot be reached, or refuses
    +-- Unauthenticated nobody knows who asks
    +-- Forbidden       who asks may not see or do that
    +-- ChangeError     a what-if asks for what cannot be
    +-- WorkloadFaultError  a fault of our own, met by one workload
    +-- SandboxError    the control plane of the sandbox cannot be had, started or used

Every text names the object, the field, the value seen and the likely fix; a foreign error is chained.
"""


class SpotmixError(Exception):
    """Anything that Spotmix raises on purpose."""


class ConfigError(SpotmixError):
    """A setting is wrong; the text names where it came from (flag, environment, file)."""


class WireError(SpotmixError):
    """Bytes from a peer do not decode; the text names the field."""


class BusyError(SpotmixError):
    """What is asked for takes more time or room than there is for it; the text says what, and the limit."""


class NotFoundError(SpotmixError):
    """The cluster has no object of this kind and name; the text names them, and where there is one."""


class Unauthenticated(SpotmixError):  # noqa: N818 - named as the answer is in HTTP and gRPC
    """It is not known who asks: no token, or one that the API server does not accept. The text never has the token."""


class Forbidden(SpotmixError):  # noqa: N818 - likewise
    """Who asks may not; the text names the user and the right that is missing."""


class SelectorError(SpotmixError):
    """A label selector cannot be read; the text says where, and what is expected there."""


class ChangeError(SpotmixError):
    """A what-if asks for what cannot be; the text says why, and what can."""


class ServiceError(SpotmixError):
    """The API of a running Spotmix cannot be reached, or refuses; the text names the service and the fix."""


class WorkloadFaultError(SpotmixError):
    """A fault of our own that one workload met, and no other; the text names the workload."""


class SandboxError(SpotmixError):
    """The sandbox's control plane cannot be had, started or used."""


class ApiError(SpotmixError):
    """The Kubernetes API answered with an error, or not at all.

    Attributes:
        status: HTTP status, 0 when no answer came.
        reason: `metav1.Status.reason`, such as `NotFound`, or the transport error's name.
        retry_after: seconds the server asked to wait, or None.
        causes: `metav1.Status.details.causes[].reason`, such as `DisruptionBudget`.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after: float | None = None,
        causes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.causes = causes
