"""What every call goes through: who may make it, what becomes of refusals and faults, and what is counted."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, NoReturn, TypeVar

import grpc

from extender.core.model.access import Attributes
from extender.core.model.errors import ApiError, Forbidden, Unauthenticated, WorkloadFaultError
from extender.core.model.reasons import Reason
from extender.servers.answers.allowance import Allowance, AllowanceSpentError
from extender.servers.answers.sources import TOLD, Authorizer
from extender.servers.grpc.limits import CallLimits, host_in

T = TypeVar("T")

Context = grpc.aio.ServicerContext[Any, Any]
Code = grpc.StatusCode

BEARER = "bearer "


class RefusedError(Exception):
    """A call is not answered: the status and its text."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


def missing(kind: str, namespace: str, name: str) -> RefusedError:
    """There is no such object."""
    return RefusedError(Code.NOT_FOUND, f"there is no {kind} {namespace}/{name}, or Spotmix does not know it")


class Door:
    """Lets callers in.

    Args:
        obstacle: why this replica makes no decision now, None when it does.
        authorizer: knows tokens and rights; None lets everybody in.
        limits: what callers may take.
    """

    def __init__(
        self, obstacle: Callable[[], Reason | None], authorizer: Authorizer | None, limits: CallLimits
    ) -> None:
        self._obstacle = obstacle
        self._authorizer = authorizer
        self._limits = limits

    @contextlib.asynccontextmanager
    async def admitted(
        self, context: Context, attributes: Attributes, allowance: Allowance | None = None
    ) -> AsyncIterator[None]:
        """Let a caller in who may do this, and count it while it is in: by default among the ordinary calls.

        Raises:
            RefusedError: it may not, nobody knows whether it may, there is nothing to be seen yet, or it has, or all
                have, as many calls as may be.
        """
        try:
            with self._limits.strangers.taken(host_in(context.peer())):
                caller = await self.admit(context, attributes)
            with (allowance or self._limits.callers).taken(caller):
                yield
        except AllowanceSpentError as error:
            raise RefusedError(Code.RESOURCE_EXHAUSTED, str(error)) from error

    async def admit(self, context: Context, attributes: Attributes) -> str:
        """Return if a caller may do this: its user's name, or its host where nobody is asked for one.

        Raises:
            RefusedError: it may not, nobody knows whether it may, or there is nothing to be seen yet.
        """
        caller = host_in(context.peer())
        if self._authorizer is not None:
            try:
                user = await self._authorizer.allow(_token(context.invocation_metadata() or ()), attributes)
            except Unauthenticated as error:
                raise RefusedError(Code.UNAUTHENTICATED, str(error)) from error
            except Forbidden as error:
                raise RefusedError(Code.PERMISSION_DENIED, str(error)) from error
            except ApiError as error:
                raise RefusedError(Code.UNAVAILABLE, f"it cannot be told whether you may: {error}") from error
            caller = f"user {user.name}"
        if self._obstacle() is Reason.NOT_SYNCED:
            raise RefusedError(Code.UNAVAILABLE, Reason.NOT_SYNCED.text)
        return caller


def _token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The bearer token, or an empty text."""
    for name, value in metadata:
        if name == "authorization" and isinstance(value, str) and value[: len(BEARER)].lower() == BEARER:
            return value[len(BEARER) :].strip()
    return ""


class Calls:
    """Runs calls: a fault of one ends that one alone.

    Args:
        observe: told of each call that has ended: RPC, status and how long it took (seconds).
        report: told of faults: what met one, and which.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        observe: Callable[[str, str, float], None],
        report: Callable[[str, str], None],
        clock: Callable[[], float],
    ) -> None:
        self._observe = observe
        self._report = report
        self._clock = clock

    async def run(self, rpc: str, context: Context, work: Awaitable[T]) -> T:
        """Do what a call asks for; a refusal or a fault becomes its status."""
        started = self._clock()
        # What else ends a call: its caller has left, or its deadline has passed, and gRPC has answered it.
        code = Code.CANCELLED
        try:
            done = await work
            code = Code.OK
        except RefusedError as error:
            code = error.code
            return await _abort(context, code, str(error))
        except WorkloadFaultError as error:
            code = Code.INTERNAL
            return await _abort(context, code, f"{error}; {TOLD}")
        except Exception as error:  # noqa: BLE001 - no cluster may end the API; the fault is told
            fault, code = f"{type(error).__name__}: {error}", Code.INTERNAL
            self._report("api", f"{rpc} met a fault: {fault}")
            return await _abort(context, code, f"this call met a fault, and nothing else did: {fault}")
        else:
            return done
        finally:
            self._observe(rpc, code.name, self._clock() - started)


async def _abort(context: Context, code: Code, text: str) -> NoReturn:
    await context.abort(code, text)
    raise AssertionError("an aborted call went on")
