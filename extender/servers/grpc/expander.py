"""Advice to cluster-autoscaler: its expander `grpc` asks which of the node groups that would do are the best.

It waits 5 s for an answer, and goes by its other expanders without one. So whatever is in the way, it is told all the
options that it has: by an answer that holds them all, or by one that holds none, which means the same to it.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from functools import partial

import grpc

from extender.core.model.errors import BusyError, WireError
from extender.core.placement.node_groups import NodeGroup
from extender.servers.answers.allowance import Allowance
from extender.servers.answers.pace import in_turns
from extender.servers.grpc.calls import Calls, Code, Context, RefusedError
from extender.servers.grpc.limits import Refused
from extender.servers.grpc.server import GRACE, listen, open_server
from extender.servers.grpc.tls import RpcTls
from extender.wire.expander_v1 import Reader, answer_of

SERVICE, METHOD = "grpcplugin.Expander", "BestOptions"
MOST_BYTES = 32 * 1024 * 1024
"""A request has the pods that wait whole, once or twice for each node group that would take them."""
CALLS, OF_ONE = 4, 2
"""Calls at a time: of all callers, and of one host. An autoscaler makes one after the other."""
PATIENCE = 2.5
"""How long an answer may be thought about (seconds): half of what the autoscaler waits."""

Rank = Callable[[Sequence[NodeGroup]], Generator[None, None, Sequence[NodeGroup]]]


class ExpanderLimits:
    """What callers may take; see `Allowances`.

    Args:
        refused: told of each call that is refused: what kind it is, and whose limit it reached.
    """

    def __init__(self, refused: Refused) -> None:
        self.strangers = Allowance("calls of the expander", CALLS, OF_ONE, partial(refused, "expander"))

    def open_to_all(self, _method: str) -> Allowance | None:
        """All are."""
        return self.strangers


class ExpanderService:
    """Answers what the autoscaler asks.

    Args:
        rank: leaves out the groups that are worse than others, in steps.
        class_key: the annotation that has a pod's class.
        calls: runs calls.
        report: told of faults: what met one, and which.
    """

    def __init__(self, rank: Rank, class_key: str, calls: Calls, report: Callable[[str, str], None]) -> None:
        self._rank = rank
        self._class_key = class_key
        self._calls = calls
        self._report = report

    async def best_options(self, request: bytes, context: Context) -> bytes:
        """See proto/grpcplugin/expander.proto."""
        return await self._calls.run(METHOD, context, self._answer(Reader(request)))

    async def _answer(self, reader: Reader) -> bytes:
        options = None
        try:
            async with asyncio.timeout(PATIENCE):
                question = await in_turns(reader.question())
                options = question.options
                groups = await in_turns(reader.groups(question, self._class_key))
                best = {group.name for group in await in_turns(self._rank(groups))}
        except (WireError, BusyError) as error:
            if options is None:
                code = Code.INVALID_ARGUMENT if isinstance(error, WireError) else Code.RESOURCE_EXHAUSTED
                raise RefusedError(code, f"{error}; send the message of proto/grpcplugin/expander.proto") from error
            return answer_of(options)
        except TimeoutError:
            return answer_of(options or ())
        except Exception as error:  # noqa: BLE001 - no fault of ours may keep the autoscaler from its options
            self._report("expander", f"the options are left as they came: {error!r}")
            return answer_of(options or ())
        return answer_of([option for option in options if option.group in best])


class ExpanderServer:
    """The expander on one address.

    Args:
        service: answers.
        address: host:port; port 0 takes any.
        limits: what callers may take.
        tls: certificates; None serves without TLS.
    """

    def __init__(
        self, service: ExpanderService, address: tuple[str, int], limits: ExpanderLimits, tls: RpcTls | None = None
    ) -> None:
        self._service = service
        self._limits = limits
        self._tls = tls
        self._server: grpc.aio.Server | None = None
        self.address = address

    async def start(self) -> None:
        """Serve from now on.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        server = open_server(self._limits, MOST_BYTES)
        # Without a deserializer a message is its bytes.
        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._service.best_options)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),))
        self.address = (self.address[0], listen(server, self.address, self._tls, "expander.addr"))
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Take no more calls, answer the others, close."""
        if self._server is not None:
            await self._server.stop(GRACE)
